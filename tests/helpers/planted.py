"""A small LMDB with a planted signal, and a small run, for the tests of training."""

import h5py
import numpy as np
import pandas as pd
from scipy.linalg import expm

from brain2image.config import RunConfig
from brain2image.formats.hdf5 import write_trials
from brain2image.models.encoders.base import EEGLayout
from brain2image.training_set.lmdb_build import write_lmdb

N_CHANNELS, N_FEATURES, N_CLUSTERS = 8, 16, 3
SPLITS = {"train": 40, "val": 10, "test": 10}
N_ALONE = 12  # pictures that nobody scanned, but that may be learned from
OUTPUTS = {
    "model": "model.safetensors",
    "config": "config.json",
    "history": "history.csv",
    "tensorboard": "tensorboard",
}
ALL = {"targets": "both", "pictures": "all"}  # all that a training may learn from


def planted_layout(n_channels=N_CHANNELS):
    """Channels, samples and rate of the EEG that `planted_lmdb` writes, or of other small EEG."""
    return EEGLayout(tuple(f"E{number}" for number in range(n_channels)), 200, 200.0)


def planted_run(**blocks):
    """A run of the smallest model on the measured pairs, with the given values over it."""
    defaults = {
        "model": {
            "pooling": "flatten",
            "pretrained": False,
            "n_layers": 1,
            "hidden_size": 64,
            "n_heads": 4,
        },
        "loss": {},
        "training": {"epochs": 2, "batch_size": 16, "targets": "measured", "pictures": "paired"},
    }
    return RunConfig(**{name: block | blocks.get(name, {}) for name, block in defaults.items()})


def planted_people(folder, n_people=3):
    """Training sets of people who saw the same pictures; their EEG differs by a rotation of the channels."""
    paths = []
    for person in range(1, n_people + 1):
        own = folder / f"person{person}"
        own.mkdir()
        path = folder / f"things-{person:02d}_subj01.lmdb"
        planted_lmdb(own, unit="whitened", person=person).rename(path)
        paths.append(path)
    return paths


def rotation_of(person, angle=1.0):
    """A rotation of the channels by this much, another one for every person."""
    turn = np.random.default_rng(person).standard_normal((N_CHANNELS, N_CHANNELS))
    turn = angle * (turn - turn.T) / np.linalg.norm(turn, 2)
    return expm(turn)


def planted_lmdb(
    folder,
    unit="uV",
    splits=SPLITS,
    shuffle_targets=False,
    person=None,
    cap=None,
    picture_set="",
    **recorded,
):
    """EEG and fMRI that share four latents; the EEG is smooth in time. Predictions are right.

    A person has noise of their own, and channels that are rotated by `rotation_of`. A cap is a list of the
    channels' names, in an order of its own; ``recorded`` are further attributes of the EEG.

    Three trials each of the pairs' pictures and of `N_ALONE` others, and three repetitions of the pairs'.
    """
    rng = np.random.default_rng(0)
    n_pairs, scale = sum(splits.values()), {"uV": 10.0, "whitened": 1.0}[unit]
    n_images = n_pairs + N_ALONE
    latents = rng.standard_normal((n_images, 4))
    waves = np.cumsum(rng.standard_normal((4, N_CHANNELS, 200)), axis=2)
    evoked = np.tensordot(latents, waves / waves.std(), axes=1)
    image = np.repeat(np.arange(n_images), 3)
    noise = rng if person is None else np.random.default_rng(person)
    eeg = evoked[image] + noise.standard_normal((len(image), N_CHANNELS, 200))
    if person is not None:
        eeg = rotation_of(person) @ eeg
    predicted = 7 + 3 * latents @ rng.standard_normal((4, N_FEATURES))
    targets = predicted[image[: 3 * n_pairs]] + 0.3 * rng.standard_normal((3 * n_pairs, N_FEATURES))
    if shuffle_targets:
        first_test = 3 * (n_pairs - splits["test"])
        targets[first_test:] = rng.permutation(targets[first_test:])
    trials = pd.DataFrame({"image": image, "repetition": np.tile(np.arange(3), n_images), "session": 0})
    channels = [f"E{number}" for number in range(N_CHANNELS)]
    if cap is not None:
        eeg, channels = eeg[:, [channels.index(name) for name in cap]], cap
    source = {"checkpoint": "synthetic", "sha256": "0" * 64}
    with h5py.File(folder / "eeg.h5", "w") as file:
        file["eeg"] = (scale * eeg).astype(np.float32)
        attributes = {"unit": unit, "sfreq": 200.0, "t0": 0.0, "channels": channels, **recorded}
        write_trials(file, trials.assign(onset=-1), attributes)
    with h5py.File(folder / "projection.h5", "w") as file:
        file["embedding"] = targets.astype(np.float32)
        write_trials(file, trials[: 3 * n_pairs], source)
    with h5py.File(folder / "predicted.h5", "w") as file:
        file["predicted_embedding"] = predicted.astype(np.float32)
        write_trials(file, pd.DataFrame({"image": range(n_images)}), source | {"predicted": True})
    images = np.arange(n_images)
    pictures = pd.DataFrame(
        {"image": images, "partition": "train", "concept": images.astype(str), "cluster": images % N_CLUSTERS}
    )
    split = np.repeat(list(splits), list(splits.values()))
    pairs = pd.DataFrame(
        {"eeg_image": images[:n_pairs], "fmri_image": images[:n_pairs], "similarity": 1.0, "split": split}
    ).assign(concept=pictures["concept"], cluster=pictures["cluster"])
    learnable = pictures[np.append(split == "train", np.full(N_ALONE, True))]
    for name, table in {"pairs": pairs, "pictures": pictures, "learnable": learnable}.items():
        table.to_parquet(folder / f"{name}.parquet")
    out = folder / "data.lmdb"
    write_lmdb(
        out,
        eeg=folder / "eeg.h5",
        projection=folder / "projection.h5",
        pairs=pairs,
        eeg_pictures=pictures,
        predicted=folder / "predicted.h5",
        learnable=learnable,
        picture_set=picture_set,
    )
    return out
