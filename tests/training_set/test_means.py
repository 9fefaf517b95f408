"""Means of every pair: over its trials by their weight, over its repetitions, against loops."""

import numpy as np
import pytest
from helpers.small_lmdb import (
    N_CHANNELS,
    N_FEATURES,
    N_TIMES,
    weights_of,
    write_eeg,
    write_from,
    write_sources,
)

from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import list_trials, read_pairs, read_training_targets, trial_weights


@pytest.fixture
def sources(tmp_path):
    return write_sources(tmp_path)


@pytest.mark.parametrize("weighted", [False, True])
def test_pair_means(sources, weighted):
    folder, eeg_trials, _, _ = sources
    if weighted:
        write_eeg(folder, eeg_trials.assign(onset=-1, weight=weights_of(eeg_trials)))
    out = write_from(sources)
    reader = LMDBReader(out)
    eeg, targets, pairs = read_pairs(out, "test")
    assert (eeg.shape, targets.shape) == ((2, N_CHANNELS, N_TIMES), (2, N_FEATURES))
    assert eeg.dtype == targets.dtype == np.float32
    assert pairs["pair"].tolist() == [10, 11]
    for number, pair in enumerate(pairs.itertuples()):
        own = reader.eeg_index[reader.eeg_index["image"] == pair.eeg_image]
        weights = own["weight"] if weighted else np.ones(4)
        assert weighted == (len(set(weights)) > 1)
        trials = np.stack([reader.eeg(trial) for trial in own["trial"]])
        expected = sum(weight * trial for weight, trial in zip(weights, trials, strict=True)) / sum(weights)
        np.testing.assert_allclose(eeg[number], expected, atol=1e-6)
        repetitions = reader.fmri_index.loc[reader.fmri_index["image"] == pair.fmri_image, "trial"]
        expected = np.mean([reader.fmri(trial) for trial in repetitions], axis=0)
        np.testing.assert_allclose(targets[number], expected, atol=1e-6)


def test_a_training_set_without_weights_counts_all_alike(sources):
    reader = LMDBReader(write_from(sources))
    for name, index in (("eeg", reader.eeg_index), ("fmri", reader.fmri_index)):
        np.testing.assert_array_equal(trial_weights(reader, name), np.ones(len(index)))


def test_trials_come_in_the_order_of_the_pictures_asked_for(sources):
    reader = LMDBReader(write_from(sources))
    index = reader.eeg_index
    wanted = [*index["image"].unique()[[3, 0]], index["image"].unique()[3]]
    found = list_trials(index, wanted)
    assert [index["image"][numbers].unique().tolist() for numbers in found] == [[image] for image in wanted]
    assert all(len(numbers) == 4 for numbers in found)


def test_training_targets_are_those_of_the_pairs(sources):
    out = write_from(sources)
    np.testing.assert_array_equal(read_training_targets(out), read_pairs(out, "train").targets)
