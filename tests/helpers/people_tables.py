"""Results of several people, picture by picture, small enough to compute by hand."""

from brain2image.evaluation.people_scores import score_people
from brain2image.evaluation.summary import kind, summarise
from helpers.report_tables import people_of

BRAINS = ("things-01_subj01", "things-02_subj01")


def results(found, *, n_trials=None):
    """Predictors and metrics of runs that find certain pictures.

    Parameters
    ----------
    found : run → one entry for each of `BRAINS`: a list of seeds, each a list of 0 and 1 for every picture.
    n_trials : of the calibrations, for each of `BRAINS`.
    """
    predictors, metrics = [], []
    for run, people in found.items():
        for number, (brains, seeds) in enumerate(zip(BRAINS, people, strict=False)):
            for seed, top1 in enumerate(seeds):
                predictors.append({"brains": brains, "run": run, "seed": seed if is_network(run) else None})
                n_pictures = int(run.partition("_cal-")[2]) if "_cal-" in run else None
                calibration = n_pictures and {"n_pictures": n_pictures, "n_trials": n_trials[number]}
                metrics.append(content(top1, people_of(run), calibration))
    return predictors, metrics


def is_network(run):
    return kind(run) == "network"


def content(top1, people, calibration):
    """What is known of a run on one pair of brains, as far as tables of several people show it."""
    names = {"space": "embedding", "level": "image", "n_trials": "all"}
    names |= {"direction": "forward", "n_gallery": len(top1)}
    score = {"value": sum(top1) / len(top1), "chance": 1 / len(top1), "p": 0.01, "low": 0.0, "high": 1.0}
    return {
        "n_test": len(top1),
        "n_concepts": len(top1),
        "people": people,
        "calibration": calibration,
        "training": None,
        "is_field": False,
        "learned_from": "predicted, 80 pictures",
        "audit": {"split": {"n_passed_over": 0}},
        "scores": [{**names, "metric": "top1", **score}, {**names, "metric": "mrr", **score}],
        "per_image": {
            "top1": top1,
            "mrr": top1,
            "concept": [f"concept{number}" for number in range(len(top1))],
        },
    }


def scores_of(found, **options):
    """What `score_people` makes of `results`."""
    predictors, metrics = results(found, **options)
    return score_people(summarise(predictors, metrics), predictors, metrics)
