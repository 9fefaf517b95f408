"""CLIP embeddings of pictures by the pictures' ids, in one file for each part of a picture set."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.tables import REMEDY, find_rows, read_npz


class Embeddings(NamedTuple):
    """Embeddings of some pictures of one set."""

    image: np.ndarray  # (n_images,) int64, ids, each once
    features: np.ndarray  # (n_images, n_features) float32, not normalised
    source: str  # the files, for messages

    def of(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the embeddings of pictures, (n_wanted, n_features) float32, in their order.

        Raises
        ------
        InputError
            When one has none.
        """
        return self.features[find_rows(pd.Series(self.image), images, source=self.source)]


def write_embeddings(out: str | os.PathLike, image: np.ndarray, features: np.ndarray) -> None:
    """Write the embeddings of pictures for `read_embeddings`.

    Parameters
    ----------
    out : ``.npz`` file.
    image : (n_images,) int64, ids.
    features : (n_images, n_features) float32.
    """
    with atomic_path(out) as path, open(path, "wb") as file:
        np.savez(file, image=np.asarray(image, np.int64), features=features)


def read_embeddings(files: Sequence[str | os.PathLike]) -> Embeddings:
    """Read the embeddings of all pictures of one or several parts of a set.

    Raises
    ------
    InputError
        When a file is missing, damaged or of another model, or a picture is in two of them.
    """
    parts = [_read(file) for file in files]
    widths = {features.shape[1] for _, features in parts}
    source = ", ".join(map(str, files))
    if len(widths) != 1:
        raise InputError(f"{source}: expected embeddings of one width, got {sorted(widths)}; {REMEDY}")
    image, features = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if len(np.unique(image)) < len(image):
        raise InputError(f"{source}: expected each picture once, got some in several parts; {REMEDY}")
    return Embeddings(image, features, source)


def _read(file: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    content = read_npz(file, what="embeddings of pictures", names=["image", "features"])
    image, features = content["image"], content["features"]
    is_whole = features.ndim == 2 and features.dtype.kind == "f" and features.size > 0
    if not is_whole or image.dtype.kind not in "iu" or image.shape != features.shape[:1]:
        raise InputError(
            f"{file}: expected image (n_images,) and features (n_images, n_features), got {image.dtype} "
            f"{image.shape} and {features.dtype} {features.shape}; {REMEDY}"
        )
    if not np.isfinite(features).all():
        raise InputError(f"{file}: expected finite embeddings, got NaN or infinity; {REMEDY}")
    return image.astype(np.int64), features
