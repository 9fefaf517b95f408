"""Predictors that know the picture that was seen: bounds for those that only have its EEG."""

from pathlib import Path

import numpy as np

from brain2image.evaluation.queries import write_test_predictions
from brain2image.formats.tables import read_npz
from brain2image.training_set.means import Pairs, Predictor, read_pairs


def fit_ceiling(training_pairs: Pairs, expected: np.ndarray) -> Predictor:
    """Predict the partner's embedding as well as the seen picture's expected embedding allows.

    A partner only resembles the picture, so its embedding is that of the picture shrunk towards the mean:
    ``mean + b * (expected - mean)``, with one factor b fitted by least squares on the training pairs.

    Parameters
    ----------
    training_pairs : targets measured for the fMRI partners.
    expected : (n_images, n_features) float32, noise-free embedding of every picture of the EEG, by its id.
    """
    own = expected[training_pairs.table["eeg_image"]]
    mean, target_mean = own.mean(axis=0), training_pairs.targets.mean(axis=0)
    x, y = own - mean, training_pairs.targets - target_mean
    factor = np.sum(x * y, dtype=np.float64) / np.sum(x * x, dtype=np.float64)
    return lambda pairs: (target_mean + factor * (expected[pairs.table["eeg_image"]] - mean)).astype(
        np.float32
    )


def predict_ceiling(lmdb: str | Path, oracle: str | Path, *, out: str | Path) -> None:
    """Predict the test pairs by `fit_ceiling`.

    Parameters
    ----------
    lmdb : the training set.
    oracle : ``.npz`` file with ``expected``, which the simulation of the fMRI wrote.
    out : ``predictions.npz``.
    """
    expected = read_npz(oracle, what="planted arrays", names=["expected"])["expected"]
    training = read_pairs(lmdb, "train")
    predict = fit_ceiling(training, expected)
    write_test_predictions(out, predict, lmdb, target_mean=training.targets.mean(axis=0))
