"""The preprocessed releases of THINGS-EEG2, a few pictures and trials of them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.synthetic.preprocessed_files import (
    write_neurobridge,
    write_neurobridge_info,
    write_nice,
    write_ubp,
)
from helpers.empty_releases import THINGS

N_CONCEPTS, N_EACH, N_TEST = 6, 2, 5
SUBJECT = "sub-03"
DISK_CHANNELS = [CHANNELS[i] for i in np.random.default_rng(1).permutation(63)]
DTYPES = {"ubp": np.float16, "nice": np.float64, "neurobridge": np.float32}


def pictures_of(partition):
    """Table paths, in the order of the codes."""
    n_each = {"train": N_EACH, "test": 1}[partition]
    n_concepts = {"train": N_CONCEPTS, "test": N_TEST}[partition]
    folder = {"train": "training_images", "test": "test_images"}[partition]
    names = [f"{partition}{concept}_x" for concept in range(n_concepts)]
    return [
        f"{folder}/{concept + 1:05d}_{name}/{name}_{i + 1:02d}b.jpg"
        for concept, name in enumerate(names)
        for i in range(n_each)
    ]


def make_trials(seed, n_images, n_repetitions):
    """Whitened-like trials, (n_images, n_repetitions, 63, 250): each value survives float16."""
    rng = np.random.default_rng(seed)
    eeg = rng.standard_normal((n_images, n_repetitions, 63, 250)).cumsum(axis=-1)
    eeg -= eeg.mean(axis=-1, keepdims=True)
    return (eeg / eeg.std()).astype(np.float16).astype(np.float64)


def subject():
    """What is written: trials, channels, names and sessions of both partitions."""
    train, test = pictures_of("train"), pictures_of("test")
    return SimpleNamespace(
        eeg={"train": make_trials(2, len(train), 4), "test": make_trials(3, len(test), 6)},
        channels=list(DISK_CHANNELS),
        # UBP's script knows the training folder under this name
        pictures={"train": [name.replace("training", "train") for name in train], "test": test},
        sessions={
            "train": np.tile([0, 0, 2, 2], (len(train), 1)),
            "test": np.tile([0, 0, 1, 2, 3, 3], (len(test), 1)),
        },
        dtypes=dict(DTYPES),
    )


def write(folder, release, content):
    """Write a subject's files of one release; return them as `find_release` finds them."""
    paths = [Path(folder, pattern.format(person=SUBJECT)) for pattern in THINGS.releases[release]]
    for partition, path in zip(("train", "test"), paths, strict=False):
        eeg = content.eeg[partition].astype(content.dtypes[release])
        if release == "ubp":
            names, sessions = content.pictures[partition], content.sessions[partition]
            write_ubp(path, eeg, channels=content.channels, pictures=names, sessions=sessions)
        elif release == "nice":
            write_nice(path, eeg, channels=content.channels)
        else:
            write_neurobridge(path, eeg, n_images={"train": N_EACH, "test": 1}[partition])
            write_neurobridge_info(paths[2], channels=content.channels)
    return paths
