"""Predicted embeddings of the test pairs, as every run and baseline hands them to the evaluation."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

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
    """Read what `write_predictions` wrote."""
    with np.load(path) as file:
        return Predictions(**{name: file[name] for name in Predictions._fields})
