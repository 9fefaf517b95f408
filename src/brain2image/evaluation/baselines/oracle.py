"""Predictors that know the picture that was seen: bounds for those that only have its EEG."""

import numpy as np

from brain2image.training_set.means import Pairs, Predictor


def fit_ceiling(training_pairs: Pairs, expected: np.ndarray) -> Predictor:
    """Predict the partner's embedding as well as the seen picture's expected embedding allows.

    A partner only resembles the picture, so its embedding is that of the picture shrunk towards the mean:
    ``mean + b * (expected - mean)``, with one factor b fitted by least squares on the training pairs.

    Parameters
    ----------
    training_pairs : targets measured for the NSD partners.
    expected : (n_images, n_features) float32, noise-free embedding of every THINGS picture.
    """
    own = expected[training_pairs.table["eeg_image"]]
    mean, target_mean = own.mean(axis=0), training_pairs.targets.mean(axis=0)
    x, y = own - mean, training_pairs.targets - target_mean
    factor = np.sum(x * y, dtype=np.float64) / np.sum(x * x, dtype=np.float64)
    return lambda pairs: (target_mean + factor * (expected[pairs.table["eeg_image"]] - mean)).astype(
        np.float32
    )
