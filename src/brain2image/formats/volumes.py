"""Volumes of a brain: the mask that says where voxels lie, and vectors of voxels put back into it (NIfTI)."""

import os
import zlib
from typing import Any, NamedTuple

import numpy as np

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular

REMEDY = "download it again"
LABELS = (-1, 0, 1)  # of NSD's ROIs: no cortex, cortex, in the ROI
MAX_VOXELS = 10**8  # NSD's volumes have 10^6; a damaged header may claim any number


class Mask(NamedTuple):
    """Where the voxels of the betas lie, and the header with which volumes of them are written."""

    inside: np.ndarray  # (n_x, n_y, n_z) bool; the voxels of the betas, in the order of C
    cortex: np.ndarray  # (n_x, n_y, n_z) bool; all that the file calls cortex
    affine: np.ndarray  # (4, 4) float64, from indices to mm
    header: Any  # nibabel's


def read_mask(path: str | os.PathLike, *, n_voxels: int) -> Mask:
    """Read a region of interest as NSD writes it: 1 inside, 0 in other cortex, -1 elsewhere.

    The betas of MindEye1 and MindEye2 hold the voxels of ``nsdgeneral`` in the order in which a boolean mask
    takes them out of the volume, the last axis running fastest.

    Parameters
    ----------
    path : ``func1pt8mm/roi/nsdgeneral.nii.gz``, NIfTI with three axes.
    n_voxels : of the betas.

    Raises
    ------
    InputError
        When the file is missing, damaged or none such, or has another number of voxels inside.
    """
    values, image = _read(path)
    if values.ndim != 3 or not np.isin(values, LABELS).all():
        found = ", ".join(f"{value:g}" for value in np.unique(values)[:5])
        raise InputError(
            f"{path}: expected a volume of -1 (no cortex), 0 (cortex) and 1 (in the region), got the shape "
            f"{values.shape} with {found or 'nothing'}; {REMEDY}"
        )
    inside = values == 1
    if (n_found := int(inside.sum())) != n_voxels:
        raise InputError(
            f"{path}: expected {n_voxels} voxels in the region, as the betas have, got {n_found}; take "
            "nsdgeneral of the same person from func1pt8mm"
        )
    return Mask(inside, values >= 0, image.affine, image.header)


def write_volume(path: str | os.PathLike, values: np.ndarray, mask: Mask) -> None:
    """Write a vector of voxels as a NIfTI volume with the mask's affine, atomically.

    Parameters
    ----------
    path : ``.nii.gz``.
    values : (n_voxels,), in the order of the betas; outside the mask the volume is NaN.
    """
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(put_back(values, mask), mask.affine, mask.header)
    image.set_data_dtype(np.float32)
    with atomic_path(path) as scratch:
        image.to_filename(scratch)


def read_volume(path: str | os.PathLike, mask: Mask) -> np.ndarray:
    """Read the vector of voxels that `write_volume` wrote, (n_voxels,) float32."""
    values, _ = _read(path)
    if values.shape != mask.inside.shape:
        raise InputError(
            f"{path}: expected the mask's shape {mask.inside.shape}, got {values.shape}; delete it and "
            "run again"
        )
    return values[mask.inside].astype(np.float32)


def put_back(values: np.ndarray, mask: Mask) -> np.ndarray:
    """Put a vector of voxels, (n_voxels,), back into a volume, (n_x, n_y, n_z) float32, NaN elsewhere."""
    volume = np.full(mask.inside.shape, np.nan, np.float32)
    volume[mask.inside] = values
    return volume


def upright(volume: np.ndarray, mask: Mask) -> np.ndarray:
    """Turn a volume so that its axes run to the right, to the front and up, whatever the mask's do."""
    from nibabel.orientations import apply_orientation, io_orientation

    return apply_orientation(volume, io_orientation(mask.affine))


def _read(path: str | os.PathLike) -> tuple[np.ndarray, Any]:
    """Read the values of a NIfTI file, float32, and the image of its header."""
    from nibabel.nifti1 import Nifti1Image

    check_regular(path, remedy=REMEDY)
    try:
        image = Nifti1Image.from_filename(path)
        if not 0 < np.prod(image.shape, dtype=float) <= MAX_VOXELS:
            raise ValueError(f"a shape of {image.shape}")
        return image.get_fdata(dtype=np.float32), image
    except volume_damage() as error:
        raise InputError(f"{path}: cannot read this NIfTI file ({reason(error)}); {REMEDY}") from None


def volume_damage() -> tuple[type[Exception], ...]:
    """Return what nibabel raises on a damaged file, whichever part is."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError, ImageDataError
    from nibabel.wrapstruct import WrapStructError

    own = (ImageFileError, HeaderDataError, ImageDataError, WrapStructError)
    python = (OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, zlib.error)
    return own + python
