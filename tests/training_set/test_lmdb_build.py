"""The LMDB as it is written: what is in it, once, in how many bytes; and what is refused."""

import json
import logging
import os

import h5py
import lmdb
import numpy as np
import pandas as pd
import pytest
from helpers.projections import write_projection
from helpers.small_lmdb import (
    ATTRIBUTES,
    N_CHANNELS,
    N_FEATURES,
    N_PAIRS,
    N_PICTURES,
    N_TIMES,
    SOURCE,
    learnable_pictures,
    weights_of,
    write_eeg,
    write_from,
    write_predicted,
    write_sources,
    write_whole,
)

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import write_trials
from brain2image.pairs.overlap import WINDOW
from brain2image.training_set import lmdb_build
from brain2image.training_set.lmdb_store import LMDBReader


@pytest.fixture
def sources(tmp_path):
    """EEG, fMRI and pairs."""
    return write_sources(tmp_path)


def read_array(path, name):
    with h5py.File(path) as file:
        return file[name][:]


def test_every_trial_of_the_pairs_is_stored_once(sources):
    folder, eeg_trials, fmri_trials, pairs = sources
    out = write_from(sources)
    assert os.listdir(out.parent) == [out.name]
    reader = LMDBReader(out)
    pd.testing.assert_frame_equal(reader.pairs.drop(columns=["pair", "person"]), pairs, check_dtype=False)
    parts = [
        ("eeg.h5", "eeg", eeg_trials, "eeg_image", reader.eeg_index, reader.eeg),
        ("projection.h5", "embedding", fmri_trials, "fmri_image", reader.fmri_index, reader.fmri),
    ]
    for name, dataset, trials, image, index, read in parts:
        data = read_array(folder / name, dataset)
        used = trials.index[trials["image"].isin(pairs[image])]
        assert index["trial"].tolist() == list(range(len(used)))
        for row, entry in zip(used, index.itertuples(), strict=True):
            assert entry.image == trials["image"][row]
            assert entry.repetition == trials["repetition"][row]
            assert "session" not in trials or entry.session == trials["session"][row]
            np.testing.assert_array_equal(read(entry.trial), data[row])
    assert set(reader.pictures["image"]) == set(pairs["eeg_image"])
    assert not reader.pictures["is_learnable"].any()
    assert reader.predicted_index.empty


def test_a_picture_in_two_pairs_is_stored_once(sources):
    pairs = sources[3].copy()
    pairs.loc[1, "eeg_image"] = pairs.loc[0, "eeg_image"]
    reader = LMDBReader(write_from(sources, pairs))
    assert (reader.eeg_index["image"].value_counts() == 4).all()
    assert len(reader.eeg_index) == reader.eeg_index["trial"].nunique() == 4 * (N_PAIRS - 1)
    assert len(reader.pairs) == N_PAIRS
    assert reader.pictures["image"].is_unique
    assert reader.eeg(max(reader.eeg_index["trial"])).shape == (N_CHANNELS, N_TIMES)


def test_pictures_that_may_be_learned_from_are_stored_beside_the_pairs(sources):
    folder, eeg_trials, _, pairs = sources
    learnable = learnable_pictures(pairs)
    reader = LMDBReader(write_whole(sources))
    alone = learnable[~learnable["image"].isin(pairs["eeg_image"])]
    assert len(alone) == 4
    stored = {*pairs["eeg_image"], *alone["image"]}
    assert set(reader.pictures["image"]) == set(reader.eeg_index["image"]) == stored
    assert len(reader.eeg_index) == 4 * len(stored)
    pictures = reader.pictures.set_index("image")
    for row in pairs.itertuples():
        own = pictures.loc[row.eeg_image]
        assert (own["concept"], own["cluster"], own["split"]) == (row.concept, row.cluster, row.split)
        # the first pair's is none, as it would nearly equal a tested picture
        assert own["is_learnable"] == (row.split == "train" and row.Index > 0)
    for row in alone.itertuples():
        own = pictures.loc[row.image]
        assert (own["concept"], own["cluster"], own["split"]) == (row.concept, row.cluster, "train")
        assert own["is_learnable"]
    data, used = read_array(folder / "eeg.h5", "eeg"), eeg_trials["image"].isin(stored).to_numpy()
    np.testing.assert_array_equal(reader.read("eeg", reader.eeg_index["trial"]), data[used])


def test_learnable_pictures_without_a_trial_are_left_out(sources, caplog):
    learnable = learnable_pictures(sources[3])
    learnable.loc[len(learnable)] = {"image": 999, "concept": "a", "cluster": 0}
    with caplog.at_level(logging.INFO):
        reader = LMDBReader(write_whole(sources, learnable=learnable))
    assert 999 not in set(reader.pictures["image"])
    assert f"1 of {len(learnable)} pictures have no trial" in caplog.text


def test_predictions_are_stored_of_all_but_the_test_pictures(sources):
    folder, _, _, pairs = sources
    reader = LMDBReader(write_whole(sources))
    split = reader.pictures.set_index("image")["split"]
    assert set(reader.predicted_index["image"]) == set(split.index[split != "test"])
    assert set(pairs.loc[pairs["split"] == "val", "eeg_image"]) <= set(reader.predicted_index["image"])
    predicted = read_array(folder / "predicted.h5", "predicted_embedding")
    for entry in reader.predicted_index.itertuples():
        np.testing.assert_array_equal(reader.read("predicted", [entry.trial])[0], predicted[entry.image])
    assert reader.describe()["predicted"] == SOURCE | {"predicted": True}


def test_weights_of_trials_stand_in_the_index(sources):
    folder, eeg_trials, _, pairs = sources
    write_eeg(folder, eeg_trials.assign(onset=-1, weight=weights_of(eeg_trials)))
    index = LMDBReader(write_from(sources)).eeg_index
    used = eeg_trials["image"].isin(pairs["eeg_image"]).to_numpy()
    assert index["weight"].dtype == np.float32
    np.testing.assert_array_equal(index["weight"], weights_of(eeg_trials)[used])


@pytest.fixture
def overlapping(sources):
    """Trials one after another every 300 samples, so that each overlaps the three before and after it.

    The first partition holds the pictures of even number, the second those of odd ones.
    """
    folder, eeg_trials, _, _ = sources
    onsets = 300 * np.arange(len(eeg_trials))
    trials = eeg_trials.assign(session=0, onset=onsets)
    write_eeg(folder, trials)
    partition = np.where(np.arange(N_PICTURES) % 2, "test", "train")
    return trials, pd.DataFrame({"image": range(N_PICTURES), "partition": partition})


def test_training_trials_that_overlap_judged_ones_are_left_out(sources, overlapping, caplog):
    trials, pictures = overlapping
    pairs = sources[3]
    judged = trials[trials["image"].isin(pairs.loc[pairs["split"] != "train", "eeg_image"])]
    images = {*pairs.loc[pairs["split"] == "train", "eeg_image"], *learnable_pictures(pairs)["image"]}
    others = trials[trials["image"].isin(images)]  # those that are learned from
    expected = [
        row.Index
        for row in others.itertuples()
        if any(
            abs(row.onset - other.onset) < 1000 * WINDOW and row.image % 2 == other.image % 2
            for other in judged.itertuples()
        )
    ]
    assert 5 < len(expected) < len(others) - 5
    with caplog.at_level(logging.INFO):
        reader = LMDBReader(write_whole(sources, eeg_pictures=pictures, drop_overlapping_trials=True))
    assert reader.meta["overlapping_trials"] == {"n_dropped": len(expected), "n_trials": len(others)}
    assert f"{len(expected)} of {len(others)} training trials are left out" in caplog.text
    left = trials.drop(index=expected)
    left = left[left["image"].isin(reader.pictures["image"])]
    assert reader.eeg_index["image"].tolist() == left["image"].tolist()
    assert reader.eeg_index["repetition"].tolist() == left["repetition"].tolist()
    data = read_array(sources[0] / "eeg.h5", "eeg")
    np.testing.assert_array_equal(reader.read("eeg", reader.eeg_index["trial"]), data[left.index])


def test_a_pair_whose_trials_all_overlap_is_left_out(sources, overlapping):
    trials, pictures = overlapping
    tested = sources[3]["eeg_image"][sources[3]["split"] == "test"].iloc[0]
    first = sources[3]["eeg_image"][0]
    moment = trials["onset"][trials["image"] == tested].iloc[0]
    onset = trials["onset"].where(trials["image"] != first, moment)
    write_eeg(sources[0], trials.assign(onset=onset))
    pictures = pictures.assign(partition="train")
    reader = LMDBReader(write_from(sources, eeg_pictures=pictures, drop_overlapping_trials=True))
    assert first not in set(reader.pairs["eeg_image"]) | set(reader.pictures["image"])
    assert reader.pairs["pair"].tolist() == list(range(len(reader.pairs)))


def test_nothing_is_left_out_where_nobody_knows_or_nobody_asks(sources, overlapping, caplog):
    trials, pictures = overlapping
    reader = LMDBReader(write_from(sources, eeg_pictures=pictures))
    assert reader.meta["overlapping_trials"] == {"n_dropped": 0, "n_trials": 4 * (N_PAIRS - 4)}
    assert len(reader.eeg_index) == 4 * N_PAIRS
    write_eeg(sources[0], trials.assign(onset=-1))
    with caplog.at_level(logging.INFO):
        reader = LMDBReader(write_from(sources, eeg_pictures=pictures, drop_overlapping_trials=True))
    assert reader.meta["overlapping_trials"] is None
    assert len(reader.eeg_index) == 4 * N_PAIRS
    assert "does not say when its trials were" in caplog.text


def test_half_precision_states_its_error(sources, caplog):
    whole = LMDBReader(write_from(sources)).read("eeg", range(4 * N_PAIRS))
    with caplog.at_level(logging.INFO):
        reader = LMDBReader(write_from(sources, eeg_dtype="float16"))
    half = reader.read("eeg", range(4 * N_PAIRS))
    assert half.dtype == np.float32
    np.testing.assert_array_equal(half, whole.astype(np.float16))
    error = np.sqrt(np.mean((half - whole) ** 2) / np.mean(whole**2))
    assert 0 < error < 1e-3
    assert reader.meta["eeg_error"] == pytest.approx(error, rel=1e-3)
    assert f"EEG is stored as float16, off by {error:.2g} of its root mean square" in caplog.text
    assert LMDBReader(write_from(sources)).meta["eeg_error"] == 0


def test_values_that_half_precision_cannot_hold_are_named(sources):
    """Microvolts beyond 65504 would become infinite, which only a training would find."""
    folder, eeg_trials, _, _ = sources
    write_eeg(folder, eeg_trials.assign(onset=-1), 1e5 * np.ones((80, N_CHANNELS, N_TIMES)))
    with pytest.raises(InputError, match=r"eeg\.h5: expected EEG within float16's range"):
        write_from(sources, eeg_dtype="float16")


def test_the_file_is_as_documented(sources):
    """Read with lmdb, json and NumPy alone."""
    folder, _, _, _ = sources
    out = write_whole(sources)
    copy = folder / "copy.lmdb"
    copy.write_bytes(out.read_bytes())
    with (
        lmdb.open(str(copy), subdir=False, readonly=True, lock=False) as environment,
        environment.begin() as txn,
    ):
        keys = [bytes(key).decode() for key, _ in txn.cursor()]
        meta = json.loads(txn.get(b"meta"))
        eeg = np.frombuffer(txn.get(b"eeg/00000000"), "<f4").reshape(meta["eeg_shape"])
    reader = LMDBReader(out)
    numbers = {name: sum(key.startswith(f"{name}/") for key in keys) for name in ("eeg", "fmri", "predicted")}
    expected = [len(index) for index in (reader.eeg_index, reader.fmri_index, reader.predicted_index)]
    assert list(numbers.values()) == expected
    assert len(keys) == 1 + 5 + sum(expected)  # meta and five tables
    attributes = {name: ATTRIBUTES[name] for name in ("unit", "sfreq", "t0", "channels")}
    assert {name: meta[name] for name in attributes} == attributes
    assert (meta["n_pairs"], meta["n_features"], meta["dtype"]) == (N_PAIRS, N_FEATURES, "<f4")
    assert meta["eeg_attributes"] == {"subject": "sub-01", "raw_sfreq": 1000.0}
    assert meta["fmri_attributes"] == SOURCE
    assert eeg.shape == (N_CHANNELS, N_TIMES)


def test_the_file_takes_hardly_more_than_its_arrays(tmp_path):
    """Of THINGS-EEG2's 63 channels and MindEye2's 4096 features; a value takes whole pages of 4 kB."""
    n_images, n_trials = 20, 80
    images = np.repeat(np.arange(n_images), n_trials // n_images)
    trials = pd.DataFrame({"image": images, "repetition": 0, "session": 0, "onset": -1})
    with h5py.File(tmp_path / "eeg.h5", "w") as file:
        file["eeg"] = np.zeros((n_trials, 63, 200), np.float32)
        write_trials(file, trials, ATTRIBUTES | {"channels": [f"E{number}" for number in range(63)]})
    embedding = np.zeros((n_images, 4096), np.float32)
    write_projection(tmp_path / "projection.h5", embedding, np.arange(n_images))
    write_predicted(tmp_path, np.arange(n_images), embedding)
    pairs = pd.DataFrame({"eeg_image": range(3), "fmri_image": range(3), "split": ["train", "val", "test"]})
    pairs = pairs.assign(similarity=0.5, concept="a", cluster=0)
    pictures = pd.DataFrame({"image": range(n_images), "concept": "a", "cluster": 0, "partition": "train"})
    out = write_whole((tmp_path, None, None, pairs), eeg_pictures=pictures, learnable=pictures[3:])
    reader = LMDBReader(out)
    size = 4 * (
        63 * 200 * len(reader.eeg_index) + 4096 * (len(reader.fmri_index) + len(reader.predicted_index))
    )
    assert len(reader.eeg_index) == n_trials
    assert len(reader.predicted_index) == n_images - 1
    assert size < out.stat().st_size <= 1.1 * size


def test_a_full_map_grows(sources, monkeypatch):
    expected = LMDBReader(write_from(sources)).read("eeg", range(40))
    monkeypatch.setattr(lmdb_build, "_map_size", lambda *_: 8 * lmdb_build.PAGE)
    np.testing.assert_array_equal(LMDBReader(write_from(sources)).read("eeg", range(40)), expected)


def test_a_pair_without_eeg_is_left_out(sources, caplog):
    pairs = sources[3].copy()
    pairs.loc[3, "eeg_image"] = 999
    reader = LMDBReader(write_from(sources, pairs))
    assert reader.pairs["fmri_image"].tolist() == pairs.drop(index=3)["fmri_image"].tolist()
    assert f"1 of {N_PAIRS} pairs are left out" in caplog.text


def test_a_pair_without_repetitions_is_refused(sources):
    pairs = sources[3].copy()
    pairs.loc[3, "fmri_image"] = 999
    message = r"projection\.h5: expected each of 12 pictures, but 1 are not there .first: 999.; match again"
    with pytest.raises(InputError, match=message):
        write_from(sources, pairs)
    assert not list((sources[0]).glob("out/*"))


def test_a_picture_without_a_prediction_is_refused(sources):
    write_predicted(sources[0], np.arange(1, N_PICTURES), np.zeros((N_PICTURES - 1, N_FEATURES)))
    with pytest.raises(InputError, match=r"predicted\.h5: expected each of 14 pictures, but 1 are not there"):
        write_whole(sources)


def test_predictions_of_another_width_are_refused(sources):
    write_predicted(sources[0], np.arange(N_PICTURES), np.zeros((N_PICTURES, N_FEATURES + 1)))
    with pytest.raises(
        InputError, match=r"predicted\.h5: expected 8 features, as .*projection\.h5 has, got 9"
    ):
        write_whole(sources)


def test_nothing_to_learn_from_is_refused(sources):
    learnable = learnable_pictures(sources[3]).assign(image=lambda table: 900 + table["image"])
    message = (
        r"eeg\.h5: expected trials of pictures that may be learned from, 11 of which are listed, got none"
    )
    with pytest.raises(InputError, match=message):
        write_whole(sources, learnable=learnable)
    empty = pd.DataFrame({"image": [], "concept": [], "cluster": []})
    with pytest.raises(InputError, match="0 of which are listed, got none"):
        write_whole(sources, learnable=empty)
    assert not list((sources[0]).glob("out/*"))
