"""Examples: every trial with every repetition once, against loops."""

import numpy as np
import pytest

from brain2image.training_set.examples import TARGETS, Trials, draw_trials, list_examples

# Trials of three items; some are shared, as where one picture is in two pairs.
EEG = [np.array([10, 11]), np.array([12]), np.array([10, 13, 14])]
FMRI = [np.array([1]), np.array([2, 4]), np.array([4])]


@pytest.fixture
def trials():
    return Trials(EEG), Trials(FMRI)


def test_trials_are_those_of_the_items(trials):
    eeg, _ = trials
    assert eeg.numbers.tolist() == [10, 11, 12, 13, 14]
    found = [eeg.numbers[row[exists]].tolist() for row, exists in zip(eeg.by_item, eeg.exists, strict=True)]
    assert found == [[10, 11], [12], [10, 13, 14]]


@pytest.mark.parametrize("cross", [False, True])
def test_each_trial_is_an_example_and_crossed_with_each_repetition(trials, cross):
    eeg, fmri = trials
    examples = list_examples(eeg, fmri, cross=cross)
    found = set(zip(*(rows.tolist() for rows in examples), strict=True))
    assert len(found) == len(examples.item)
    expected = set()
    for item in range(3):
        repetitions = fmri.by_item[item][fmri.exists[item]].tolist()
        for trial in eeg.by_item[item][eeg.exists[item]].tolist():
            expected |= {(item, trial, repetition) for repetition in repetitions[: None if cross else 1]}
    assert found == expected


def test_drawn_trials_are_the_own_and_others_of_the_item(trials, rng):
    eeg, fmri = trials
    examples = list_examples(eeg, fmri, cross=False)
    counts = set()
    for _ in range(50):
        drawn = draw_trials(examples, eeg, 3, rng)
        assert (drawn[:, 0] == examples.trial).all()
        for item, row in zip(examples.item, drawn, strict=True):
            used = row[row >= 0].tolist()
            assert len(set(used)) == len(used)
            assert set(used) <= set(eeg.by_item[item][eeg.exists[item]].tolist())
            counts.add((int(item), len(used)))
    assert counts == {(0, 1), (0, 2), (1, 1), (2, 1), (2, 2), (2, 3)}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_repetitions_of_the_item(trials, rng, name):
    eeg, fmri = trials
    examples = list_examples(eeg, fmri, cross=name == "cross")
    rows = TARGETS[name](examples, fmri, rng)
    for item, row in zip(examples.item, rows, strict=True):
        allowed = set(fmri.by_item[item][fmri.exists[item]].tolist())
        used = set(row[row >= 0].tolist())
        assert used == allowed if name == "mean" else len(used) == 1 and used <= allowed
