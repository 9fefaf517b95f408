"""Methods side by side on several people: means over seeds, intervals over people and pictures."""

import numpy as np
import pytest
from helpers.people_tables import BRAINS, scores_of
from scipy.stats import t

from brain2image.evaluation.people_scores import calibration_curves, own_runs

ONE, BOTH, NONE = [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]


def test_top1_is_the_mean_over_seeds_and_its_mean_that_over_brains():
    scores = scores_of({"net": [[ONE, BOTH], [BOTH, BOTH]], "ridge": [[NONE], [ONE]]})
    assert list(scores.top1.columns) == list(BRAINS)
    assert scores.top1.loc["net"].tolist() == [0.375, 0.5]  # (1/4 + 2/4) / 2, and 2/4
    assert scores.methods["mean"].tolist() == [0.4375, 0.125]
    assert scores.brains["chance"].tolist() == [0.25, 0.25]
    assert scores.brains["n_test"].tolist() == [4, 4]


def test_the_interval_is_over_people_and_concepts_which_are_crossed():
    """By hand: deviations summed by person and by concept, their variances added (Satterthwaite's df)."""
    first, second = np.array([1, 1, 0, 1]), np.array([1, 0, 0, 0])
    row = scores_of({"ridge": [[first.tolist()], [second.tolist()]]}).methods.loc["ridge"]
    assert row["mean"] == 0.5
    people = np.array([3 - 2, 1 - 2]) / 8
    concepts = (first + second - 1) / 8
    variances = np.array([2 * np.square(people).sum() / 1, 4 * np.square(concepts).sum() / 3])

    df = variances.sum() ** 2 / (np.square(variances) / [1, 3]).sum()
    reach = t.ppf(0.975, df) * np.sqrt(variances.sum())
    assert row[["low", "high"]].tolist() == pytest.approx([max(0, 0.5 - reach), min(1, 0.5 + reach)])


def test_where_people_do_not_differ_pictures_alone_widen_the_interval():
    """And where pictures do not differ either, there is no interval."""
    scores = scores_of({"ridge": [[BOTH], [BOTH]], "mlp": [[NONE], [NONE]]})
    assert scores.methods.loc["ridge", "low"] < 0.5 < scores.methods.loc["ridge", "high"]
    assert scores.methods.loc["mlp", ["low", "high"]].isna().all()


def test_methods_stand_by_kind_and_by_whom_they_learned_from():
    names = ["ridge_all", "ceiling", "a_all", "ridge", "a_others_cal-8", "a_others", "b", "a"]
    methods = scores_of({name: [[ONE], [BOTH]] for name in names}, n_trials=(32, 30)).methods
    ordered = ["b", "a", "a_others", "a_others_cal-8", "a_all", "ridge", "ridge_all", "ceiling"]
    assert list(methods.index) == ordered
    assert methods["whose"].tolist() == [
        *("own", "own", "others", "calibrated", "all"),
        *("own", "all", "own"),
    ]
    assert methods.loc["a_others_cal-8", ["n_calibration", "fewest", "most"]].tolist() == [8, 30, 32]


@pytest.mark.parametrize(
    ("run", "own"),
    [("a_others", ["a"]), ("b-others", ["b"]), ("c_others", ["a", "b"]), ("others", ["a", "b"])],
)
def test_the_line_to_reach_is_the_namesake_or_all_runs_of_the_persons_own_eeg(run, own):
    names = ["a", "b", "a_all", run, "ridge"]
    methods = scores_of({name: [[ONE], [BOTH]] for name in names}).methods
    methods.loc[run, "whose"] = "others"
    assert own_runs(methods, run) == own


def test_a_curve_goes_from_the_run_of_others_to_the_most_pictures():
    names = ["a_others_cal-32", "b_others", "a_others_cal-8", "a_others"]
    methods = scores_of({name: [[ONE], [BOTH]] for name in names}, n_trials=(4, 4)).methods
    assert calibration_curves(methods) == {"a_others": ["a_others", "a_others_cal-8", "a_others_cal-32"]}
