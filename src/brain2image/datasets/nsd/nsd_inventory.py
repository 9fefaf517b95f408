"""What lies in the folders of NSD: headers are read, no more, but all of the small files of a brain."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd.betas import check_betas
from brain2image.datasets.nsd.checks import N_TRIALS, N_VOXELS, read_indices, read_shared1000
from brain2image.datasets.nsd.layout import SURFACES
from brain2image.datasets.nsd.nsd import DATASET
from brain2image.formats.hdf5 import open_dataset
from brain2image.formats.surfaces import read_hemispheres
from brain2image.formats.volumes import read_mask


def describe_person(data: Mapping[str, str], person: str) -> str:
    """Say which release of a person is there, what its files hold, and how voxels are put on the brain."""
    release, _, files = DATASET.find_release(data, person, must_exist=True)
    found, n_voxels = _DESCRIBE[release](person, files)
    return f"{release}: {found}{_describe_brain(data, person, n_voxels)}"


def _mindeye2(person: str, files: Sequence[str]) -> tuple[str, int]:
    betas, indices, shared1000, _ = files
    with open_dataset(betas, "betas") as dataset:
        check_betas(dataset, person, betas)
        n_trials, n_voxels = dataset.shape
    n_images = len(np.unique(read_indices(indices, person)))
    read_shared1000(shared1000)
    found = f"{n_trials:,} of {N_TRIALS[person]:,} trials, {n_voxels:,} voxels, {n_images:,} pictures"
    return found, n_voxels


def _mindeye1(person: str, files: Sequence[str]) -> tuple[str, int]:
    samples = mindeye1.read_samples(tuple(files))
    return f"{len(samples):,} pictures, {samples['n_repetitions'].sum():,} trials", N_VOXELS[person]


def _describe_brain(data: Mapping[str, str], person: str, n_voxels: int) -> str:
    brain = DATASET.find_brain(data, person, must_exist=True)
    if brain is None:
        return ""
    read_mask(brain.mask, n_voxels=n_voxels)
    if brain.surfaces:
        left, right = (len(one.coordinates) for one in read_hemispheres(brain.surfaces))
        return f"; maps on surfaces of {left:,} and {right:,} vertices"
    paths = (Path(data["nsddata"], path.format(person=person)) for path in SURFACES)
    missing = [path for path in paths if not path.is_file()]
    return f"; maps on slices: {len(missing)} of {len(SURFACES)} files of surfaces are missing ({missing[0]})"


_DESCRIBE = {"mindeye2": _mindeye2, "mindeye1": _mindeye1}
