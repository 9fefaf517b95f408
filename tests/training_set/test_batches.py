"""Batches of training examples: what they hold, and that memory, file and workers give the same."""

from collections import Counter

import lmdb
import numpy as np
import pytest
import torch
from helpers.small_lmdb import N_CHANNELS, N_TIMES, weights_of, write_eeg, write_sources, write_whole

from brain2image.core.errors import InputError
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.lmdb_store import LMDBReader

PAIRS = {"targets": "measured", "pictures": "paired"}
ALL = {"targets": "both", "pictures": "all"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_whole(write_sources(tmp_path_factory.mktemp("lmdb")))


@pytest.fixture(scope="module")
def reader(path):
    return LMDBReader(path)


def everything(dataset):
    return dataset[range(len(dataset))]


def trials_of(reader, name, image):
    """All trials of a picture, or all repetitions of its partner."""
    index = {"eeg": reader.eeg_index, "fmri": reader.fmri_index}[name]
    if name == "fmri":
        image = reader.pairs.set_index("eeg_image")["fmri_image"][image]
    return reader.read(name, index.loc[index["image"] == image, "trial"].to_numpy())


def training_images(reader):
    return reader.pairs_of("train")["eeg_image"].tolist()


def test_examples_are_single_trials_by_default(path, reader):
    dataset = AlignmentDataset(path, "val")
    clusters = reader.pairs.set_index("eeg_image")["cluster"]
    images = reader.pairs_of("val")["eeg_image"].tolist()
    assert len(dataset) == 2 * 4
    seen = Counter()
    for number in range(len(dataset)):
        example = dataset[number]
        assert example["eeg"].shape == (N_CHANNELS, N_TIMES)
        assert example["image"] in images
        assert example["weight"] == 1
        assert example["cluster"] == clusters[example["image"]]
        equal = (trials_of(reader, "eeg", example["image"]) == example["eeg"].numpy()).all(axis=(1, 2))
        seen[example["image"], *np.flatnonzero(equal)] += 1
        expected = trials_of(reader, "fmri", example["image"]).mean(axis=0)
        np.testing.assert_allclose(example["target"], expected, rtol=1e-6)
    assert seen == Counter({(image, trial): 1 for image in images for trial in range(4)})


def test_averages_hold_the_own_trial_and_change_every_epoch(path, reader):
    dataset, single = AlignmentDataset(path, "train", average_trials=3), AlignmentDataset(path, "train")
    sizes, epochs = Counter(), []
    for epoch in range(6):
        dataset.set_epoch(epoch)
        batch = everything(dataset)
        epochs.append(batch["eeg"])
        for number, image in enumerate(batch["image"].tolist()):
            trials = trials_of(reader, "eeg", image).reshape(4, -1)
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
    means = {image: trials_of(reader, "eeg", image).mean(axis=0) for image in batch["image"].tolist()}
    is_mean = [
        np.allclose(eeg, means[image], atol=1e-6)
        for eeg, image in zip(batch["eeg"], batch["image"].tolist(), strict=True)
    ]
    assert np.mean(is_mean) > 0.7  # 47 of 50 draws are of four or more


def test_sampled_targets_are_single_repetitions_each_as_often(path, reader):
    dataset = AlignmentDataset(path, "train", fmri="sample")
    image = next(image for image in training_images(reader) if len(trials_of(reader, "fmri", image)) == 3)
    examples = np.flatnonzero(everything(dataset)["image"].numpy() == image)
    drawn = Counter()
    for epoch in range(150):
        dataset.set_epoch(epoch)
        drawn.update(map(tuple, dataset[examples]["target"].tolist()))
    assert set(drawn) == set(map(tuple, trials_of(reader, "fmri", image).tolist()))
    assert all(abs(n - 200) < 60 for n in drawn.values())  # 200 +- 11.5


def test_cross_holds_every_combination_once(path, reader):
    batch = everything(AlignmentDataset(path, "train", fmri="cross"))
    drawn = Counter(
        (image, eeg[0, 0].item(), target[0].item())
        for image, eeg, target in zip(batch["image"].tolist(), batch["eeg"], batch["target"], strict=True)
    )
    expected = Counter(
        (image, eeg[0, 0].item(), target[0].item())
        for image in training_images(reader)
        for eeg in trials_of(reader, "eeg", image)
        for target in trials_of(reader, "fmri", image)
    )
    assert drawn == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fmri", "average_trials", "learned"),
    [
        ("mean", 1, PAIRS),
        ("mean", 3, ALL),
        ("sample", 3, PAIRS),
        ("sample", 1, ALL),
        ("cross", 1, PAIRS),
        ("cross", 3, ALL),
        ("mean", 3, {"targets": "predicted", "pictures": "all"}),
    ],
)
def test_memory_file_and_workers_give_the_same_batches(path, fmri, average_trials, learned):
    options = {"fmri": fmri, "average_trials": average_trials, "measured_weight": 3.0, **learned}
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
    images = training_images(reader)
    n_repetitions = sum(len(trials_of(reader, "fmri", image)) for image in images)
    size = 4 * (4 * len(images) * N_CHANNELS * N_TIMES + n_repetitions * reader.meta["n_features"]) / 1e9
    assert AlignmentDataset(path, "train", memory_limit_gb=1.001 * size).in_memory
    assert not AlignmentDataset(path, "train", memory_limit_gb=0.999 * size).in_memory


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_pictures_come_with_their_own_predictions(path, reader, limit):
    """Beside the measured targets of the same pictures, in memory and from the file."""
    options = {"measured_weight": 3.0, "memory_limit_gb": limit}
    dataset = AlignmentDataset(path, "train", **ALL, **options)
    assert len(dataset) == 4 * len(dataset.items) == 4 * (11 + 8)
    predicted = reader.predicted_index.set_index("image")["trial"]
    kinds, batch = Counter(), everything(dataset)
    for number, image in enumerate(batch["image"].tolist()):
        equal = (trials_of(reader, "eeg", image) == batch["eeg"][number].numpy()).all(axis=(1, 2))
        assert equal.sum() == 1
        own, target = reader.read("predicted", [predicted.get(image)])[0], batch["target"][number].numpy()
        is_predicted = np.array_equal(target, own)
        if not is_predicted:
            np.testing.assert_allclose(target, trials_of(reader, "fmri", image).mean(axis=0), rtol=1e-6)
        kinds[is_predicted, round(batch["weight"][number].item(), 5)] += 1
    (few, many) = sorted({weight for _, weight in kinds})
    assert many == pytest.approx(3 * few, rel=1e-4)
    assert kinds == {(True, few): 4 * 11, (False, many): 4 * 8}
    assert np.mean(batch["weight"].numpy()) == pytest.approx(1, rel=1e-6)


def test_trials_count_by_their_weight_in_an_average(tmp_path):
    sources = write_sources(tmp_path)
    trials = sources[1].assign(onset=-1, weight=weights_of(sources[1]))
    write_eeg(tmp_path, trials)
    path = write_whole(sources)
    reader = LMDBReader(path)
    dataset = AlignmentDataset(path, "train", average_trials=3)
    batch, sizes = everything(dataset), Counter()
    for image, eeg in zip(batch["image"].tolist(), batch["eeg"].numpy(), strict=True):
        own, trials = reader.eeg_index[reader.eeg_index["image"] == image], trials_of(reader, "eeg", image)
        shares, *_ = np.linalg.lstsq(trials.reshape(4, -1).T, eeg.ravel(), rcond=None)
        used = shares > 1e-3
        weights = own["weight"].to_numpy()[used]
        np.testing.assert_allclose(shares[used], weights / weights.sum(), rtol=1e-3)
        sizes[used.sum(), len(set(weights)) > 1] += 1
    assert {(1, False), (2, True), (3, True)} <= set(sizes)


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_coordinates_belong_to_the_trials_that_are_averaged(path, reader, limit, rng):
    """They are linear in the EEG, so those of a mean are the mean of those of its trials."""
    shown = reader.pictures[reader.pictures["split"] == "train"]
    items = AlignmentDataset(path, "train", **ALL).items
    index = reader.eeg_index[reader.eeg_index["image"].isin(items["image"])]
    assert len(index) < 4 * len(reader.pictures)
    assert set(index["image"]) == set(shown["image"])
    weight = rng.standard_normal((N_CHANNELS * N_TIMES, 3)).astype(np.float32)
    coordinates = reader.read("eeg", index["trial"].to_numpy()).reshape(len(index), -1) @ weight
    options = {"average_trials": 3, "memory_limit_gb": limit, "coordinates": coordinates}
    batch = everything(AlignmentDataset(path, "train", **ALL, **options))
    expected = batch["eeg"].flatten(1).numpy() @ weight
    np.testing.assert_allclose(batch["coordinates"], expected, atol=1e-3)


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
