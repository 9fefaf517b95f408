"""Surfaces of the cortex as FreeSurfer and NSD write them, and volumes seen on them."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.volumes import REMEDY, volume_damage


class Hemisphere(NamedTuple):
    """One hemisphere, and where each of its vertices lies in the volume."""

    coordinates: np.ndarray  # (n_vertices, 3) float64, mm, of the inflated surface
    faces: np.ndarray  # (n_faces, 3) int, its triangles
    sulci: np.ndarray  # (n_vertices,) float, their depth
    places: np.ndarray  # (n_vertices, 3) float, indices in the volume from 0; NaN or outside: not in it


def read_hemisphere(
    surface: str | os.PathLike, sulci: str | os.PathLike, transform: str | os.PathLike
) -> Hemisphere:
    """Read one hemisphere of an NSD subject.

    Parameters
    ----------
    surface : ``freesurfer/subj01/surf/lh.inflated``.
    sulci : ``lh.sulc`` beside it.
    transform : ``ppdata/subj01/transforms/lh.func1pt8-to-layerB2.mgz``, whose indices count from 1 (nsdcode).

    Raises
    ------
    InputError
        When a file is missing or damaged, or they are not of one hemisphere.
    """
    from nibabel.freesurfer.io import read_geometry, read_morph_data
    from nibabel.freesurfer.mghformat import MGHImage

    coordinates, faces = _read(surface, read_geometry)
    depth = np.asarray(_read(sulci, read_morph_data))
    found = _read(transform, lambda path: MGHImage.from_filename(path).get_fdata())
    n_vertices = len(coordinates)
    if depth.shape != (n_vertices,):
        raise InputError(
            f"{sulci}: expected one depth for each of the {n_vertices} vertices of {surface}, got "
            f"{depth.shape}; {REMEDY}"
        )
    if found.size != 3 * n_vertices or len(found) != n_vertices:
        raise InputError(
            f"{transform}: expected three indices for each of the {n_vertices} vertices of {surface}, got "
            f"{found.shape}; {REMEDY}"
        )
    return Hemisphere(coordinates, faces, depth, found.reshape(n_vertices, 3) - 1)


def sample(volume: np.ndarray, hemisphere: Hemisphere) -> np.ndarray:
    """Return the value of the voxel in which each vertex lies, (n_vertices,) float32.

    It is not interpolated: at the edge of a region half of what would be averaged is not there.

    Parameters
    ----------
    volume : (n_x, n_y, n_z) float32. A vertex outside it is NaN.
    """
    places = np.nan_to_num(np.rint(hemisphere.places), nan=-1)
    is_in = ((places >= 0) & (places < volume.shape)).all(axis=1)
    values = np.full(len(places), np.nan, np.float32)
    values[is_in] = volume[tuple(places[is_in].astype(int).T)]
    return values


def read_hemispheres(files: Sequence[str | os.PathLike]) -> list[Hemisphere]:
    """Read the left and the right hemisphere, three files each, see `read_hemisphere`."""
    return [read_hemisphere(*files[:3]), read_hemisphere(*files[3:])]


def _read(path: str | os.PathLike, read: Callable[..., Any]) -> Any:
    check_regular(path, remedy=REMEDY)
    try:
        return read(path)
    except volume_damage() as error:
        raise InputError(f"{path}: cannot read this surface file ({reason(error)}); {REMEDY}") from None
