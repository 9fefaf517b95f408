"""Batches of training examples: what they hold, and that memory, file and workers give the same."""

from collections import Counter

import lmdb
import numpy as np
import pytest
import torch
from helpers.small_lmdb import N_CHANNELS, N_TIMES, write_from, write_sources

from brain2image.core.errors import InputError
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.lmdb_store import LMDBReader

MODES = ["mean", "sample", "cross"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_from(write_sources(tmp_path_factory.mktemp("lmdb")))


@pytest.fixture(scope="module")
def reader(path):
    return LMDBReader(path)


def everything(dataset):
    return dataset[range(len(dataset))]


def trials_of(reader, name, pair):
    index = {"eeg": reader.eeg_index, "fmri": reader.fmri_index}[name]
    return reader.read(name, index.loc[index["pair"] == pair, "trial"].to_numpy())


def test_examples_are_single_trials_by_default(path, reader):
    dataset = AlignmentDataset(path, "val")
    clusters = reader.pairs.set_index("pair")["cluster"]
    assert len(dataset) == 2 * 4
    seen = Counter()
    for number in range(len(dataset)):
        example = dataset[number]
        assert example["eeg"].shape == (N_CHANNELS, N_TIMES)
        assert example["pair"] in (8, 9)
        assert example["cluster"] == clusters[example["pair"]]
        equal = (trials_of(reader, "eeg", example["pair"]) == example["eeg"].numpy()).all(axis=(1, 2))
        seen[example["pair"], *np.flatnonzero(equal)] += 1
        expected = trials_of(reader, "fmri", example["pair"]).mean(axis=0)
        np.testing.assert_allclose(example["target"], expected, rtol=1e-6)
    assert seen == Counter({(pair, trial): 1 for pair in (8, 9) for trial in range(4)})


def test_averages_hold_the_own_trial_and_change_every_epoch(path, reader):
    dataset, single = AlignmentDataset(path, "train", average_trials=3), AlignmentDataset(path, "train")
    sizes, epochs = Counter(), []
    for epoch in range(6):
        dataset.set_epoch(epoch)
        batch = everything(dataset)
        epochs.append(batch["eeg"])
        for number, pair in enumerate(batch["pair"].tolist()):
            trials = trials_of(reader, "eeg", pair).reshape(4, -1)
            weights, *_ = np.linalg.lstsq(trials.T, batch["eeg"][number].numpy().ravel(), rcond=None)
            size = int((weights > 1e-3).sum())
            np.testing.assert_allclose(weights[weights > 1e-3], 1 / size, rtol=1e-4)
            assert weights[(trials == single[number]["eeg"].numpy().ravel()).all(axis=1)] > 1e-3
            sizes[size] += 1
    # one, two or three trials, each for a third of 6 x 32 examples: 64 +- 6.5
    assert set(sizes) == {1, 2, 3}
    assert all(abs(n - 64) < 30 for n in sizes.values())
    assert not torch.equal(epochs[0], epochs[1])
    dataset.set_epoch(0)
    assert torch.equal(everything(dataset)["eeg"], epochs[0])
    other_seed = AlignmentDataset(path, "train", average_trials=3, seed=1)
    assert not torch.equal(everything(other_seed)["eeg"], epochs[0])


def test_an_average_of_more_trials_than_there_are(path, reader):
    batch = everything(AlignmentDataset(path, "train", average_trials=50))
    means = {pair: trials_of(reader, "eeg", pair).mean(axis=0) for pair in batch["pair"].tolist()}
    is_mean = [
        np.allclose(eeg, means[pair], atol=1e-6)
        for eeg, pair in zip(batch["eeg"], batch["pair"].tolist(), strict=True)
    ]
    assert np.mean(is_mean) > 0.7  # 47 of 50 draws are of four or more


def test_sampled_targets_are_single_repetitions_each_as_often(path, reader):
    dataset = AlignmentDataset(path, "train", fmri="sample")
    pair = next(pair for pair in range(8) if len(trials_of(reader, "fmri", pair)) == 3)
    examples = np.flatnonzero(everything(dataset)["pair"].numpy() == pair)
    drawn = Counter()
    for epoch in range(150):
        dataset.set_epoch(epoch)
        drawn.update(map(tuple, dataset[examples]["target"].tolist()))
    assert set(drawn) == set(map(tuple, trials_of(reader, "fmri", pair).tolist()))
    assert all(abs(n - 200) < 60 for n in drawn.values())  # 200 +- 11.5


def test_cross_holds_every_combination_once(path, reader):
    batch = everything(AlignmentDataset(path, "train", fmri="cross"))
    drawn = Counter(
        (pair, eeg[0, 0].item(), target[0].item())
        for pair, eeg, target in zip(batch["pair"].tolist(), batch["eeg"], batch["target"], strict=True)
    )
    expected = Counter(
        (pair, eeg[0, 0].item(), target[0].item())
        for pair in range(8)
        for eeg in trials_of(reader, "eeg", pair)
        for target in trials_of(reader, "fmri", pair)
    )
    assert drawn == expected


@pytest.mark.slow
@pytest.mark.parametrize("fmri", MODES)
@pytest.mark.parametrize("average_trials", [1, 3])
def test_memory_file_and_workers_give_the_same_batches(path, fmri, average_trials):
    options = {"fmri": fmri, "average_trials": average_trials}
    held = Batches(AlignmentDataset(path, "train", memory_limit_gb=1, **options), 5)
    readers = [Batches(AlignmentDataset(path, "train", **options), 5, n_workers=n) for n in (0, 2)]
    assert held.dataset.in_memory
    assert not readers[0].dataset.in_memory
    for epoch in (0, 3):
        for batches in (held, *readers):
            batches.set_epoch(epoch)
            batches.load_state_dict({"position": 0})
        for batch, *others in zip(held, *readers, strict=True):
            for other in others:
                assert all(torch.equal(batch[name], other[name]) for name in batch)


def test_the_limit_counts_eeg_and_fmri(path, reader):
    n_pairs, n_repetitions = 8, sum(len(trials_of(reader, "fmri", pair)) for pair in range(8))
    size = 4 * (4 * n_pairs * N_CHANNELS * N_TIMES + n_repetitions * reader.meta["n_features"]) / 1e9
    assert AlignmentDataset(path, "train", memory_limit_gb=1.001 * size).in_memory
    assert not AlignmentDataset(path, "train", memory_limit_gb=0.999 * size).in_memory


def test_every_epoch_holds_every_example_once_in_another_order(path):
    batches = Batches(AlignmentDataset(path, "train"), 5)
    single = {
        tuple(eeg.flatten()[:3].tolist()): n for n, eeg in enumerate(everything(batches.dataset)["eeg"])
    }
    orders = []
    for epoch in range(3):
        batches.set_epoch(epoch)
        epoch_eeg = [batch["eeg"] for batch in batches]
        assert [len(eeg) for eeg in epoch_eeg] == [5] * 6 + [2]
        orders.append([single[tuple(eeg.flatten()[:3].tolist())] for eeg in torch.cat(epoch_eeg)])
        assert sorted(orders[-1]) == list(range(32))
    assert orders[0] != orders[1] != orders[2]


def test_an_epoch_goes_on_where_its_state_says(path):
    batches = Batches(AlignmentDataset(path, "train", average_trials=2), 5)
    whole = [batch["eeg"] for batch in batches]
    assert batches.state_dict() == {"position": 0}
    epoch = iter(batches)
    for _ in range(3):
        next(epoch)
    resumed = Batches(AlignmentDataset(path, "train", average_trials=2), 5)
    resumed.load_state_dict(batches.state_dict())
    rest = [batch["eeg"] for batch in resumed]
    assert len(rest) == 4
    assert all(torch.equal(one, other) for one, other in zip(rest, whole[3:], strict=True))


@pytest.mark.parametrize(("batch_size", "sizes"), [(31, [31]), (32, [32]), (99, [32]), (16, [16, 16])])
def test_no_batch_has_a_single_row(path, batch_size, sizes):
    assert [len(batch["eeg"]) for batch in Batches(AlignmentDataset(path, "train"), batch_size)] == sizes


def test_processes_share_every_batch(path, monkeypatch):
    import brain2image.training_set.batches as module

    def shares(batch_size, n_processes):
        parts = []
        for rank in range(n_processes):
            monkeypatch.setattr(module, "_process", lambda rank=rank: (rank, n_processes))
            parts.append([batch["eeg"] for batch in Batches(AlignmentDataset(path, "train"), batch_size)])
        return parts

    ((*whole,),) = shares(10, 1)
    first, second = shares(10, 2)
    for batch, one, other in zip(whole, first, second, strict=True):
        assert torch.equal(batch, torch.stack((one, other), dim=1).flatten(0, 1))
    parts = shares(10, 3)  # a batch of 10 gives three rows to each, the last one of 2 none
    assert [[len(eeg) for eeg in part] for part in parts] == [[3, 3, 3]] * 3


def test_broken_values_are_named(path, tmp_path):
    copy = tmp_path / "copy.lmdb"
    copy.write_bytes(path.read_bytes())
    with lmdb.open(str(copy), subdir=False, lock=False) as environment, environment.begin(write=True) as txn:
        eeg = np.frombuffer(txn.get(b"eeg/00000003"), "<f4").copy()
        eeg[7] = np.nan
        txn.put(b"eeg/00000003", eeg.tobytes())
    message = r"copy.lmdb: expected finite eeg values, got NaN or infinity in trial 3; leave"
    with pytest.raises(InputError, match=message):
        for split in ("train", "val", "test"):
            AlignmentDataset(copy, split, memory_limit_gb=1)
    with pytest.raises(InputError, match=message):
        for split in ("train", "val", "test"):
            everything(AlignmentDataset(copy, split))


def test_refused_options(path):
    with pytest.raises(
        InputError, match="expected pairs of split 'dev', got none; this file has test, train, val"
    ):
        AlignmentDataset(path, "dev")
    with pytest.raises(InputError, match="expected one of mean, sample, cross, got 'median'"):
        AlignmentDataset(path, "train", fmri="median")
    with pytest.raises(InputError, match="expected 1 or more, got 0"):
        AlignmentDataset(path, "train", average_trials=0)
