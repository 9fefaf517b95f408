"""Predicted embeddings of the test pairs, as every run and baseline hands them to the evaluation."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from brain2image.files import atomic_path

COUNT_KEY = "predictions_"  # followed by the number of averaged trials


class Predictions(NamedTuple):
    """Predicted and measured embeddings of the test pairs."""

    predictions: np.ndarray  # (n_pairs, n_features) float32, from the mean of all EEG trials
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    things_image: np.ndarray  # (n_pairs,) int64
    nsd_image: np.ndarray  # (n_pairs,) int64
    target_mean: np.ndarray  # (n_features,) float32, mean target of the training pairs
    repetitions: np.ndarray  # (n_repetitions, n_features) float32, every fMRI repetition
    repetition_pair: np.ndarray  # (n_repetitions,) int64, its row in targets
    target_dependence: np.ndarray  # () float64, how far predictions move when the targets are shuffled
    by_count: dict[int, np.ndarray]  # trials in a mean: (n_draws, n_pairs, n_features) float32


def write_predictions(path: str | Path, content: Predictions) -> None:
    """Write ``predictions.npz``: the fields of `Predictions`, and ``predictions_1``, ``predictions_2``, …"""
    arrays = content._asdict()
    counts = {f"{COUNT_KEY}{count}": drawn for count, drawn in arrays.pop("by_count").items()}
    with atomic_path(path) as scratch, scratch.open("wb") as file:
        np.savez(file, **arrays, **counts)


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote."""
    with np.load(path) as file:
        arrays = dict(file)
    counts = [name for name in arrays if name.startswith(COUNT_KEY)]
    by_count = {int(name.removeprefix(COUNT_KEY)): arrays.pop(name) for name in counts}
    return Predictions(**arrays, by_count=by_count)
