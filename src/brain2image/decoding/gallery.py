"""The file of pictures' tokens, as `gallery_tokens` writes it, and how pale these pictures are."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import get_dataset, open_hdf5, read_attributes
from brain2image.formats.tables import find_rows


class Gallery(NamedTuple):
    """Tokens of pictures in an open file.

    tokens : (n_images, n_tokens, token_width) float16.
    images : (n_images,) int64, their ids, rising.
    clip : the model and its weights.
    source : the file, for messages.
    """

    tokens: h5py.Dataset
    images: np.ndarray
    clip: str
    source: str

    def rows(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Find the rows of pictures; an InputError where one is missing."""
        return find_rows(pd.Series(self.images), images, source=self.source)


def half_contrast(mean: Sequence[float], std: Sequence[float]) -> dict[str, list[float]]:
    """Return what to subtract and divide by, so that values x from 0 to 1 enter as (x + 1) / 2."""
    return {"mean": [2 * value - 1 for value in mean], "std": [2 * value for value in std]}


@contextmanager
def open_gallery(path: str | os.PathLike) -> Iterator[tuple[Gallery, np.ndarray]]:
    """Open what `write_tokens` wrote, and read which pictures may be fitted on, (n_images,) bool."""
    with open_hdf5(path) as file:
        tokens, images, fitted = (get_dataset(file, name) for name in ("tokens", "images", "is_fitted"))
        if tokens.ndim != 3 or not len(tokens) == len(images) == len(fitted):
            raise InputError(
                f"{path}: expected tokens of pictures, got shapes {tokens.shape}, {images.shape} and "
                f"{fitted.shape}; delete it and run again"
            )
        clip = str(read_attributes(file, ["clip"])["clip"])
        yield Gallery(tokens, images[:], clip, str(path)), fitted[:]
