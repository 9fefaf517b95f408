"""The LMDB: every trial once, found again, nothing beside the file; and its damage reported."""

import json
import os

import h5py
import lmdb
import numpy as np
import pandas as pd
import pytest
import torch

from brain2image.dataset import AlignmentDataset, pair_means
from brain2image.errors import InputError
from brain2image.files import write_trials
from brain2image.lmdb_store import LMDBReader, write_lmdb

N_PAIRS, N_CHANNELS, N_TIMES, N_FEATURES = 12, 4, 200, 8
ATTRIBUTES = {
    "unit": "uV",
    "sfreq": 200.0,
    "t0": 0.0,
    "channels": ["Fz", "Cz", "Pz", "Oz"],
    "subject": "sub-01",
}


def _trials(images, rng):
    images = rng.permutation(images)
    repetition = pd.Series(images).groupby(images).cumcount().to_numpy()
    return pd.DataFrame(
        {"image": images, "repetition": repetition, "session": rng.integers(0, 4, len(images))}
    )


@pytest.fixture
def sources(tmp_path):
    """EEG of 20 THINGS pictures (4 trials), fMRI of 30 NSD pictures (1-3 repetitions), 12 pairs."""
    rng = np.random.default_rng(0)
    eeg_trials = _trials(np.repeat(np.arange(20), 4), rng)
    fmri_trials = _trials(np.repeat(np.arange(30), 1 + np.arange(30) % 3), rng).drop(columns="session")
    with h5py.File(tmp_path / "eeg.h5", "w") as file:
        file["eeg"] = rng.standard_normal((len(eeg_trials), N_CHANNELS, N_TIMES)).astype(np.float32)
        write_trials(file, eeg_trials.assign(onset=0), ATTRIBUTES)
    with h5py.File(tmp_path / "projection.h5", "w") as file:
        file["embedding"] = rng.standard_normal((len(fmri_trials), N_FEATURES)).astype(np.float32)
        write_trials(file, fmri_trials, {"checkpoint": "final_subj01", "sha256": "0" * 64})
    pairs = pd.DataFrame(
        {
            "things_image": rng.permutation(20)[:N_PAIRS],
            "nsd_image": rng.permutation(30)[:N_PAIRS],
            "similarity": np.linspace(0.9, 0.5, N_PAIRS),
            "cluster": np.arange(N_PAIRS) % 3,
            "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        }
    )
    return tmp_path, eeg_trials, fmri_trials, pairs


def _write(sources, pairs=None):
    folder = sources[0]
    out = folder / "out" / "sub-01_subj01.lmdb"
    options = {"eeg": folder / "eeg.h5", "projection": folder / "projection.h5"}
    write_lmdb(out, pairs=sources[3] if pairs is None else pairs, **options)
    return out


def test_every_trial_of_the_pairs_is_stored_once(sources):
    folder, eeg_trials, fmri_trials, pairs = sources
    out = _write(sources)
    assert os.listdir(out.parent) == [out.name]
    reader = LMDBReader(out)
    pd.testing.assert_frame_equal(reader.pairs.drop(columns="pair"), pairs, check_dtype=False)
    parts = [
        ("eeg.h5", "eeg", eeg_trials, "things_image", reader.eeg_index, reader.eeg),
        ("projection.h5", "embedding", fmri_trials, "nsd_image", reader.fmri_index, reader.fmri),
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
    out = _write(sources)
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


@pytest.mark.parametrize(("column", "reason"), [("things_image", "eeg.h5"), ("nsd_image", "projection.h5")])
def test_pair_without_trials(sources, column, reason):
    pairs = sources[3].copy()
    pairs.loc[3, column] = 999
    with pytest.raises(InputError, match=f"{reason}: expected .* 1 have none .first: {column} 999"):
        _write(sources, pairs)
    assert not list((sources[0]).glob("out/*"))


def test_picture_in_two_pairs_is_stored_once(sources):
    pairs = sources[3].copy()
    pairs.loc[1, "things_image"] = pairs.loc[0, "things_image"]
    reader = LMDBReader(_write(sources, pairs))
    index = reader.eeg_index
    assert (len(index), index["trial"].nunique()) == (4 * N_PAIRS, 4 * (N_PAIRS - 1))
    first, second = (set(index.loc[index["pair"] == pair, "trial"]) for pair in (0, 1))
    assert first == second
    assert reader.eeg(max(index["trial"])).shape == (N_CHANNELS, N_TIMES)


def test_readers_share_a_file_and_see_a_new_one(sources):
    out = _write(sources)
    readers = [LMDBReader(out) for _ in range(3)]
    link = out.with_suffix(".link")
    link.symlink_to(out)
    np.testing.assert_array_equal(readers[0].eeg(5), LMDBReader(link).eeg(5))
    _write(sources, sources[3][:10])
    assert len(LMDBReader(out).pairs) == 10


def test_workers_read_after_a_fork(sources):
    dataset = AlignmentDataset(_write(sources), "train")
    loader = torch.utils.data.DataLoader(dataset, 8, num_workers=1, multiprocessing_context="fork")
    for batch, start in zip(loader, range(0, len(dataset), 8), strict=True):
        assert torch.equal(batch["eeg"], torch.stack([dataset[i]["eeg"] for i in range(start, start + 8)]))


def test_damaged_files(sources):
    folder = sources[0]
    content = _write(sources).read_bytes()
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
    reader = LMDBReader(_write(sources))
    with pytest.raises(InputError, match="the key eeg/00000999, it is missing"):
        reader.eeg(999)


def test_examples_are_single_trials_by_default(sources):
    out = _write(sources)
    reader, dataset = LMDBReader(out), AlignmentDataset(out, "val")
    assert len(dataset) == 2 * 4
    for number in range(len(dataset)):
        example = dataset[number]
        assert example["eeg"].shape == (N_CHANNELS, 1, N_TIMES)
        assert example["pair"] in (8, 9)
        assert example["cluster"] == sources[3]["cluster"][example["pair"]]
        own = reader.eeg_index.query("pair == @example['pair']")["trial"]
        assert sum(np.array_equal(example["eeg"][:, 0], reader.eeg(trial)) for trial in own) == 1
        repetitions = reader.fmri_index.query("pair == @example['pair']")["trial"]
        expected = np.mean([reader.fmri(trial) for trial in repetitions], axis=0)
        np.testing.assert_allclose(example["target"], expected, rtol=1e-6)


def test_averages_hold_the_own_trial_and_change_every_epoch(sources):
    out = _write(sources)
    reader, dataset = LMDBReader(out), AlignmentDataset(out, "train", average_trials=3)
    single = AlignmentDataset(out, "train")
    sizes = set()
    for number in range(len(dataset)):
        trials = reader.eeg_index.query("pair == @dataset[@number]['pair']")["trial"]
        arrays = np.stack([reader.eeg(trial).ravel() for trial in trials])
        weights, *_ = np.linalg.lstsq(arrays.T, dataset[number]["eeg"].numpy().ravel(), rcond=None)
        size = int((weights > 1e-3).sum())
        np.testing.assert_allclose(weights[weights > 1e-3], 1 / size, rtol=1e-4)
        own = np.flatnonzero((arrays == single[number]["eeg"].numpy().ravel()).all(axis=1))
        assert weights[own] > 1e-3
        sizes.add(size)
    assert sizes == {1, 2, 3}

    def epoch():
        return torch.stack([dataset[number]["eeg"] for number in range(len(dataset))])

    torch.manual_seed(0)
    first, second = epoch(), epoch()
    torch.manual_seed(0)
    assert torch.equal(epoch(), first)
    assert not torch.equal(first, second)


def test_sampled_targets_are_single_repetitions(sources):
    out = _write(sources)
    reader, dataset = LMDBReader(out), AlignmentDataset(out, "train", fmri="sample")
    repetitions = reader.fmri_index.groupby("pair")["trial"].apply(list)
    number = next(number for number in range(len(dataset)) if len(repetitions[dataset[number]["pair"]]) == 3)
    rows = {tuple(reader.fmri(trial)) for trial in repetitions[dataset[number]["pair"]]}
    assert {tuple(dataset[number]["target"].tolist()) for _ in range(60)} == rows


def test_pair_means(sources):
    out = _write(sources)
    reader = LMDBReader(out)
    eeg, targets, pairs = pair_means(out, "test")
    assert (eeg.shape, targets.shape) == ((2, N_CHANNELS, N_TIMES), (2, N_FEATURES))
    assert pairs["pair"].tolist() == [10, 11]
    for means, index, read in (
        (eeg, reader.eeg_index, reader.eeg),
        (targets, reader.fmri_index, reader.fmri),
    ):
        for mean, pair in zip(means, pairs["pair"], strict=True):
            trials = index.loc[index["pair"] == pair, "trial"]
            np.testing.assert_allclose(mean, np.mean([read(trial) for trial in trials], axis=0), atol=1e-6)


def test_refused_options(sources):
    out = _write(sources)
    with pytest.raises(
        InputError, match="expected pairs of split 'dev', got none; this file has test, train, val"
    ):
        AlignmentDataset(out, "dev")
    with pytest.raises(InputError, match="expected one of mean, sample, got 'median'"):
        AlignmentDataset(out, "train", fmri="median")
    with pytest.raises(InputError, match="expected 1 or more, got 0"):
        AlignmentDataset(out, "train", average_trials=0)
