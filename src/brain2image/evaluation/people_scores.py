"""What every method reaches on each person, and what it may reach on others."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from brain2image.constants.predictors import CALIBRATION_SUFFIX
from brain2image.evaluation.comparisons import crossed, crossed_rows, picture_scores
from brain2image.evaluation.summary import WHOSE, headline, kind, over_seeds, whose

KINDS = ("network", "baseline", "oracle")


class PeopleScores(NamedTuple):
    """Top-1 of every method on every pair of brains, all trials of a picture averaged.

    Attributes
    ----------
    methods : indexed by run, networks before baselines before oracles and by whom they learned from:
        ``kind`` (of `summary.kind`), ``whose`` (a key of `WHOSE`), ``n_calibration`` (pictures; NA of what
        was not calibrated), ``fewest`` and ``most`` trials of a calibration, ``mean`` over seeds and pairs of
        brains, ``low`` and ``high`` of its 95 % interval over people, seeds and concepts, which are crossed
        (NaN where they show no spread).
    top1 : (n_methods, n_brains), means over seeds.
    brains : indexed by pair of brains: ``n_test`` pictures and ``chance``.
    """

    methods: pd.DataFrame
    top1: pd.DataFrame
    brains: pd.DataFrame


def score_people(
    summary: pd.DataFrame, predictors: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> PeopleScores:
    """Put the methods side by side, person by person.

    Parameters
    ----------
    summary : the summary table.
    predictors : brains, run and seed of each of ``metrics``.
    metrics : what `scores.evaluate` returned, of everything in the summary.
    """
    rows = headline(summary)
    rows = rows[rows["metric"] == "top1"]
    scores = over_seeds(rows, ["run", "brains"])
    methods = _describe(rows)
    top1 = scores["value"].unstack("brains").loc[methods.index, list(dict.fromkeys(rows["brains"]))]
    methods = methods.assign(mean=top1.mean(axis=1)).join(_intervals(predictors, metrics))
    return PeopleScores(methods, top1, over_seeds(rows, ["brains"])[["n_test", "chance"]])


def own_runs(methods: pd.DataFrame, run: str) -> list[str]:
    """List the runs of the person's own EEG that a run of other people's would have to reach.

    Parameters
    ----------
    methods : see `PeopleScores`.
    run : of other people; ``X_others`` has ``X`` beside it where there is one, else all networks that learned
        from the person's own EEG.
    """
    own = methods[(methods["kind"] == "network") & (methods["whose"] == "own")].index
    namesake = run.removesuffix("others").rstrip("_-")
    return [namesake] if namesake in own else list(own)


def calibration_curves(methods: pd.DataFrame) -> dict[str, list[str]]:
    """Return the calibrations of each run that has some, fewest pictures first, after the run itself."""
    calibrated = methods[methods["whose"] == "calibrated"].sort_values("n_calibration", kind="stable").index
    curves: dict[str, list[str]] = {}
    for name in calibrated:
        run = name.rpartition(CALIBRATION_SUFFIX)[0]
        curves.setdefault(run, [run]).append(name)
    return {run: curves[run] for run in methods.index if run in curves}


def _describe(rows: pd.DataFrame) -> pd.DataFrame:
    """Return kind, whose EEG and calibration of each run, in the order of `PeopleScores`."""
    found = rows.groupby("run", sort=False).agg(
        people=("people", "first"),
        n_calibration=("n_calibration", "first"),
        fewest=("n_calibration_trials", "min"),
        most=("n_calibration_trials", "max"),
    )
    found["kind"] = [kind(str(run)) for run in found.index]
    found["whose"] = [whose(*row) for row in zip(found["people"], found["n_calibration"], strict=True)]
    places = [
        (KINDS.index(row["kind"]), list(WHOSE).index(row["whose"]), place)
        for place, (_, row) in enumerate(found.iterrows())
    ]
    return found.iloc[[place for *_, place in sorted(places)]].drop(columns="people")


def _intervals(predictors: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return low and high of the mean top-1 of each run; a share is no less than 0 and no more than 1."""
    scores, concepts = picture_scores(predictors, metrics)
    runs = list(dict.fromkeys(predictor["run"] for predictor in predictors))
    found = {}
    for run in runs:
        own = {brains: scores[brains, run, "top1"] for brains in concepts if (brains, run, "top1") in scores}
        found[run] = crossed(crossed_rows(own, concepts))
    bounds = {run: (one.low, one.high) if one else (None, None) for run, one in found.items()}
    table = pd.DataFrame.from_dict(bounds, orient="index", columns=["low", "high"])
    return table.astype(float).clip(0, 1)
