"""Comparison models that any EEG encoder must beat."""

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV

# Strength of the penalty on a kernel that is scaled to unit mean diagonal; the inner folds choose.
ALPHAS = np.logspace(-3, 5, 17)
N_FOLDS = 5


def predict_ridge(eeg: np.ndarray, targets: np.ndarray, test_eeg: np.ndarray) -> np.ndarray:
    """Linear prediction of fMRI embeddings from trial-averaged EEG.

    ``B = argmin_B ||Y - X B||^2 + alpha ||B||^2``, solved in its dual form as there are fewer pictures than
    samples; alpha is chosen for each feature by five-fold cross-validation within the training pictures
    (himalaya's KernelRidgeCV; Dupré la Tour et al., NeuroImage 2022). Channels and samples are z-scored with
    the training statistics.

    Parameters
    ----------
    eeg : (n_train, n_channels, n_times) float32, mean over the trials of each training picture.
    targets : (n_train, n_features) float32.
    test_eeg : (n_test, n_channels, n_times) float32.

    Returns
    -------
    (n_test, n_features) float32, in the units of ``targets``.
    """
    flat, flat_test = (array.reshape(len(array), -1) for array in (eeg, test_eeg))
    mean, deviation = flat.mean(axis=0), flat.std(axis=0)
    scale = np.sqrt(flat.shape[1]) * np.where(deviation > 0, deviation, 1)  # unit mean diagonal of the kernel
    x, x_test = (flat - mean) / scale, (flat_test - mean) / scale
    target_mean = targets.mean(axis=0)
    folds = min(N_FOLDS, len(x))
    model = KernelRidgeCV(alphas=ALPHAS, kernel="linear", cv=folds, warn=False)
    model.fit(x, targets - target_mean)
    return (model.predict(x_test) + target_mean).astype(np.float32)


def predict_ceiling(expected: np.ndarray, targets: np.ndarray, test_expected: np.ndarray) -> np.ndarray:
    """Best prediction of the partner's embedding from the expected embedding of the picture that was seen.

    A partner only resembles the picture, so its embedding is that of the picture shrunk towards the mean:
    ``mean + b * (expected - mean)``, with one factor b fitted by least squares on the training pairs.

    Parameters
    ----------
    expected : (n_train, n_features) float32, noise-free embedding of each training pair's THINGS picture.
    targets : (n_train, n_features) float32, measured embedding of its NSD partner.
    test_expected : (n_test, n_features) float32.

    Returns
    -------
    (n_test, n_features) float32.
    """
    mean, target_mean = expected.mean(axis=0), targets.mean(axis=0)
    x, y = expected - mean, targets - target_mean
    factor = np.sum(x * y, dtype=np.float64) / np.sum(x * x, dtype=np.float64)
    return (target_mean + factor * (test_expected - mean)).astype(np.float32)
