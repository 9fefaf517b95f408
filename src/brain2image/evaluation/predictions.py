"""Predicted embeddings of the test pairs, as every run and baseline hands them to the evaluation."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.formats.tables import read_npz

COUNT_KEY = "predictions_"  # followed by the number of averaged trials


class Predictions(NamedTuple):
    """Predicted and measured embeddings of the test pairs."""

    predictions: np.ndarray  # (n_pairs, n_features) float32, from the mean of all EEG trials
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    eeg_image: np.ndarray  # (n_pairs,) int64
    fmri_image: np.ndarray  # (n_pairs,) int64
    concept: np.ndarray  # (n_pairs,) str, of the EEG's picture
    target_mean: np.ndarray  # (n_features,) float32, mean target of the training pairs
    repetitions: np.ndarray  # (n_repetitions, n_features) float32, every fMRI repetition
    repetition_pair: np.ndarray  # (n_repetitions,) int64, its row in targets
    target_dependence: np.ndarray  # () float64, how far predictions move when the targets are shuffled
    by_count: dict[int, np.ndarray]  # trials in a mean: (n_draws, n_pairs, n_features) float32


def write_predictions(path: str | Path, content: Predictions) -> None:
    """Write ``predictions.npz``: the fields of `Predictions`, and one ``predictions_N`` for each count."""
    arrays = content._asdict()
    counts = {f"{COUNT_KEY}{count}": drawn for count, drawn in arrays.pop("by_count").items()}
    with atomic_path(path) as scratch, scratch.open("wb") as file:
        np.savez(file, **arrays, **counts)


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    arrays = read_npz(path, what="predictions")
    try:
        counts = [name for name in arrays if name.startswith(COUNT_KEY)]
        by_count = {int(name.removeprefix(COUNT_KEY)): arrays.pop(name) for name in counts}
        content = Predictions(**arrays, by_count=by_count)
    except (TypeError, ValueError) as error:  # of names that are none of its fields
        raise InputError(
            f"{path}: expected predictions, but cannot read them ({reason(error)}); delete it and run again"
        ) from None
    _check(content, path)
    return content


def _check(content: Predictions, path: str | Path) -> None:
    shape = content.predictions.shape
    n_pairs, n_features = (len(content.eeg_image), len(content.target_mean))
    drawn = [array.shape[1:] for array in content.by_count.values()]
    if (
        not shape == content.targets.shape == (n_pairs, n_features)
        or not len(content.fmri_image) == len(content.concept) == n_pairs
        or any(rows != shape for rows in drawn)
        or len(content.repetitions) != len(content.repetition_pair)
    ):
        arrays = content._asdict()
        arrays |= {f"{COUNT_KEY}{count}": array for count, array in arrays.pop("by_count").items()}
        shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
        raise InputError(f"{path}: expected one row a pair, got {shapes}; delete it and run again")
    if not (np.isfinite(content.predictions).all() and np.isfinite(content.targets).all()):
        raise InputError(f"{path}: expected finite embeddings, got NaN or infinity; train the run again")
