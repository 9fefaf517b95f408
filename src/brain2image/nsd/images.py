"""The pictures of NSD that any subject saw."""

import os
from collections.abc import Iterator

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from brain2image.errors import InputError
from brain2image.files import write_parquet
from brain2image.nsd.release import N_IMAGES, open_dataset, read_indices, subjects_of

PIXELS_SHAPE = (N_IMAGES, 3, 224, 224)
# 73KID 2951 in NSD's own 1-based count (nsdexamples, example 2): it tells whether a list counts from 0.
FIRST_SHARED = 2950
# A bicubic resize leaves values a little outside 0 to 1; the release does not say how it was resized.
OVERSHOOT = 0.1


def repack_images(
    pixels: str | os.PathLike,
    indices: str | os.PathLike,
    shared1000: str | os.PathLike,
    *,
    out: str | os.PathLike,
) -> None:
    """Write the table of all pictures that any subject of the release saw.

    All subjects', not only those of the config: so a subject that is added later makes nothing stale.

    Parameters
    ----------
    pixels : coco_images_224_float16.hdf5.
    indices : COCO_73k_subj_indices.hdf5.
    shared1000 : shared1000.npy, a flag for each of the 73,000 pictures.
    out : Parquet table, sorted, with the columns image (int64, 0-based NSD id), row (int64, row of
        ``pixels``) and shared1000 (bool).
    """
    with open_dataset(pixels, "images") as dataset:
        _check_pixels(dataset, pixels)
    seen = np.unique(np.concatenate([read_indices(indices, name) for name in subjects_of(indices)]))
    shared = read_shared1000(shared1000)
    write_parquet(out, pd.DataFrame({"image": seen, "row": seen, "shared1000": shared[seen]}))


def read_shared1000(path: str | os.PathLike) -> np.ndarray:
    """The flag of each picture that all subjects were to see, (73000,) bool."""
    try:
        flags = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot read this .npy file ({error}); download it again") from None
    if flags.shape != (N_IMAGES,) or not np.isin(flags, (0, 1)).all():
        raise InputError(
            f"{path}: expected {N_IMAGES} flags of 0 or 1, got {flags.dtype} {flags.shape}; download it again"
        )
    flags = flags.astype(bool)
    first = int(np.argmax(flags)) if flags.any() else None
    if first != FIRST_SHARED:
        shifted = first is not None and abs(first - FIRST_SHARED) == 1
        raise InputError(
            f"{path}: expected the first shared picture at {FIRST_SHARED}, counted from 0, got {first}"
            f"{' (off by one: counted from 1?)' if shifted else ''}; download it again"
        )
    return flags


def read_images(table: pd.DataFrame, pixels: str | os.PathLike) -> Iterator[Image.Image]:
    """Yield the pictures of a table as RGB, 224 x 224, in its row order; one at a time is in memory.

    Parameters
    ----------
    table : the table of `repack_images`, or some rows of it.
    pixels : coco_images_224_float16.hdf5, values from 0 to 1.
    """
    with open_dataset(pixels, "images") as dataset:
        _check_pixels(dataset, pixels)
        for row in table["row"]:
            picture = dataset[int(row)].astype(np.float32)
            # written so that NaN is refused too
            if not (picture.min() >= -OVERSHOOT and picture.max() <= 1 + OVERSHOOT):
                raise InputError(
                    f"{pixels}: expected values from 0 to 1, got {picture.min():g} to {picture.max():g} "
                    f"in row {row}; download it again"
                )
            yield Image.fromarray(
                np.rint(picture.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0).copy()
            )


def _check_pixels(dataset: h5py.Dataset, path: str | os.PathLike) -> None:
    if dataset.shape != PIXELS_SHAPE or dataset.dtype != np.float16:
        raise InputError(
            f"{path}: expected float16 {PIXELS_SHAPE}, got {dataset.dtype} {dataset.shape}; "
            "use MindEye2's coco_images_224_float16.hdf5"
        )
