"""The noise ceiling of each voxel, in its place in the brain."""

import os

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import open_trials
from brain2image.formats.volumes import read_mask, write_volume
from brain2image.quality.fmri_quality import noise_ceiling, sum_moments

MIN_IMAGES = 3  # that were shown twice


def map_noise_ceiling(betas: str | os.PathLike, mask: str | os.PathLike, *, out: str | os.PathLike) -> None:
    """Write the noise ceiling of each voxel as a volume: % of the variance of the mean of a picture's trials.

    Parameters
    ----------
    betas : HDF5 with ``betas`` (n_trials, n_voxels) float32, see `betas.repack_fmri`.
    mask : see `volumes.read_mask`.
    out : NIfTI, see `fmri_quality.noise_ceiling` for the formula.
    """
    with open_trials(betas, "betas", ("n_trials", "n_voxels")) as (voxels, trials):
        place = read_mask(mask, n_voxels=voxels.shape[1])
        check_repetitions(trials, betas)
        pictures, picture = np.unique(trials["image"], return_inverse=True)
        moments = sum_moments(voxels, picture, strata=np.zeros(len(pictures), int)).pool(slice(None))
    write_volume(out, noise_ceiling(moments, single=False), place)


def check_repetitions(trials: pd.DataFrame, path: str | os.PathLike) -> None:
    """Raise InputError unless some pictures were shown twice."""
    n_images = int((trials["repetition"] == 1).sum())
    if n_images < MIN_IMAGES:
        raise InputError(
            f"{path}: expected {MIN_IMAGES} or more pictures that were shown twice, got {n_images}; maps of "
            "voxels need them: leave the folder of the masks out of the config's data"
        )
