"""The LMDB: every trial once, found again, nothing beside the file; and its damage reported."""

import json
import os
import pickle

import h5py
import lmdb
import numpy as np
import pandas as pd
import pytest
from helpers.small_lmdb import ATTRIBUTES, N_CHANNELS, N_FEATURES, N_PAIRS, N_TIMES, write_from, write_sources

from brain2image.core.errors import InputError
from brain2image.training_set import lmdb_store
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs


@pytest.fixture
def sources(tmp_path):
    """EEG, fMRI and pairs."""
    return write_sources(tmp_path)


def test_every_trial_of_the_pairs_is_stored_once(sources):
    folder, eeg_trials, fmri_trials, pairs = sources
    out = write_from(sources)
    assert os.listdir(out.parent) == [out.name]
    reader = LMDBReader(out)
    pd.testing.assert_frame_equal(reader.pairs.drop(columns="pair"), pairs, check_dtype=False)
    parts = [
        ("eeg.h5", "eeg", eeg_trials, "eeg_image", reader.eeg_index, reader.eeg),
        ("projection.h5", "embedding", fmri_trials, "fmri_image", reader.fmri_index, reader.fmri),
    ]
    for name, dataset, trials, image, index, read in parts:
        data = h5py.File(folder / name)[dataset][:]
        used = trials.index[trials["image"].isin(pairs[image])]
        assert index["trial"].tolist() == list(range(len(used)))
        for row, entry in zip(used, index.itertuples(), strict=True):
            assert entry.image == trials["image"][row] == pairs[image][entry.pair]
            assert entry.repetition == trials["repetition"][row]
            assert entry.session == (trials["session"][row] if "session" in trials else -1)
            np.testing.assert_array_equal(read(entry.trial), data[row])


def test_the_file_is_as_documented(sources):
    """Read with lmdb, json and NumPy alone."""
    folder, _, _, _ = sources
    out = write_from(sources)
    copy = folder / "copy.lmdb"
    copy.write_bytes(out.read_bytes())
    with (
        lmdb.open(str(copy), subdir=False, readonly=True, lock=False) as environment,
        environment.begin() as txn,
    ):
        keys = [bytes(key).decode() for key, _ in txn.cursor()]
        meta = json.loads(txn.get(b"meta"))
        eeg = np.frombuffer(txn.get(b"eeg/00000000"), "<f4").reshape(meta["eeg_shape"])
    n_eeg, n_fmri = (sum(key.startswith(name) for key in keys) for name in ("eeg/", "fmri/"))
    reader = LMDBReader(out)
    assert (n_eeg, n_fmri) == (4 * N_PAIRS, len(reader.fmri_index))
    assert len(keys) == 4 + n_eeg + n_fmri
    assert {name: meta[name] for name in ("unit", "sfreq", "t0", "channels")} == {
        name: ATTRIBUTES[name] for name in ("unit", "sfreq", "t0", "channels")
    }
    assert (meta["n_pairs"], meta["n_features"], meta["dtype"]) == (N_PAIRS, N_FEATURES, "<f4")
    assert meta["eeg_attributes"] == {"subject": "sub-01"}
    assert meta["fmri_attributes"] == {"checkpoint": "final_subj01", "sha256": "0" * 64}
    assert eeg.shape == (N_CHANNELS, N_TIMES)
    assert out.stat().st_size < 3 * eeg.nbytes * n_eeg  # the map's unused part takes no space


def test_pair_without_repetitions(sources):
    pairs = sources[3].copy()
    pairs.loc[3, "fmri_image"] = 999
    with pytest.raises(InputError, match=r"projection\.h5: expected .* 1 have none .first: fmri_image 999"):
        write_from(sources, pairs)
    assert not list((sources[0]).glob("out/*"))


def test_pair_without_eeg_is_left_out(sources, caplog):
    pairs = sources[3].copy()
    pairs.loc[3, "eeg_image"] = 999
    reader = LMDBReader(write_from(sources, pairs))
    assert reader.pairs["fmri_image"].tolist() == pairs.drop(index=3)["fmri_image"].tolist()
    assert f"1 of {N_PAIRS} pairs are left out" in caplog.text


def test_picture_in_two_pairs_is_stored_once(sources):
    pairs = sources[3].copy()
    pairs.loc[1, "eeg_image"] = pairs.loc[0, "eeg_image"]
    reader = LMDBReader(write_from(sources, pairs))
    index = reader.eeg_index
    assert (len(index), index["trial"].nunique()) == (4 * N_PAIRS, 4 * (N_PAIRS - 1))
    first, second = (set(index.loc[index["pair"] == pair, "trial"]) for pair in (0, 1))
    assert first == second
    assert reader.eeg(max(index["trial"])).shape == (N_CHANNELS, N_TIMES)


def test_readers_share_a_file_and_see_a_new_one(sources):
    out = write_from(sources)
    readers = [LMDBReader(out) for _ in range(3)]
    link = out.with_suffix(".link")
    link.symlink_to(out)
    np.testing.assert_array_equal(readers[0].eeg(5), LMDBReader(link).eeg(5))
    write_from(sources, sources[3][:10])
    assert len(LMDBReader(out).pairs) == 10


def test_a_rebuild_changes_nothing_for_who_reads(sources):
    out = write_from(sources)
    reader = LMDBReader(out)
    before = reader.read("eeg", range(5))
    with h5py.File(sources[0] / "eeg.h5", "r+") as file:
        file["eeg"][:] = 1
    write_from(sources)
    np.testing.assert_array_equal(reader.read("eeg", range(5)), before)
    assert (LMDBReader(out).read("eeg", range(5)) == 1).all()


def test_another_process_notices_that_the_file_was_replaced(sources):
    """One that is spawned opens the file by its path; it must not mix old trial numbers with new trials."""
    out = write_from(sources)
    reader = pickle.loads(pickle.dumps(LMDBReader(out)))
    write_from(sources)
    lmdb_store._environments.clear()
    with pytest.raises(InputError, match="expected the file that was opened, but another one"):
        reader.eeg(0)


def test_a_full_map_grows(sources, monkeypatch):
    expected = LMDBReader(write_from(sources)).read("eeg", range(40))
    monkeypatch.setattr(lmdb_store, "_map_size", lambda *_: 8 * lmdb_store.PAGE)
    np.testing.assert_array_equal(LMDBReader(write_from(sources)).read("eeg", range(40)), expected)


def test_damaged_files(sources):
    folder = sources[0]
    content = write_from(sources).read_bytes()
    damaged = {"cut short": content[: len(content) // 2], "not an LMDB file": b"x" * 9000}
    for reason, start in damaged.items():
        path = folder / f"{len(start)}.lmdb"
        path.write_bytes(start)
        with pytest.raises(InputError, match=reason):
            LMDBReader(path)
    with pytest.raises(InputError, match="no such LMDB file"):
        LMDBReader(folder / "none.lmdb")
    path = folder / "empty.lmdb"
    lmdb.open(str(path), subdir=False, lock=False).close()
    with pytest.raises(InputError, match="the key meta, it is missing"):
        LMDBReader(path)


def test_missing_trial(sources):
    reader = LMDBReader(write_from(sources))
    with pytest.raises(InputError, match="the key eeg/00000999, it is missing"):
        reader.eeg(999)


def test_pair_means(sources):
    out = write_from(sources)
    reader = LMDBReader(out)
    eeg, targets, pairs = read_pairs(out, "test")
    assert (eeg.shape, targets.shape) == ((2, N_CHANNELS, N_TIMES), (2, N_FEATURES))
    assert pairs["pair"].tolist() == [10, 11]
    for means, index, read in (
        (eeg, reader.eeg_index, reader.eeg),
        (targets, reader.fmri_index, reader.fmri),
    ):
        for mean, pair in zip(means, pairs["pair"], strict=True):
            trials = index.loc[index["pair"] == pair, "trial"]
            np.testing.assert_allclose(mean, np.mean([read(trial) for trial in trials], axis=0), atol=1e-6)
