"""Test queries: subsets of trials, one prediction for each, and targets that must not leak into them."""

import h5py
import numpy as np
import pandas as pd
import pytest

from brain2image.evaluation.predictions import read_predictions
from brain2image.evaluation.queries import (
    draw_subsets,
    read_eeg_halves,
    read_repetitions,
    write_test_predictions,
)
from brain2image.formats.hdf5 import write_trials
from brain2image.training_set.lmdb_build import write_lmdb
from brain2image.training_set.means import read_pairs, read_training_targets

N_PAIRS, N_TRIALS, N_REPETITIONS, N_FEATURES = 8, 5, 3, 6


@pytest.fixture
def lmdb(tmp_path, rng):
    """Eight pairs, the last four for the test; EEG of one channel that repeats the number of its trial."""
    eeg = pd.DataFrame({"image": np.repeat(range(N_PAIRS), N_TRIALS)})
    eeg = eeg.assign(repetition=eeg.groupby("image").cumcount(), session=0, onset=0)
    fmri = pd.DataFrame({"image": np.repeat(range(100, 100 + N_PAIRS), N_REPETITIONS)})
    fmri["repetition"] = fmri.groupby("image").cumcount()
    with h5py.File(tmp_path / "eeg.h5", "w") as file:
        file["eeg"] = np.tile(np.arange(len(eeg), dtype=np.float32)[:, None, None], (1, 1, N_FEATURES))
        write_trials(file, eeg, {"unit": "uV", "sfreq": 200.0, "t0": 0.0, "channels": ["Oz"]})
    with h5py.File(tmp_path / "fmri.h5", "w") as file:
        file["embedding"] = rng.standard_normal((len(fmri), N_FEATURES)).astype(np.float32)
        write_trials(file, fmri, {"checkpoint": "final_subj01"})
    pairs = pd.DataFrame(
        {
            "eeg_image": range(N_PAIRS),
            "fmri_image": range(100, 100 + N_PAIRS),
            "similarity": 0.5,
            "concept": [f"concept{number // 2}" for number in range(N_PAIRS)],
            "cluster": 0,
            "split": ["train"] * 4 + ["test"] * 4,
        }
    )
    path = tmp_path / "pair.lmdb"
    pictures = pd.DataFrame({"image": range(N_PAIRS), "partition": "train"})
    files = {"eeg": tmp_path / "eeg.h5", "projection": tmp_path / "fmri.h5"}
    write_lmdb(path, **files, pairs=pairs, eeg_pictures=pictures)
    return path


def predicted(lmdb, predict):
    out = lmdb.parent / "predictions.npz"
    write_test_predictions(out, predict, lmdb, target_mean=np.zeros(N_FEATURES, np.float32))
    return read_predictions(out)


def echo(pairs):
    return pairs.eeg[:, 0]


def test_subsets_are_disjoint_and_of_the_same_number_for_each_picture():
    trials = [np.arange(10), np.arange(10, 16), np.arange(16, 36)]
    subsets = draw_subsets(trials)
    assert list(subsets) == [1, 2, 4]
    assert [len(draws) for draws in subsets.values()] == [4, 3, 1]
    for count, draws in subsets.items():
        for picture, own in enumerate(trials):
            drawn = np.concatenate([draw[picture] for draw in draws])
            assert len(drawn) == len(set(drawn)) == count * len(draws)
            assert set(drawn) <= set(own)


@pytest.mark.parametrize(
    ("n_trials", "counts"), [([4, 4], [1, 2]), ([1, 1], []), ([1, 3], [1]), ([80, 4], [1, 2, 4])]
)
def test_all_trials_are_no_subset(n_trials, counts):
    assert list(draw_subsets([np.arange(n) for n in n_trials])) == counts


def test_each_number_of_trials_is_predicted_from_its_own_mean(lmdb):
    content = predicted(lmdb, echo)
    eeg, targets, pairs = read_pairs(lmdb, "test")
    np.testing.assert_array_equal(content.predictions, eeg[:, 0])
    np.testing.assert_array_equal(content.targets, targets)
    np.testing.assert_array_equal(content.eeg_image, pairs["eeg_image"])
    assert content.concept.tolist() == ["concept2", "concept2", "concept3", "concept3"]
    assert {count: len(drawn) for count, drawn in content.by_count.items()} == {1: 4, 2: 2, 4: 1}
    trials = content.by_count[1][:, :, 0]  # the echo of a single trial is its number
    assert all(len(set(numbers)) == 4 for numbers in trials.T)
    np.testing.assert_array_equal(trials // N_TRIALS, np.tile([4, 5, 6, 7], (4, 1)))


def test_repetitions_belong_to_their_targets(lmdb):
    content = predicted(lmdb, echo)
    for pair, target in enumerate(content.targets):
        own = content.repetitions[content.repetition_pair == pair]
        assert len(own) == N_REPETITIONS
        np.testing.assert_allclose(own.mean(axis=0), target, rtol=1e-5)


def test_training_targets_are_those_of_the_data_set(lmdb):
    np.testing.assert_array_equal(read_training_targets(lmdb), read_pairs(lmdb, "train")[1])


@pytest.mark.parametrize(
    "leak",
    [
        lambda pairs: echo(pairs) + 1e-3 * pairs.targets,
        lambda pairs: echo(pairs) + 1e-3 * pairs.table[["fmri_image"]].to_numpy(),
    ],
)
def test_a_predictor_that_looks_at_the_answer_is_caught(lmdb, leak):
    assert predicted(lmdb, echo).target_dependence == 0
    assert predicted(lmdb, leak).target_dependence > 0


def test_a_failed_prediction_leaves_no_file(lmdb):
    with pytest.raises(ZeroDivisionError):
        predicted(lmdb, lambda pairs: 1 / 0)
    assert not list(lmdb.parent.glob("*predictions*"))


def test_halves_share_no_trial_and_repetitions_keep_their_order(lmdb):
    halves, pairs = read_eeg_halves(lmdb)
    sums = 3 * halves[0][:, 0] + 2 * halves[1][:, 0]  # means of three and of two of the five trials
    np.testing.assert_allclose(sums, [sum(range(5 * n, 5 * n + 5)) for n in pairs["eeg_image"]], rtol=1e-6)
    repetitions = read_repetitions(lmdb)
    assert repetitions.shape == (N_REPETITIONS, 4, N_FEATURES)
    np.testing.assert_allclose(repetitions.mean(axis=0), read_pairs(lmdb, "test")[1], rtol=1e-5)
