"""Networks against baselines: differences, intervals and p-values that hold for the whole table."""

import numpy as np
import pytest

from brain2image.evaluation.comparisons import compare
from brain2image.evaluation.statistics import holm
from brain2image.formats.tables import COMPARISONS

OPTIONS = {"n_permutations": 500, "seed": 0}


def metrics(scores):
    per_image = {"top1": (scores > 0).astype(float).tolist(), "mrr": scores.tolist()}
    return {"per_image": per_image, "is_constant": bool(np.ptp(scores) == 0)}


def table(pairs, **runs):
    """A comparison of runs given as (n_pairs_of_brains, n_images) scores; a list of them are seeds."""
    predictors, contents = [], []
    for run, seeds in runs.items():
        is_network = isinstance(seeds, list)
        for seed, scores in enumerate(seeds if is_network else [seeds]):
            for pair, own in zip(pairs, scores, strict=True):
                predictors.append({"brains": pair, "run": run, "seed": seed if is_network else None})
                contents.append(metrics(own))
    return compare(predictors, contents, **OPTIONS).set_index(["brains", "run", "baseline", "metric"])


def test_differences_are_means_over_seeds_and_pictures(rng):
    first, second, ridge = rng.standard_normal((3, 1, 30))
    row = table(["a"], net=[first, second], ridge=ridge).loc[("a", "net", "ridge", "mrr")]
    assert row["difference"] == pytest.approx(((first + second) / 2 - ridge).mean())
    assert row["low"] < row["difference"] < row["high"]


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


@pytest.mark.parametrize(("n_brains", "floor"), [(1, 2 / 501), (2, 0.5), (6, 2 / 64)])
def test_the_smallest_p_that_so_many_differences_give_is_said(rng, n_brains, floor):
    ridge = rng.standard_normal((n_brains, 40))
    rows = table([f"p{n}" for n in range(n_brains)], net=[ridge + 1], ridge=ridge)
    row = rows.loc[("all" if n_brains > 1 else "p0", "net", "ridge", "mrr")]
    assert row["p"] == pytest.approx(floor)
    assert row["p_floor"] == pytest.approx(floor)


def test_several_pairs_of_brains_are_the_sample_of_the_joint_row(rng):
    """Eight pairs that differ much more than their pictures do."""
    shift = np.linspace(-0.5, 1.5, 8)[:, None]
    ridge = rng.standard_normal((8, 50))
    pairs = [f"sub-0{number}_subj01" for number in range(1, 9)]
    rows = table(pairs, net=[ridge + shift + 0.01 * rng.standard_normal((8, 50))], ridge=ridge)
    joint = rows.loc[("all", "net", "ridge", "mrr")]
    assert joint["difference"] == pytest.approx(0.5, abs=0.01)
    assert joint["high"] - joint["low"] > 0.5
    assert joint["p"] == pytest.approx(np.mean(flips(shift[:, 0])), abs=0.01)


def flips(differences):
    """Whether each of all sign patterns gives a mean at least as far from zero."""
    signs = np.array(np.meshgrid(*[(-1, 1)] * len(differences))).reshape(len(differences), -1).T
    return np.abs(signs @ differences) >= np.abs(differences.sum()) - 1e-9
