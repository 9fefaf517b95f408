"""Ridge regression on the principal axes of the targets, with predictions for rows that it has not seen."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from brain2image.core.errors import InputError
from brain2image.models.windows import Windows

# Strength of the penalty on a kernel of unit mean diagonal: candidates, of which inner folds choose one.
ALPHAS = np.logspace(-3, 5, 17)
N_FOLDS = 5


class AxisRidge(NamedTuple):
    """A fitted regression, ``targets ~ (x @ weight + offset) @ axes``, and what each fold's fit gives.

    The scale is shared out such that coordinates on the axes, ``x @ weight + offset``, of unseen rows are of
    order one. Of several people each has a term, ``x @ person_weight + person_offset``, that is added to the
    coordinates; it is 0 where it brings nothing.
    """

    axes: np.ndarray  # (n_axes, n_features) float32, orthogonal rows of one length
    weight: np.ndarray  # (n_inputs, n_axes) float32
    offset: np.ndarray  # (n_axes,) float32
    pattern: np.ndarray  # (n_axes, n_inputs) float32, mean inputs where a coordinate is 1, less their mean
    fold_weights: np.ndarray  # (n_folds, n_inputs, n_axes) float32, fitted without the rows of each fold
    fold_offsets: np.ndarray  # (n_folds, n_axes) float32
    person_weights: np.ndarray  # (n_people, n_inputs, n_axes) float32; no people where all rows are of one
    person_offsets: np.ndarray  # (n_people, n_axes) float32
    fold_person_weights: np.ndarray  # (n_folds, n_people, n_inputs, n_axes) float32
    fold_person_offsets: np.ndarray  # (n_folds, n_people, n_axes) float32

    def of_samples(self, windows: Windows) -> "AxisRidge":
        """Return the whole fit on windows as one on samples."""
        own = [windows.spread(weight) for weight in self.person_weights]
        return self._replace(
            weight=windows.spread(self.weight),
            pattern=np.ascontiguousarray(windows.repeat(self.pattern.T).T),
            person_weights=np.stack(own) if own else self.person_weights,
        )


def fit_axis_ridge(
    x: np.ndarray,
    targets: np.ndarray,
    folds: np.ndarray,
    *,
    n_axes: int,
    rows: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    people: np.ndarray | None = None,
) -> AxisRidge:
    """Regress the leading principal axes of the targets on the inputs, each axis with its own penalty.

    For each axis ``argmin_w ||targets axis - Z w||^2 + alpha ||w||^2``, Z the inputs z-scored and divided by
    the square root of their number, alpha that with the least error in unseen folds; an axis that the inputs
    say nothing of is predicted as its mean. A person's term is the same regression of what is left of its
    rows in unseen folds. Solved in the dual where there are more inputs than rows, else in the primal, so
    that time grows with the cube of the smaller number; and in float64: where the penalty is weak, the dual
    weights are large and cancel.

    Parameters
    ----------
    x : (n_items, n_inputs) float32.
    targets : (n_targets, n_features) float32, of mean zero or nearly.
    folds : (n_items,) int64, the fold of each row, 0 and so on.
    n_axes : axes to keep; there are at most as many as rows and features.
    rows : (n_items,) int64, the row of the targets that is each item's, as several people share a picture's;
        None: its own.
    weights : (n_items,) float32, how much each row's error counts; None: all alike.
    people : (n_items,) int64, whose each row is, 0 and so on; None: all are of one person.
    """
    weights = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    mean, scale = _standardisation(x)
    x = (x - mean) / scale
    # scores on the targets' own axes are uncorrelated, so each axis may have a penalty of its own
    axes = _principal_axes(targets, n_axes)
    scores = (targets @ axes.T).astype(np.float64)[slice(None) if rows is None else rows]
    del targets  # of many pictures the largest array here, needed no more
    fit = _CrossFit(x, scores, weights, folds)
    unseen, n_folds = fit.choose(), fit.n_folds
    # of unseen rows, as fitted ones come out larger; never 0, as it divides, where the inputs say nothing
    unit = max(np.sqrt(np.mean(np.square(unseen))), np.finfo(np.float32).tiny)
    shared = fit.layers(mean, scale, unit)
    del fit  # decompositions of many inputs are large
    weight, offset = (np.stack(parts) for parts in zip(*shared, strict=True))
    pattern = unit * scale * _pattern(x, scores, weights)
    person_weight = np.empty((n_folds + 1, 0, *weight.shape[1:]), np.float32)
    person_offset = np.empty((n_folds + 1, 0, len(axes)), np.float32)
    if people is not None:
        rest, terms = scores - unseen, []
        for person in range(int(people.max()) + 1):
            own = people == person
            term = _CrossFit(x[own], rest[own], weights[own], folds[own], n_folds=n_folds)
            term.choose(or_nothing=True)
            terms.append(term.layers(mean, scale, unit))
        person_weight, person_offset = (
            np.stack([np.stack([layer[part] for layer in term]) for term in terms], axis=1) for part in (0, 1)
        )
    return AxisRidge(
        (unit * axes).astype(np.float32),
        *(weight[0], offset[0], pattern.astype(np.float32), weight[1:], offset[1:]),
        *(person_weight[0], person_offset[0], person_weight[1:], person_offset[1:]),
    )


def _pattern(x: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Regress the inputs on each axis's scores, (n_axes, n_inputs); these are uncorrelated, so one at a time.

    Source: the activation patterns of Haufe et al. (NeuroImage 2014), which say where a signal is.
    """
    power = (weights @ np.square(scores))[:, None]
    products = (scores * weights[:, None]).T @ x
    return np.divide(products, power, out=np.zeros_like(products), where=power > 0)


class _CrossFit:
    """Ridge fits of scores on inputs: of all rows, as number 0, and without each fold, 1 and so on."""

    def __init__(
        self,
        x: np.ndarray,
        scores: np.ndarray,
        weights: np.ndarray,
        folds: np.ndarray,
        *,
        n_folds: int | None = None,
    ):
        self.n_folds = n_folds or int(folds.max()) + 1
        self._x, self._scores, self._weights = x, scores, weights
        solve = _Dual.of_folds if len(x) <= x.shape[1] else _Primal.of_folds
        self._parts: Sequence[_Dual | _Primal] = solve(x, scores, weights, folds, self.n_folds)
        self._held_out = [folds == fold for fold in range(self.n_folds)]
        self._alphas: float | np.ndarray = ALPHAS[0]
        self._used = np.ones(scores.shape[1])

    def choose(self, *, or_nothing: bool = False) -> np.ndarray:
        """Choose each axis's penalty by its error in unseen folds; return what is predicted of those.

        ``or_nothing`` predicts 0 where no penalty is better.
        """
        errors = [self._error(self._unseen(alpha)) for alpha in ALPHAS]
        self._alphas = ALPHAS[np.argmin(errors, axis=0)]
        if or_nothing:
            self._used = (np.min(errors, axis=0) < self._error(np.zeros_like(self._scores))).astype(float)
        return self._unseen(self._alphas) * self._used

    def layers(self, mean: np.ndarray, scale: np.ndarray, unit: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return weight (n_inputs, n_axes) and offset (n_axes,) float32 of each fit, of inputs as they come.

        So who predicts needs neither their mean nor their scale. The output is divided by ``unit``.
        """
        slopes = [part.weights(self._alphas) * self._used / scale[:, None] / unit for part in self._parts]
        offsets = [
            part.mean * self._used / unit - mean @ slope
            for part, slope in zip(self._parts, slopes, strict=True)
        ]
        return [
            (slope.astype(np.float32), offset.astype(np.float32))
            for slope, offset in zip(slopes, offsets, strict=True)
        ]

    def _unseen(self, alphas: float | np.ndarray) -> np.ndarray:
        predictions = np.empty_like(self._scores)
        for rows, part in zip(self._held_out, self._parts[1:], strict=True):
            predictions[rows] = self._x[rows] @ part.weights(alphas) + part.mean
        return predictions

    def _error(self, predictions: np.ndarray) -> np.ndarray:
        return self._weights @ np.square(predictions - self._scores)


def _principal_axes(targets: np.ndarray, n_axes: int) -> np.ndarray:
    """Return the leading principal axes, (n_axes, n_features) orthonormal; fewer where there are fewer."""
    n_rows, n_features = targets.shape
    if n_rows <= n_features:
        return np.linalg.svd(targets, full_matrices=False)[2][:n_axes]
    # of many rows the products alone are decomposed; the axes that are kept are far from their precision
    first = max(0, n_features - n_axes)
    products = (targets.T @ targets).astype(np.float64)
    return eigh(products, subset_by_index=[first, n_features - 1])[1].T[::-1].astype(np.float32)


class _Dual:
    """Ridge solutions for all penalties, by one decomposition of the kernel of the rows."""

    def __init__(self, rows: np.ndarray, kernel: np.ndarray, scores: np.ndarray, weights: np.ndarray):
        # The intercept is not penalised: an axis whose mean is off in these rows keeps it under any penalty.
        self.mean = np.average(scores, axis=0, weights=weights)
        self._rows, self._root = rows, np.sqrt(weights)[:, None]
        self._values, self._vectors = np.linalg.eigh(self._root * kernel * self._root.T)
        self._rotated = self._vectors.T @ (self._root * (scores - self.mean))

    @classmethod
    def of_folds(
        cls, x: np.ndarray, scores: np.ndarray, weights: np.ndarray, folds: np.ndarray, n_folds: int
    ) -> "list[_Dual]":
        """Fit all rows, then all but those of each fold, out of one kernel."""
        kernel = (x @ x.T).astype(np.float64)
        seen = [np.flatnonzero(folds != fold) for fold in range(-1, n_folds)]
        return [cls(x[rows], kernel[np.ix_(rows, rows)], scores[rows], weights[rows]) for rows in seen]

    def weights(self, alphas: float | np.ndarray) -> np.ndarray:
        """Return (n_inputs, n_axes) float64, for one penalty or one an axis."""
        dual = self._root * (self._vectors @ (self._rotated / (self._values[:, None] + alphas)))
        return self._rows.T @ dual


class _Primal:
    """Ridge solutions for all penalties, by one decomposition of the products of the inputs."""

    def __init__(
        self, products: np.ndarray, sums: np.ndarray, crossed: np.ndarray, scored: np.ndarray, n: float
    ):
        self.mean = scored / n
        self._values, self._vectors = np.linalg.eigh(products)
        self._rotated = self._vectors.T @ (crossed - np.outer(sums, self.mean))

    @classmethod
    def of_folds(
        cls, x: np.ndarray, scores: np.ndarray, weights: np.ndarray, folds: np.ndarray, n_folds: int
    ) -> "list[_Primal]":
        """Fit all rows, then all but those of each fold, whose sums are taken off those of all."""
        parts = [
            _sums_of(x[folds == fold], scores[folds == fold], weights[folds == fold])
            for fold in range(n_folds)
        ]
        total = [reduce(np.add, each) for each in zip(*parts, strict=True)]
        fits = [cls(*total)]
        while parts:  # let go one by one, as the products of many inputs are large
            fits.append(cls(*(whole - own for whole, own in zip(total, parts.pop(0), strict=True))))
        return fits

    def weights(self, alphas: float | np.ndarray) -> np.ndarray:
        """Return (n_inputs, n_axes) float64, for one penalty or one an axis."""
        return self._vectors @ (self._rotated / (self._values[:, None] + alphas))


def _sums_of(x: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Sum up rows by their weight: ``x x'``, ``x``, ``x scores'``, ``scores`` and 1, float64."""
    rows = x.astype(np.float64)
    weighted = rows * weights[:, None]
    return [weighted.T @ rows, weighted.sum(axis=0), weighted.T @ scores, weights @ scores, weights.sum()]


def _standardisation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of each input, after which the kernel's mean diagonal is 1."""
    deviation = x.std(axis=0)
    # a channel that is flat in all training trials stays zero
    return x.mean(axis=0), np.sqrt(x.shape[1], dtype=np.float32) * np.where(deviation > 0, deviation, 1)


def fold_by_group(groups: np.ndarray, n_folds: int) -> np.ndarray:
    """Make folds of about equal size that cut through no group, such as the pictures of one concept.

    The largest group that is left goes into the fold with the fewest rows, as in scikit-learn's
    ``GroupKFold``, whose import would take each training a second or two.

    Parameters
    ----------
    groups : (n_items,) of any type, the group of each row.
    n_folds : at most; there are no more folds than groups.

    Returns
    -------
    (n_items,) int64, 0 to n_folds - 1.

    Raises
    ------
    InputError
        When all rows are of one group.
    """
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InputError(
            f"expected training pictures of at least 2 concepts, got {len(sizes)}; raise matching.top_k"
        )
    filled = np.zeros(min(n_folds, len(sizes)), np.int64)
    folds = np.empty(len(sizes), np.int64)
    for group in np.argsort(sizes, kind="stable")[::-1]:
        folds[group] = filled.argmin()
        filled[folds[group]] += sizes[group]
    return folds[numbers]
