"""Drawn pictures on the disk, and whose EEG each gets in the null gallery."""

import os

import h5py
import numpy as np

from brain2image.formats.hdf5 import get_dataset, get_group, open_hdf5

LEVEL = "drawn"  # of the rows of scores
MEAN = "training_mean"  # what is drawn of nothing


def write_drawn(file: h5py.File, name: str, pictures: np.ndarray) -> None:
    """Write the drawn pictures of a run or of `MEAN`, (n_pairs, n_samples, side, side, 3) uint8."""
    file[MEAN if name == MEAN else f"runs/{name}"] = pictures


def read_drawn(path: str | os.PathLike, name: str) -> np.ndarray:
    """Read the drawn pictures of a run or of `MEAN`, (n_pairs, n_samples, side, side, 3) uint8."""
    with open_hdf5(path) as file:
        return get_dataset(file if name == MEAN else get_group(file, "runs"), name)[:]


def drawn_runs(path: str | os.PathLike) -> list[str]:
    """List the names of runs whose drawn pictures a file holds, sorted; `MEAN` is none."""
    with open_hdf5(path) as file:
        return sorted(get_group(file, "runs"))


def shuffled_pairs(n_pairs: int) -> np.ndarray:
    """Return the pair whose EEG each pair gets in the null gallery, half of the table away, (n_pairs,)."""
    return np.roll(np.arange(n_pairs), n_pairs // 2)
