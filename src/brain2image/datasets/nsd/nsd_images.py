"""The pictures of NSD: MindEye2's table of those that any subject saw, and their pixels in both releases."""

import io
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from einops import rearrange
from PIL import Image

from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular
from brain2image.datasets.nsd.checks import N_IMAGES, read_indices, read_shared1000, subjects_of
from brain2image.datasets.nsd.layout import PIXELS, SHARED
from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import open_dataset, read_rows
from brain2image.formats.pictures import Pictures, decode
from brain2image.formats.tars import Member, read_member

PIXELS_SHAPE = (N_IMAGES, 3, 224, 224)
# A bicubic resize leaves values a little outside 0 to 1; the release does not say how it was resized.
OVERSHOOT = 0.1


def repack_images(
    pixels: str | os.PathLike,
    indices: str | os.PathLike,
    shared1000: str | os.PathLike,
    *,
    out: str | os.PathLike,
) -> None:
    """Write the table of all pictures that any subject of MindEye2's release saw.

    All subjects', not only those of the config: so a subject that is added later makes nothing stale.
    Pictures that several subjects saw, and the shared 1,000, are one part of them, and each subject's own
    another: of a subject who is added later only the own ones are embedded.

    Parameters
    ----------
    pixels : coco_images_224_float16.hdf5.
    indices : COCO_73k_subj_indices.hdf5.
    shared1000 : shared1000.npy, a flag for each of the 73,000 pictures.
    out : Parquet table, sorted, with the columns image (int64, 0-based NSD id), row (int64, row of
        ``pixels``), shared1000 (bool) and part (``shared``, or the subject who saw it).
    """
    with open_dataset(pixels, "images") as dataset:
        _check_pixels(dataset, pixels)
    shared = read_shared1000(shared1000)
    part = np.full(N_IMAGES, "", dtype=object)
    for name in subjects_of(indices):
        own = np.unique(read_indices(indices, name))
        part[own] = np.where(shared[own] | (part[own] != ""), SHARED, name)
    seen = np.flatnonzero(part != "")
    table = {"image": seen, "row": seen, "shared1000": shared[seen], "part": part[seen]}
    write_parquet(out, pd.DataFrame(table))


def read_images(table: pd.DataFrame, root: str | os.PathLike) -> Pictures:
    """Open the pictures of a table as RGB, in its row order.

    Parameters
    ----------
    table : the table of `repack_images`, or of `mindeye1.repack_images`, or some rows of it.
    root : the folder of the release.
    """
    read = _read_pixels if "row" in table else _read_jpeg
    return Pictures(table, lambda row: read(row, Path(root)))


def _read_pixels(row: Any, root: Path) -> Image.Image:
    """Read a row of MindEye2's pixel file, values from 0 to 1."""
    with open_dataset(root / PIXELS, "images") as dataset:
        _check_pixels(dataset, root / PIXELS)
        picture = read_rows(dataset, row.row).astype(np.float32)
    # written so that NaN is refused too
    if not (picture.min() >= -OVERSHOOT and picture.max() <= 1 + OVERSHOOT):
        raise InputError(
            f"{root / PIXELS}: expected values from 0 to 1, got {picture.min():g} to {picture.max():g} "
            f"in row {row.row}; download it again"
        )
    pixels = rearrange(picture, "colours height width -> height width colours")
    return Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8, order="C"))


def _read_jpeg(row: Any, root: Path) -> Image.Image:
    """Read a JPEG inside one of MindEye1's tars, straight from its place."""
    source = f"{root / row.tar}: picture {row.image}"
    check_regular(root / row.tar, remedy="download it again")
    try:
        with open(root / row.tar, "rb") as tar:
            content = read_member(tar, Member(row.offset, row.size), source=source)
    except OSError as error:
        raise InputError(
            f"{root / row.tar}: cannot read this tar ({error.strerror}); download it again"
        ) from None
    return decode(io.BytesIO(content), source=source, remedy="download the tar again")


def _check_pixels(dataset: h5py.Dataset, path: str | os.PathLike) -> None:
    if dataset.shape != PIXELS_SHAPE or dataset.dtype != np.float16:
        raise InputError(
            f"{path}: expected float16 {PIXELS_SHAPE}, got {dataset.dtype} {dataset.shape}; "
            f"use MindEye2's {PIXELS}"
        )
