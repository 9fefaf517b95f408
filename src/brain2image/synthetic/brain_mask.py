"""A made-up region of a made-up brain, in the format of NSD's ROI files."""

import os

import numpy as np

from brain2image.core.atomic import atomic_path

VOXEL_MM = 1.8
THICKNESS = 3  # of the cortex, voxels
SHARE = 0.25  # of the cortex that is in the region, at most
ASPECT = (0.8, 1.0, 0.8)  # of a brain, from left to right, from back to front, upwards


def simulate_mask(n_voxels: int, *, out: str | os.PathLike) -> None:
    """Write a shell as cortex, and as many voxels at its back as there are betas as region.

    Parameters
    ----------
    n_voxels : inside the region.
    out : ``nsdgeneral.nii.gz``, int16: 1 in the region, 0 in other cortex, -1 elsewhere.
    """
    from nibabel.nifti1 import Nifti1Image

    values = draw_mask(n_voxels)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -VOXEL_MM * (np.array(values.shape) - 1) / 2
    with atomic_path(out) as scratch:
        Nifti1Image(values, affine).to_filename(scratch)


def draw_mask(n_voxels: int) -> np.ndarray:
    """Return the labels of the volume, (n_x, n_y, n_z) int16; the first axis runs to the right."""
    radius = THICKNESS + 2
    while (cortex := _shell(radius)).sum() * SHARE < n_voxels:
        radius += 1
    backwards = np.broadcast_to(np.arange(cortex.shape[1])[:, None], cortex.shape)[cortex]
    labels = np.zeros(len(backwards), np.int16)
    labels[np.argsort(backwards, kind="stable")[:n_voxels]] = 1
    values = np.full(cortex.shape, -1, np.int16)
    values[cortex] = labels
    return values


def _shell(radius: int) -> np.ndarray:
    axes = [np.arange(-radius - 1, radius + 2) / share for share in ASPECT]
    distance = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    return (distance <= radius) & (distance > radius - THICKNESS)
