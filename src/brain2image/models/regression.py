"""Ridge regression on the principal axes of the targets, with predictions for rows that it has not seen."""

from typing import NamedTuple

import numpy as np

# Strength of the penalty on a kernel of unit mean diagonal: candidates, of which inner folds choose one.
ALPHAS = np.logspace(-3, 5, 17)
N_FOLDS = 5


class AxisRidge(NamedTuple):
    """A fitted regression, ``targets ~ (x @ weight + offset) @ axes``, and what each fold's fit gives.

    The scale is shared out such that coordinates on the axes, ``x @ weight + offset``, of unseen rows are of
    order one.
    """

    axes: np.ndarray  # (n_axes, n_features) float32, orthogonal rows of one length
    weight: np.ndarray  # (n_inputs, n_axes) float32
    offset: np.ndarray  # (n_axes,) float32
    fold_weights: np.ndarray  # (n_folds, n_inputs, n_axes) float32, fitted without the rows of each fold
    fold_offsets: np.ndarray  # (n_folds, n_axes) float32


def fit_axis_ridge(x: np.ndarray, targets: np.ndarray, folds: np.ndarray, *, n_axes: int) -> AxisRidge:
    """Regress the leading principal axes of the targets on the inputs, each axis with its own penalty.

    For each axis ``argmin_w ||targets axis - Z w||^2 + alpha ||w||^2``, Z the inputs z-scored and divided by
    the square root of their number, alpha that with the least error in unseen folds; an axis that the inputs
    say nothing of is predicted as its mean. In the dual form, as there are more inputs than rows, and in
    float64: where the penalty is weak, the dual weights are large and cancel.

    Parameters
    ----------
    x : (n_pairs, n_inputs) float32.
    targets : (n_pairs, n_features) float32, of mean zero.
    folds : (n_pairs,) int64, the fold of each row, 0 and so on.
    n_axes : axes to keep; there are at most as many as pairs and features.
    """
    mean, scale = _standardisation(x)
    z = (x - mean) / scale
    # scores on the targets' own axes are uncorrelated, so each axis may have a penalty of its own
    axes = np.linalg.svd(targets, full_matrices=False)[2][:n_axes]
    scores = (targets @ axes.T).astype(np.float64)
    kernel = (z @ z.T).astype(np.float64)
    seen = [folds != fold for fold in range(folds.max() + 1)]
    # Every fold takes its rows and columns out of one kernel; mean and scale of all rows know no target.
    parts = [_Dual(kernel[np.ix_(rows, rows)], scores[rows]) for rows in seen]

    def unseen(alphas: float | np.ndarray) -> np.ndarray:
        predictions = np.empty_like(scores)
        for rows, part in zip(seen, parts, strict=True):
            predictions[~rows] = kernel[np.ix_(~rows, rows)] @ part.weights(alphas) + part.mean
        return predictions

    errors = [np.square(unseen(alpha) - scores).sum(axis=0) for alpha in ALPHAS]
    alphas = ALPHAS[np.argmin(errors, axis=0)]
    # of unseen rows, as fitted ones come out larger; never 0, as it divides, where the inputs say nothing
    unit = max(np.sqrt(np.mean(np.square(unseen(alphas)))), np.finfo(np.float32).tiny)
    fits = [(_Dual(kernel, scores), z), *((part, z[rows]) for part, rows in zip(parts, seen, strict=True))]
    # Back to weights of the inputs as they come, so that whoever predicts needs no mean and no scale.
    weights = [rows.T @ fit.weights(alphas) / scale[:, None] / unit for fit, rows in fits]
    offsets = [fit.mean / unit - mean @ weight for (fit, _), weight in zip(fits, weights, strict=True)]
    return AxisRidge(
        axes=(unit * axes).astype(np.float32),
        weight=weights[0].astype(np.float32),
        offset=offsets[0].astype(np.float32),
        fold_weights=np.stack(weights[1:]).astype(np.float32),
        fold_offsets=np.stack(offsets[1:]).astype(np.float32),
    )


class _Dual:
    """The dual ridge solutions for all penalties, by one decomposition of the kernel."""

    def __init__(self, kernel: np.ndarray, scores: np.ndarray):
        # The intercept is not penalised: an axis whose mean is off in these rows keeps it under any penalty.
        self.mean = scores.mean(axis=0)
        self._values, self._vectors = np.linalg.eigh(kernel)
        self._rotated = self._vectors.T @ (scores - self.mean)

    def weights(self, alphas: float | np.ndarray) -> np.ndarray:
        """Return (n_pairs, n_axes) float64, for one penalty or one an axis."""
        return self._vectors @ (self._rotated / (self._values[:, None] + alphas))


def _standardisation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of each input, after which the kernel's mean diagonal is 1."""
    deviation = x.std(axis=0)
    # a channel that is flat in all training trials stays zero
    return x.mean(axis=0), np.sqrt(x.shape[1], dtype=np.float32) * np.where(deviation > 0, deviation, 1)


def blocks(numbers: np.ndarray, n_folds: int) -> np.ndarray:
    """Make folds of consecutive numbers, equal numbers in one fold.

    Where pictures are numbered concept by concept, two such folds have one concept in common at most.

    Parameters
    ----------
    numbers : (n_pairs,) int64.

    Returns
    -------
    (n_pairs,) int64, 0 to n_folds - 1.
    """
    # over the different numbers, not the rows: a picture with several partners must not lie in two folds
    unique, row = np.unique(numbers, return_inverse=True)
    return row * min(n_folds, len(unique)) // len(unique)
