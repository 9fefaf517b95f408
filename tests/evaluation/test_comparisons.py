"""Networks against baselines: differences, intervals and p-values that hold for the whole table."""

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from brain2image.evaluation.comparisons import compare
from brain2image.evaluation.statistics import N_RESAMPLES, holm, sign_flip_p
from brain2image.formats.tables import COMPARISONS

OPTIONS = {"n_permutations": 500, "seed": 0}


def metrics(scores, concepts, people="own", n_pictures=None):
    per_image = {"top1": (scores > 0).astype(float).tolist(), "mrr": scores.tolist(), "concept": concepts}
    learned = {"people": people, "calibration": n_pictures and {"n_pictures": n_pictures}}
    return {"per_image": per_image, "is_constant": bool(np.ptp(scores) == 0), "is_field": False, **learned}


def table(pairs, concepts=None, **runs):
    """A comparison of runs given as (n_pairs_of_brains, n_images) scores; a list of them are seeds.

    Each picture is of a concept of its own where they are not given.
    """
    predictors, contents = [], []
    for run, seeds in runs.items():
        is_network = isinstance(seeds, list)
        for seed, scores in enumerate(seeds if is_network else [seeds]):
            for pair, own in zip(pairs, scores, strict=True):
                predictors.append({"brains": pair, "run": run, "seed": seed if is_network else None})
                names = np.arange(len(own)) if concepts is None else concepts
                contents.append(metrics(own, [f"concept{number}" for number in names]))
    return compare(predictors, contents, **OPTIONS).set_index(["brains", "run", "baseline", "metric"])


def test_differences_are_means_over_seeds_and_pictures(rng):
    first, second, ridge = rng.standard_normal((3, 1, 30))
    row = table(["a"], net=[first, second], ridge=ridge).loc[("a", "net", "ridge", "mrr")]
    assert row["difference"] == pytest.approx(((first + second) / 2 - ridge).mean())
    assert row["low"] < row["difference"] < row["high"]


def test_scores_against_other_targets_are_compared_with_nothing(rng):
    names = [f"concept{number}" for number in range(20)]
    contents = [metrics(scores, names) for scores in rng.standard_normal((3, 20))]
    contents[1] |= {"is_field": True}
    predictors = [{"brains": "a", "run": run, "seed": seed} for run, seed in (("net", 0), ("field", 0))]
    predictors.append({"brains": "a", "run": "ridge", "seed": None})
    assert set(compare(predictors, contents, **OPTIONS)["run"]) == {"net"}


def test_a_better_network_is_found_and_an_equal_one_is_not(rng):
    ridge = rng.standard_normal((1, 40))
    rows = table(
        ["a"], same=[ridge.copy()], better=[ridge + 1 + 0.1 * rng.standard_normal((1, 40))], ridge=ridge
    )
    assert rows.loc[("a", "better", "ridge", "mrr"), "p"] == pytest.approx(2 / 501)
    assert rows.loc[("a", "same", "ridge", "mrr"), "p"] == 1
    assert np.isnan(rows.loc[("a", "same", "ridge", "mrr"), "low"])


def test_holm_counts_the_rows_of_one_pair_and_metric_and_no_oracle(rng):
    net, ridge, pls, clip_oracle, ceiling = rng.standard_normal((5, 1, 20))
    rows = table(["a"], net=[net], ridge=ridge, pls=pls, clip_oracle=clip_oracle, ceiling=ceiling)
    assert set(rows.index.get_level_values("baseline")) == {"ridge", "pls"}
    for metric in ("top1", "mrr"):
        own = rows.xs(metric, level="metric")
        np.testing.assert_allclose(own["p_holm"], holm(own["p"].to_numpy()))


def test_what_answers_the_same_for_every_picture_is_not_compared(rng):
    net, collapsed = rng.standard_normal((1, 20)), np.full((1, 20), 0.05)
    rows = table(["a"], net=[net], idle=[collapsed], ridge=net[:, ::-1], mean_target=collapsed).reset_index()
    assert set(rows["run"]) == {"net"}
    assert set(rows["baseline"]) == {"ridge"}
    none = table(["a"], net=[net], mean_target=collapsed, clip_oracle=net)
    assert none.empty
    assert set(none.reset_index()) == set(COMPARISONS)


def test_networks_are_compared_with_baselines_of_the_same_people(rng):
    runs = {
        "net": ("own", None),
        "net_others": ("others", None),
        "net_others_cal-8": ("others", 8),
        "net_some": ("things-01 things-02", None),
        "ridge": ("own", None),
        "ridge_others": ("others", None),
        "ridge_all": ("all", None),
    }
    predictors = [{"brains": "a", "run": run, "seed": 0 if "net" in run else None} for run in runs]
    names = [f"concept{number}" for number in range(20)]
    contents = [metrics(rng.standard_normal(20), names, *learned) for learned in runs.values()]
    rows = compare(predictors, contents, **OPTIONS)
    pairs = set(zip(rows["run"], rows["baseline"], strict=True))
    assert pairs == {("net", "ridge"), ("net_others", "ridge_others")}


@pytest.mark.parametrize(("n_concepts", "floor"), [(40, 2 / 501), (2, 0.5), (6, 2 / 64)])
def test_the_smallest_p_that_so_many_concepts_give_is_said(rng, n_concepts, floor):
    ridge = rng.standard_normal((1, 40))
    rows = table(["a"], np.arange(40) % n_concepts, net=[ridge + 1], ridge=ridge)
    row = rows.loc[("a", "net", "ridge", "mrr")]
    assert row["p"] == pytest.approx(floor)
    assert row["p_floor"] == pytest.approx(floor)


def test_one_picture_a_concept_and_one_seed_is_as_if_pictures_were_drawn(rng):
    net, ridge = rng.standard_normal((2, 1, 30))
    row = table(["a"], net=[net], ridge=ridge).loc[("a", "net", "ridge", "mrr")]
    difference = (net - ridge)[0]
    drawn = bootstrap((difference,), np.mean, n_resamples=N_RESAMPLES, method="BCa", rng=0)
    assert row[["low", "high"]].tolist() == list(drawn.confidence_interval)
    assert row["difference"] == pytest.approx(difference.mean(), rel=1e-12)
    assert row["p"] == sign_flip_p(difference, **OPTIONS)


def test_pictures_of_one_concept_are_no_further_evidence(rng):
    """Every picture five times: as many concepts as before, so the same interval and p."""
    net, ridge = rng.standard_normal((2, 1, 30))
    once = table(["a"], net=[net], ridge=ridge)
    often = table(
        ["a"], np.repeat(np.arange(30), 5), net=[np.repeat(net, 5, 1)], ridge=np.repeat(ridge, 5, 1)
    )
    columns = ["difference", "low", "high", "p", "p_floor"]
    np.testing.assert_allclose(often[columns], once[columns])


def test_seeds_that_end_apart_widen_the_interval(rng):
    ridge = rng.standard_normal((1, 40))
    alike = [ridge + 0.3 + 0.5 * rng.standard_normal((1, 40)) for _ in range(2)]
    rows = table(["a"], alike=alike, apart=[alike[0] - 0.3, alike[1] + 0.3], one=alike[:1], ridge=ridge)
    alike, apart, one = (rows.loc[("a", run, "ridge", "mrr")] for run in ("alike", "apart", "one"))
    assert apart["difference"] == pytest.approx(alike["difference"])
    assert apart["low"] < 0 < alike["low"]
    assert alike["p"] < 0.05 < apart["p"]
    assert np.isnan(alike["p_floor"])
    assert one["p_floor"] == pytest.approx(2 / 501)


def test_brains_of_one_person_are_no_further_evidence(rng):
    """Two EEG people, one good and one not, with four fMRI people each: eight brains, but two people."""
    pairs = [f"sub-0{e}_subj0{f}" for e in (1, 2) for f in (1, 2, 3, 4)]
    ridge = rng.standard_normal((8, 40))
    gain = np.repeat([0.1, 0.9], 4)[:, None] + 0.05 * rng.standard_normal((8, 40))
    crossed = table(pairs, net=[ridge + gain], ridge=ridge).loc[("all", "net", "ridge", "mrr")]
    others = [f"sub-0{number}_subj01" for number in range(8)]
    people = table(others, net=[ridge + gain], ridge=ridge).loc[("all", "net", "ridge", "mrr")]
    assert crossed["difference"] == pytest.approx(people["difference"])
    assert people["p"] < 0.05 < crossed["p"]
    assert crossed["low"] < 0 < people["low"]


def test_several_pairs_of_brains_are_the_sample_of_the_joint_row(rng):
    """Eight pairs that differ much more than their pictures do."""
    shift = np.linspace(-0.5, 1.5, 8)[:, None]
    ridge = rng.standard_normal((8, 50))
    pairs = [f"sub-0{number}_subj01" for number in range(1, 9)]
    rows = table(pairs, net=[ridge + shift + 0.01 * rng.standard_normal((8, 50))], ridge=ridge)
    joint = rows.loc[("all", "net", "ridge", "mrr")]
    assert joint["difference"] == pytest.approx(0.5, abs=0.01)
    assert joint["high"] - joint["low"] > 0.5
    assert joint["p"] == pytest.approx(ttest_1samp(shift[:, 0], 0).pvalue, abs=0.01)
    assert joint["p_holm"] == joint["p"]
