"""What lies in the folder of NSD: headers are read, no more."""

from collections.abc import Mapping, Sequence

import numpy as np

from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd.betas import check_betas
from brain2image.datasets.nsd.checks import N_TRIALS, read_indices, read_shared1000
from brain2image.datasets.nsd.nsd import DATASET
from brain2image.formats.hdf5 import open_dataset


def describe_person(data: Mapping[str, str], person: str) -> str:
    """Say which release of a person is there, and what its files hold."""
    release, _, files = DATASET.find_release(data, person, must_exist=True)
    return f"{release}: {_DESCRIBE[release](person, files)}"


def _mindeye2(person: str, files: Sequence[str]) -> str:
    betas, indices, shared1000, _ = files
    with open_dataset(betas, "betas") as dataset:
        check_betas(dataset, person, betas)
        n_trials, n_voxels = dataset.shape
    n_images = len(np.unique(read_indices(indices, person)))
    read_shared1000(shared1000)
    return f"{n_trials:,} of {N_TRIALS[person]:,} trials, {n_voxels:,} voxels, {n_images:,} pictures"


def _mindeye1(_: str, files: Sequence[str]) -> str:
    samples = mindeye1.read_samples(tuple(files))
    return f"{len(samples):,} pictures, {samples['n_repetitions'].sum():,} trials"


_DESCRIBE = {"mindeye2": _mindeye2, "mindeye1": _mindeye1}
