"""Small, ragged EEG and fMRI of a dozen pairs, and their LMDB, for the tests of the store and its readers."""

import h5py
import numpy as np
import pandas as pd

from brain2image.formats.hdf5 import write_trials
from brain2image.training_set.lmdb_build import write_lmdb

N_PICTURES, N_PAIRS, N_CHANNELS, N_TIMES, N_FEATURES = 20, 12, 4, 200, 8
ATTRIBUTES = {
    "unit": "uV",
    "sfreq": 200.0,
    "t0": 0.0,
    "channels": ["Fz", "Cz", "Pz", "Oz"],
    "subject": "sub-01",
    "raw_sfreq": 1000.0,
}
SOURCE = {"checkpoint": "final_subj01", "sha256": "0" * 64}


def _trials(images, rng):
    images = rng.permutation(images)
    repetition = pd.Series(images).groupby(images).cumcount().to_numpy()
    return pd.DataFrame(
        {"image": images, "repetition": repetition, "session": rng.integers(0, 4, len(images))}
    )


def write_sources(folder):
    """EEG of 20 THINGS pictures (4 trials of unequal weight), fMRI of 30 NSD pictures (1-3 repetitions).

    12 pairs, and predictions of all THINGS pictures.
    """
    rng = np.random.default_rng(0)
    eeg_trials = _trials(np.repeat(np.arange(N_PICTURES), 4), rng)
    fmri_trials = _trials(np.repeat(np.arange(30), 1 + np.arange(30) % 3), rng).drop(columns="session")
    write_eeg(folder, eeg_trials.assign(onset=-1), rng.standard_normal((80, N_CHANNELS, N_TIMES)))
    with h5py.File(folder / "projection.h5", "w") as file:
        file["embedding"] = rng.standard_normal((len(fmri_trials), N_FEATURES)).astype(np.float32)
        write_trials(file, fmri_trials, SOURCE)
    pairs = pd.DataFrame(
        {
            "eeg_image": rng.permutation(N_PICTURES)[:N_PAIRS],
            "fmri_image": rng.permutation(30)[:N_PAIRS],
            "similarity": np.linspace(0.9, 0.5, N_PAIRS),
            "concept": [f"concept{number // 2}" for number in range(N_PAIRS)],
            "cluster": np.arange(N_PAIRS) % 3,
            "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        }
    )
    write_predicted(folder, np.arange(N_PICTURES), rng.standard_normal((N_PICTURES, N_FEATURES)))
    return folder, eeg_trials, fmri_trials, pairs


def write_eeg(folder, trials, eeg=None):
    """EEG and its table of trials; None keeps the EEG that there is."""
    if eeg is None:
        with h5py.File(folder / "eeg.h5") as file:
            eeg = file["eeg"][:]
    with h5py.File(folder / "eeg.h5", "w") as file:
        file["eeg"] = eeg.astype(np.float32)
        write_trials(file, trials, ATTRIBUTES)


def write_predicted(folder, images, embedding):
    """Predicted embeddings of pictures."""
    with h5py.File(folder / "predicted.h5", "w") as file:
        file["predicted_embedding"] = embedding.astype(np.float32)
        write_trials(file, pd.DataFrame({"image": images}), SOURCE | {"predicted": True})


def weights_of(trials):
    """Weights of trials that differ."""
    return (0.5 + np.arange(len(trials)) % 3).astype(np.float32)


def learnable_pictures(pairs):
    """What may be learned from: all but the first training pair's, and but four that have no partner."""
    tested = pairs["eeg_image"][pairs["split"] != "train"]
    alone = np.setdiff1d(np.arange(N_PICTURES), pairs["eeg_image"])
    images = np.setdiff1d(np.arange(N_PICTURES), [*tested, pairs["eeg_image"][0], *alone[:4]])
    return pd.DataFrame(
        {"image": images, "concept": [f"concept{image % 5}" for image in images], "cluster": images % 3}
    )


def write_from(sources, pairs=None, **options):
    """The LMDB of these sources and pairs."""
    folder = sources[0]
    out = folder / "out" / "things-01_subj01.lmdb"
    files = {"eeg": folder / "eeg.h5", "projection": folder / "projection.h5"}
    pictures = pd.DataFrame({"image": range(N_PICTURES), "partition": "train"})
    options = {"eeg_pictures": pictures} | options
    write_lmdb(out, **files, pairs=sources[3] if pairs is None else pairs, **options)
    return out


def write_whole(sources, **options):
    """The LMDB with predictions and all pictures that may be learned from."""
    folder, _, _, pairs = sources
    options = {"predicted": folder / "predicted.h5", "learnable": learnable_pictures(pairs)} | options
    return write_from(sources, **options)
