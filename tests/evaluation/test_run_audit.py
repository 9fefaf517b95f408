"""The audit of a run finds what was planted."""

import numpy as np
import pandas as pd
import pytest
from helpers.report_tables import CLEAN

from brain2image.evaluation.run_audit import FINDINGS, audit_run

NOTHING = {"EEG pictures": 0, "concepts": 0, "fMRI pictures": 0}
PEOPLE = {
    "people": "own",
    "learned_from": ["a"],
    "knows_tested": True,
    "is_calibrated": False,
    "shared_with_training": NOTHING,
}


@pytest.fixture
def run(rng):
    """The record of a clean run."""
    targets = rng.standard_normal((3, 6)).astype(np.float32)
    return {
        "split": CLEAN,
        "target_dependence": 0.0,
        "target_mean": targets.mean(axis=0),
        "training_targets": targets,
        "best_epoch": 2,
        "history": pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [3.0, 1.0, 2.0]}),
        "beyond": {"two_way": 0.5, "p": 0.4},
        "people": PEOPLE,
    }


def test_a_clean_run_has_no_leak(run):
    content = audit_run(**run)
    assert content["leaks"] == []
    assert (content["statistics_fitted_on"], content["checkpoint_chosen_on"]) == ("train", "validation")
    assert {finding: content[finding] for finding in FINDINGS if content[finding]} == {}
    baseline = audit_run(**run | {"best_epoch": None, "history": None})
    assert (baseline["leaks"], baseline["checkpoint_chosen_on"]) == ([], None)


def test_without_a_picture_encoder_there_is_none_to_leak(run):
    content = audit_run(**run | {"split": CLEAN | {"picture_encoder": None}, "beyond": None})
    assert {finding: content[finding] for finding in FINDINGS if content[finding]} == {}
    assert content["beyond"] is None


@pytest.mark.parametrize(("p", "caveats"), [(0.051, []), (0.049, ["more is found than pictures explain"])])
def test_what_pictures_do_not_explain_is_a_caveat_where_it_is_no_chance(run, p, caveats):
    content = audit_run(**run | {"beyond": {"two_way": 0.6, "p": p}})
    assert (content["leaks"], content["caveats"]) == ([], caveats)


def test_what_exact_pairs_hold_beyond_pictures_is_a_finding(run):
    content = audit_run(**run | {"split": CLEAN | {"is_exact": True}, "beyond": {"two_way": 0.6, "p": 0.01}})
    assert (content["leaks"], content["caveats"]) == ([], [])
    assert content["beyond"] == {"two_way": 0.6, "p": 0.01}


def test_each_leak_of_a_run_is_named(run):
    targets = run["training_targets"]
    more_targets = np.concatenate([targets, targets[:1]])
    planted = {
        "targets in predictions": {"target_dependence": 1e-9},
        "statistics not of the training pairs": {"target_mean": more_targets.mean(axis=0)},
        "checkpoint not chosen on validation": {"best_epoch": 3},
        "test pairs in anybody's training": {
            "people": PEOPLE | {"shared_with_training": NOTHING | {"concepts": 2}}
        },
        "tested person in the training of others": {"people": PEOPLE | {"people": "others"}},
    }
    for name, change in planted.items():
        assert audit_run(**run | change)["leaks"] == [name]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("test EEG pictures in training", "shared_with_training", {"test": {"EEG pictures": 1}}),
        ("test fMRI pictures in training", "shared_with_training", {"test": {"fMRI pictures": 1}}),
        ("test concepts in training", "shared_with_training", {"test": {"concepts": 2}}),
        ("near duplicates of training pictures", "near_duplicates", {"test": 1}),
        (
            "test fMRI pictures in the picture encoder",
            "picture_encoder",
            {"test": {"pictures": 1, "near_duplicates": 0}},
        ),
        (
            "near duplicates of the picture encoder's pictures",
            "picture_encoder",
            {"test": {"pictures": 0, "near_duplicates": 1}},
        ),
        ("ridge-fitted test targets", "ridge_fitted_targets", {"test": 0.1}),
        ("raw EEG samples shared with training", "overlapping_test_trials", 0.1),
        ("raw EEG samples shared with training", "overlapping_test_trials", None),
        ("EEG whitened by test trials, too", "whitened_by_test", 0.5),
    ],
)
def test_each_finding_of_the_split_is_a_leak_a_caveat_or_unknown(run, name, key, value):
    """What test trials and targets are like is a caveat; what is unknown is no leak."""
    kinds = dict.fromkeys(("ridge_fitted_targets", "overlapping_test_trials", "whitened_by_test"), "caveats")
    expected = "unknown" if value is None else kinds.get(key, "leaks")
    content = audit_run(**run | {"split": run["split"] | {key: value}})
    assert {finding: content[finding] for finding in FINDINGS if content[finding]} == {expected: [name]}


def test_a_calibrated_run_of_others_may_know_the_tested_person(run):
    people = PEOPLE | {"people": "others", "is_calibrated": True}
    assert audit_run(**run | {"people": people})["leaks"] == []
