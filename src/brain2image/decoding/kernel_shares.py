"""Ridge regression onto targets that are too many for weights: predictions as sums of what was fitted on."""

from collections.abc import Iterator

import numpy as np

ALPHAS = np.logspace(-2, 6, 17)  # of features of unit variance on average
N_TRIED = 512  # targets by which alpha is chosen


def fit_shares(
    fitted: np.ndarray, queries: np.ndarray, targets: np.ndarray, *, seed: int
) -> tuple[np.ndarray, float]:
    """Compute by how much each fitted picture's targets enter each prediction of a ridge with an intercept.

    ``prediction = shares @ targets`` for any targets, so that those of MindEye2, 426,000 tokens' values a
    picture, never meet a matrix of weights. Alpha is chosen by leave-one-out error (scikit-learn's RidgeCV)
    on `N_TRIED` random ones of the targets given.

    Parameters
    ----------
    fitted : (n_fitted, n_features) float32.
    queries : (n_queries, n_features) float32.
    targets : (n_fitted, n_targets), those that alpha is chosen by.
    seed : of the draw of targets.

    Returns
    -------
    shares : (n_queries, n_fitted) float64; each row's sum is 1.
    alpha : the penalty chosen.
    """
    from sklearn.linear_model import RidgeCV

    known = standardise(fitted, fitted)
    chosen = np.random.default_rng(seed).permutation(targets.shape[1])[:N_TRIED]
    alpha = float(RidgeCV(ALPHAS).fit(known, targets[:, np.sort(chosen)].astype(np.float64)).alpha_)
    return compute_shares(fitted, queries, alpha), alpha


def compute_shares(fitted: np.ndarray, queries: np.ndarray, alpha: float) -> np.ndarray:
    """Compute these shares, (n_queries, n_fitted) float64, for a penalty that was chosen before."""
    known, asked = standardise(fitted, fitted), standardise(queries, fitted)
    kernel = known @ known.T + alpha * np.eye(len(known))
    shares = np.linalg.solve(kernel, known @ asked.T).T
    return shares + (1 - shares.sum(axis=1, keepdims=True)) / len(known)


def standardise(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Subtract the mean of what is fitted on, and divide by its deviation over all features."""
    mean = fitted.mean(axis=0, dtype=np.float64)
    return (values - mean) / (np.sqrt(np.square(fitted - mean).mean()) or 1.0)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut ``n`` things into slices of ``size``."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
