"""Small, ragged EEG and fMRI of a dozen pairs, and their LMDB, for the tests of the store and its readers."""

import h5py
import numpy as np
import pandas as pd

from brain2image.formats.hdf5 import write_trials
from brain2image.training_set.lmdb_store import write_lmdb

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


def write_sources(folder):
    """EEG of 20 THINGS pictures (4 trials), fMRI of 30 NSD pictures (1-3 repetitions), 12 pairs."""
    rng = np.random.default_rng(0)
    eeg_trials = _trials(np.repeat(np.arange(20), 4), rng)
    fmri_trials = _trials(np.repeat(np.arange(30), 1 + np.arange(30) % 3), rng).drop(columns="session")
    with h5py.File(folder / "eeg.h5", "w") as file:
        file["eeg"] = rng.standard_normal((len(eeg_trials), N_CHANNELS, N_TIMES)).astype(np.float32)
        write_trials(file, eeg_trials.assign(onset=0), ATTRIBUTES)
    with h5py.File(folder / "projection.h5", "w") as file:
        file["embedding"] = rng.standard_normal((len(fmri_trials), N_FEATURES)).astype(np.float32)
        write_trials(file, fmri_trials, {"checkpoint": "final_subj01", "sha256": "0" * 64})
    pairs = pd.DataFrame(
        {
            "eeg_image": rng.permutation(20)[:N_PAIRS],
            "fmri_image": rng.permutation(30)[:N_PAIRS],
            "similarity": np.linspace(0.9, 0.5, N_PAIRS),
            "concept": [f"concept{number // 2}" for number in range(N_PAIRS)],
            "cluster": np.arange(N_PAIRS) % 3,
            "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        }
    )
    return folder, eeg_trials, fmri_trials, pairs


def write_from(sources, pairs=None):
    """The LMDB of these sources and pairs."""
    folder = sources[0]
    out = folder / "out" / "things-01_subj01.lmdb"
    options = {"eeg": folder / "eeg.h5", "projection": folder / "projection.h5"}
    write_lmdb(out, pairs=sources[3] if pairs is None else pairs, **options)
    return out
