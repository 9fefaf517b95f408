"""The picture encoder: from the CLIP features of a picture to the embedding that its fMRI would have.

It is fitted on pictures that were scanned, and predicts the embedding of those that were not.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.hdf5 import atomic_hdf5, write_trials
from brain2image.formats.tables import REMEDY
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.projection.picture_methods import METHODS, Splits

BLOCK_IMAGES = 1024  # predicted at once
STANDARD = ("mean", "scale", "offset")
FACTS = ("method", "layer", "clip", "checkpoint", "sha256", "n_pictures", "n_excluded", "r2")
ENTRY = "picture_encoder"  # in the metadata of a safetensors file


class PictureEncoder(NamedTuple):
    """A fitted encoder: ``offset + predict((features - mean) / scale)``.

    Attributes
    ----------
    method : name in `picture_methods.METHODS`.
    layer : whose features it takes, see `Embeddings.layer`.
    clip : identity of the model that gives them.
    tensors : ``mean`` and ``scale`` (n_inputs,), ``offset`` (n_features,) and those of the method, float32.
    facts : what is known of it, by the names of `FACTS`.
    """

    method: str
    layer: str
    clip: str
    tensors: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    def predict(self, pictures: Embeddings | np.ndarray) -> np.ndarray:
        """Predict the embedding of each picture.

        Parameters
        ----------
        pictures : embeddings of pictures, or (n_images, n_inputs) float32 features of the encoder's layer.

        Returns
        -------
        (n_images, n_features) float32.

        Raises
        ------
        InputError
            When the features come from another model, layer or width.
        """
        mean, scale, offset = (self.tensors[name] for name in STANDARD)
        features = self._features(pictures) if isinstance(pictures, Embeddings) else pictures
        if features.ndim != 2 or features.shape[1] != len(mean):
            raise InputError(
                f"picture encoder: expected features (n_images, {len(mean)}) of {self.layer} of {self.clip}, "
                f"got {features.shape}; embed the pictures with the model that it was fitted with"
            )
        predicted = np.empty((len(features), len(offset)), np.float32)
        for start in range(0, len(features), BLOCK_IMAGES):
            rows = slice(start, start + BLOCK_IMAGES)
            x = ((features[rows] - mean) / scale).astype(np.float32, copy=False)
            predicted[rows] = METHODS[self.method].predict(x, self.tensors) + offset
        return predicted

    def _features(self, pictures: Embeddings) -> np.ndarray:
        if pictures.clip != self.clip:
            raise InputError(
                f"{pictures.source}: expected features of {self.clip}, with which the picture encoder was "
                f"fitted, got those of {pictures.clip or 'an unknown model'}; set clip.model and "
                "weights.clip as they were, or fit it again"
            )
        return pictures.layer(self.layer)


def fit_encoder(
    features: np.ndarray, targets: np.ndarray, splits: Splits, *, method: str, layer: str, clip: str
) -> PictureEncoder:
    """Fit an encoder; what the method must choose is chosen on the splits.

    Parameters
    ----------
    features : (n_images, n_inputs) float32.
    targets : (n_images, n_features) float32, measured embeddings.
    splits : rows to fit on and rows to try on.
    method, layer, clip : as in `PictureEncoder`.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # so that the kernel x @ x.T has a mean diagonal of 1
    scale = np.sqrt(features.shape[1], dtype=np.float32) * np.where(deviation > 0, deviation, 1)
    offset = targets.mean(axis=0)
    x = ((features - mean) / scale).astype(np.float32)
    tensors = METHODS[method].fit(x, targets - offset, splits)
    standard = dict(zip(STANDARD, (mean, scale.astype(np.float32), offset), strict=True))
    return PictureEncoder(method, layer, clip, {**standard, **tensors}, {})


def write_picture_encoder(out: str | os.PathLike, encoder: PictureEncoder) -> None:
    """Write an encoder as safetensors; its facts are a JSON text in the metadata."""
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in encoder.tensors.items()}
    with atomic_path(out) as path:
        save_file(tensors, path, metadata={ENTRY: json.dumps(dict(encoder.facts))})


def read_picture_encoder(path: str | os.PathLike) -> PictureEncoder:
    """Read an encoder that `write_picture_encoder` wrote.

    Raises
    ------
    InputError
        When it is missing, damaged, or no picture encoder.
    """
    check_regular(path, remedy=REMEDY)
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})[ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        encoder = PictureEncoder(facts["method"], facts["layer"], facts["clip"], tensors, facts)
        with np.errstate(all="ignore"):  # all tensors fit together
            _ = encoder.predict(np.zeros((1, len(tensors["mean"])), np.float32))
    except (OSError, LookupError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{path}: expected a picture encoder, but {reason(error)}; {REMEDY}") from None
    if not set(FACTS) <= set(facts) or any(not np.isfinite(tensor).all() for tensor in tensors.values()):
        raise InputError(
            f"{path}: expected {', '.join(FACTS)} and finite weights, got {', '.join(facts)}, or weights "
            f"that are not finite; {REMEDY}"
        )
    return encoder


def write_predicted(out: str | os.PathLike, encoder: PictureEncoder, pictures: Embeddings) -> None:
    """Write the predicted embedding of every picture.

    Parameters
    ----------
    out : HDF5 to write: ``predicted_embedding`` (n_images, n_features) float32, the table ``trials`` with the
        column image, and as attributes the encoder's facts and ``predicted``, which is true.
    """
    with atomic_hdf5(out) as file:
        file["predicted_embedding"] = encoder.predict(pictures)
        write_trials(file, pd.DataFrame({"image": pictures.image}), {"predicted": True, **encoder.facts})
