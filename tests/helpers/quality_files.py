"""Trials whose quality is known, as the files that the quality is measured in."""

import h5py
import numpy as np
import pandas as pd

from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import write_trials
from brain2image.quality import fmri_quality as quality

N_IMAGES, N_TEST = 12, 4


def trial_table(*, n_repetitions, rng):
    """Trials in random order, as raw recordings have them; the last pictures are the test's."""
    image = rng.permutation(np.repeat(np.arange(N_IMAGES + N_TEST), n_repetitions))
    trials = pd.DataFrame({"image": image, "session": np.arange(len(image)) % 2})
    trials["repetition"] = trials.groupby("image").cumcount()
    return trials


def partitions():
    names = ["train"] * N_IMAGES + ["test"] * N_TEST
    return pd.DataFrame({"image": np.arange(len(names)), "partition": names})


def epochs(trials, rng, *, amplitude=10.0):
    return (amplitude * rng.standard_normal((len(trials), len(CHANNELS), 200))).astype(np.float32)


def write_eeg(path, eeg, trials, *, unit="uV"):
    with h5py.File(path, "w") as file:
        file["eeg"] = eeg
        attributes = {"unit": unit, "sfreq": 200.0, "t0": 0.0, "channels": list(CHANNELS), "release": "ubp"}
        write_trials(file, trials, attributes)
    write_parquet(path.with_suffix(".parquet"), partitions())
    return path, path.with_suffix(".parquet")


def simulate(rng, *, ncsnr, n_images=600, n_repetitions=3):
    """Trials in random order of columns with a known ratio of signal to noise."""
    image = rng.permutation(np.repeat(np.arange(n_images), n_repetitions))
    signal = np.asarray(ncsnr) * rng.standard_normal((n_images, len(ncsnr)))
    return (signal[image] + rng.standard_normal((len(image), len(ncsnr)))).astype(np.float32), image


def described(values, image, *, n_shared=0):
    shared = pd.Series(np.arange(image.max() + 1) < n_shared)
    return quality.describe_columns(values, image, shared)
