"""CLIP embeddings of pictures by the pictures' ids, in one file for each part of a picture set."""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.tables import REMEDY, find_rows, read_npz

PROJECTED = "projected"  # the layer by which pictures are matched


def layer_name(layer: str | int) -> str:
    """Return the name of a layer as the config gives it: ``projected``, or ``layer_NN`` of a number."""
    return layer if isinstance(layer, str) else f"layer_{layer:02d}"


class Embeddings(NamedTuple):
    """Embeddings of some pictures of one set."""

    image: np.ndarray  # (n_images,) int64, ids, each once
    features: np.ndarray  # (n_images, n_features) float32, projected, not normalised
    source: str  # the files, for messages
    clip: str = ""  # model and weights, see `clip_identity`
    # (n_images, n_layer_features) float32 of layers of the vision tower, by ``layer_NN``
    layers: Mapping[str, np.ndarray] = MappingProxyType({})

    def of(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the projected embeddings of pictures, (n_wanted, n_features) float32, in their order.

        Raises
        ------
        InputError
            When one has none.
        """
        return self.features[self.rows(images)]

    def rows(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Find the rows of pictures, (n_wanted,) int64; one that is not there is an InputError."""
        return find_rows(pd.Series(self.image), images, source=self.source)

    def layer(self, name: str) -> np.ndarray:
        """Return the features of all pictures in one layer, ``projected`` or ``layer_NN``.

        Raises
        ------
        InputError
            When they were not kept.
        """
        if name == PROJECTED:
            return self.features
        if name not in self.layers:
            raise InputError(
                f"{self.source}: expected features of {name}, got {', '.join([PROJECTED, *self.layers])}; "
                "name it in clip.layers"
            )
        return self.layers[name]


def write_embeddings(
    out: str | os.PathLike,
    image: np.ndarray,
    features: np.ndarray,
    *,
    clip: str,
    layers: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Write the embeddings of pictures for `read_embeddings`.

    Parameters
    ----------
    out : ``.npz`` file.
    image : (n_images,) int64, ids.
    features : (n_images, n_features) float32, projected.
    clip : model and weights that made them, see `clip_identity`.
    layers : (n_images, n_layer_features) float32 by ``layer_NN``.
    """
    with atomic_path(out) as path, open(path, "wb") as file:
        ids, name = np.asarray(image, np.int64), np.array(clip)
        np.savez(file, allow_pickle=False, image=ids, clip=name, features=features, **layers)


def read_embeddings(files: Sequence[str | os.PathLike]) -> Embeddings:
    """Read the embeddings of all pictures of one or several parts of a set.

    Raises
    ------
    InputError
        When a file is missing, damaged or of another model, or a picture is in two of them.
    """
    parts = [_read(file) for file in files]
    source = ", ".join(map(str, files))
    forms = {tuple((name, part.layer(name).shape[1]) for name in [PROJECTED, *part.layers]) for part in parts}
    if len(forms) != 1:
        found = " and ".join(sorted(", ".join(f"{name} {width}" for name, width in form) for form in forms))
        raise InputError(f"{source}: expected features of one width, got {found}; {REMEDY}")
    if len(models := {part.clip for part in parts}) != 1:
        raise InputError(
            f"{source}: expected embeddings of one model, got {' and '.join(sorted(models))}; {REMEDY}"
        )
    image, features = (np.concatenate([part[i] for part in parts]) for i in range(2))
    if len(np.unique(image)) < len(image):
        raise InputError(f"{source}: expected each picture once, got some in several parts; {REMEDY}")
    layers = {name: np.concatenate([part.layers[name] for part in parts]) for name in parts[0].layers}
    return Embeddings(image, features, source, parts[0].clip, layers)


def _read(file: str | os.PathLike) -> Embeddings:
    content = read_npz(file, what="embeddings of pictures", names=["image", "features", "clip"])
    image, features, clip = (content.pop(name) for name in ("image", "features", "clip"))
    if clip.dtype.kind != "U" or clip.shape:
        raise InputError(
            f"{file}: expected the name of a model as clip, got {clip.dtype} {clip.shape}; {REMEDY}"
        )
    for name, array in {"features": features, **content}.items():
        is_whole = array.ndim == 2 and array.dtype.kind == "f" and array.size > 0
        if not is_whole or image.dtype.kind not in "iu" or image.shape != array.shape[:1]:
            raise InputError(
                f"{file}: expected image (n_images,) and {name} (n_images, n_features), got {image.dtype} "
                f"{image.shape} and {array.dtype} {array.shape}; {REMEDY}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{file}: expected finite embeddings, got NaN or infinity; {REMEDY}")
    return Embeddings(image.astype(np.int64), features, str(file), str(clip), content)
