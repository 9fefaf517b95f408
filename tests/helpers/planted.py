"""A small LMDB with a planted signal, and a small run, for the tests of training."""

import h5py
import numpy as np
import pandas as pd

from brain2image.config import RunConfig
from brain2image.formats.hdf5 import write_trials
from brain2image.models.encoders.base import EEGLayout
from brain2image.training_set.lmdb_store import write_lmdb

N_CHANNELS, N_FEATURES, N_CLUSTERS = 8, 16, 3
SPLITS = {"train": 40, "val": 10, "test": 10}
OUTPUTS = {
    "model": "model.safetensors",
    "config": "config.json",
    "history": "history.csv",
    "tensorboard": "tensorboard",
}


def planted_layout(n_channels=N_CHANNELS):
    """Channels, samples and rate of the EEG that `planted_lmdb` writes, or of other small EEG."""
    return EEGLayout(tuple(f"E{number}" for number in range(n_channels)), 200, 200.0)


def planted_run(**blocks):
    """A run of the smallest model, with the given values over it."""
    defaults = {
        "model": {
            "pooling": "flatten",
            "pretrained": False,
            "n_layers": 1,
            "hidden_size": 64,
            "n_heads": 4,
        },
        "loss": {},
        "training": {"epochs": 2, "batch_size": 16},
    }
    return RunConfig(**{name: block | blocks.get(name, {}) for name, block in defaults.items()})


def planted_lmdb(folder, unit="uV", splits=SPLITS, shuffle_targets=False):
    """EEG and fMRI that share four latents; the EEG is smooth in time."""
    rng = np.random.default_rng(0)
    n_pairs, scale = sum(splits.values()), {"uV": 10.0, "whitened": 1.0}[unit]
    latents = rng.standard_normal((n_pairs, 4))
    waves = np.cumsum(rng.standard_normal((4, N_CHANNELS, 200)), axis=2)
    evoked = np.tensordot(latents, waves / waves.std(), axes=1)
    image = np.repeat(np.arange(n_pairs), 3)
    eeg = evoked[image] + rng.standard_normal((3 * n_pairs, N_CHANNELS, 200))
    targets = 7 + 3 * latents @ rng.standard_normal((4, N_FEATURES))
    targets = targets[image] + 0.3 * rng.standard_normal((3 * n_pairs, N_FEATURES))
    if shuffle_targets:
        first_test = 3 * (n_pairs - splits["test"])
        targets[first_test:] = rng.permutation(targets[first_test:])
    trials = pd.DataFrame({"image": image, "repetition": np.tile(np.arange(3), n_pairs), "session": 0})
    channels = [f"E{number}" for number in range(N_CHANNELS)]
    with h5py.File(folder / "eeg.h5", "w") as file:
        file["eeg"] = (scale * eeg).astype(np.float32)
        write_trials(file, trials, {"unit": unit, "sfreq": 200.0, "t0": 0.0, "channels": channels})
    with h5py.File(folder / "projection.h5", "w") as file:
        file["embedding"] = targets.astype(np.float32)
        write_trials(file, trials, {"checkpoint": "synthetic", "sha256": "0" * 64})
    images = np.arange(n_pairs)
    pairs = pd.DataFrame(
        {
            "eeg_image": images,
            "fmri_image": images,
            "similarity": 1.0,
            "concept": images.astype(str),
            "cluster": images % N_CLUSTERS,
            "split": np.repeat(list(splits), list(splits.values())),
        }
    )
    pairs.to_parquet(folder / "pairs.parquet")
    out = folder / "data.lmdb"
    write_lmdb(out, eeg=folder / "eeg.h5", projection=folder / "projection.h5", pairs=pairs)
    return out
