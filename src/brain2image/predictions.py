"""Predicted embeddings of the test pairs, as every run and baseline hands them to the evaluation."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.errors import InputError, reason
from brain2image.files import atomic_path


class Predictions(NamedTuple):
    """Predicted and measured embeddings of the test pairs."""

    predictions: np.ndarray  # (n_pairs, n_features) float32, from EEG alone
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    things_image: np.ndarray  # (n_pairs,) int64
    nsd_image: np.ndarray  # (n_pairs,) int64
    target_mean: np.ndarray  # (n_features,) float32, mean target of the training pairs


def write_predictions(
    path: str | Path,
    predictions: np.ndarray,
    targets: np.ndarray,
    pairs: pd.DataFrame,
    *,
    target_mean: np.ndarray,
) -> None:
    """Write ``predictions.npz``; arrays as in `Predictions`, ``pairs`` with things_image and nsd_image."""
    images = (pairs[name].to_numpy() for name in ("things_image", "nsd_image"))
    content = Predictions(predictions, targets, *images, target_mean)
    with atomic_path(path) as scratch, scratch.open("wb") as file:
        np.savez(file, **content._asdict())


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = Predictions(**{name: file[name] for name in Predictions._fields})
    except Exception as error:  # NumPy and zipfile raise many types, by where the damage is
        raise InputError(
            f"{path}: expected predictions, but cannot read them ({reason(error)}); delete it and run again"
        ) from None
    _check(content, path)
    return content


def _check(content: Predictions, path: str | Path) -> None:
    shape = content.predictions.shape
    n_pairs, n_features = (len(content.things_image), len(content.target_mean))
    if not shape == content.targets.shape == (n_pairs, n_features) or len(content.nsd_image) != n_pairs:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in content._asdict().items())
        raise InputError(f"{path}: expected one row a pair, got {shapes}; delete it and run again")
    if not (np.isfinite(content.predictions).all() and np.isfinite(content.targets).all()):
        raise InputError(f"{path}: expected finite embeddings, got NaN or infinity; train the run again")
