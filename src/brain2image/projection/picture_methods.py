"""Ways from standardised features of pictures to an embedding: linear, by a kernel, by the nearest pictures.

Each fits arrays and predicts from them, so that a fitted one is kept as plain tensors. All in float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search
from himalaya.ridge import RidgeCV
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.special import softmax
from sklearn.metrics.pairwise import rbf_kernel

# Penalties on a kernel of unit mean diagonal. A weaker one would lose its digits in float32.
ALPHAS = np.logspace(-2, 5, 8)
# One penalty and so many targets at once: more only take more memory.
BATCHES = {"n_alphas_batch": 1, "n_targets_batch": 512, "n_targets_batch_refit": 512}
N_NEIGHBOURS = 50
TEMPERATURES = np.logspace(-2, 0, 5)  # by which cosines are divided
N_DISTANCES = 1000  # pictures whose distances give the width of the kernel

Splits = Sequence[tuple[np.ndarray, np.ndarray]]  # rows to fit on and rows to try on
Tensors = Mapping[str, np.ndarray]


class Method(NamedTuple):
    """How tensors are fitted to (x, targets, splits), and what they predict of x."""

    fit: Callable[[np.ndarray, np.ndarray, Splits], dict[str, np.ndarray]]
    predict: Callable[[np.ndarray, Tensors], np.ndarray]


def _fit_ridge(x: np.ndarray, targets: np.ndarray, splits: Splits) -> dict[str, np.ndarray]:
    """Fit ridge regression in its primal form, as there are fewer features than pictures.

    Source: himalaya's RidgeCV (Dupré la Tour et al., NeuroImage 2022), a penalty of its own for each target.
    """
    model = RidgeCV(alphas=ALPHAS, cv=splits, solver_params={**BATCHES, "warn": False})
    return {"weight": np.asarray(model.fit(x, targets).coef_, np.float32)}


def _predict_ridge(x: np.ndarray, tensors: Tensors) -> np.ndarray:
    return x @ tensors["weight"]


def _fit_kernel_ridge(x: np.ndarray, targets: np.ndarray, splits: Splits) -> dict[str, np.ndarray]:
    """Fit ridge regression with an RBF kernel, ``exp(-gamma d^2)``, gamma the inverse median of d^2.

    Penalties are chosen as himalaya's KernelRidgeCV does. Its fit afterwards multiplies the kernel of all
    pictures out for each penalty; here one decomposition serves them all.
    """
    rows = np.linspace(0, len(x) - 1, min(len(x), N_DISTANCES)).astype(np.int64)
    gamma = 1 / (np.median(pdist(x[rows], "sqeuclidean")) or 1)
    kernel = rbf_kernel(x, gamma=gamma)
    *_, alphas = solve_multiple_kernel_ridge_random_search(
        kernel[None],
        targets,
        n_iter=np.ones((1, 1)),  # of one kernel there is nothing to search
        alphas=ALPHAS.astype(np.float32),
        cv=splits,
        return_weights=None,
        return_alphas=True,
        jitter_alphas=False,
        progress_bar=False,
        **BATCHES,
    )
    values, vectors = eigh(kernel, overwrite_a=True)
    # rounding makes some eigenvalues negative
    dual = vectors @ ((vectors.T @ targets) / (np.maximum(values, 0)[:, None] + alphas))
    return {"support": x, "dual": dual.astype(np.float32), "gamma": np.array([gamma], np.float32)}


def _predict_kernel_ridge(x: np.ndarray, tensors: Tensors) -> np.ndarray:
    return rbf_kernel(x, tensors["support"], gamma=float(tensors["gamma"][0])) @ tensors["dual"]


def _fit_neighbours(x: np.ndarray, targets: np.ndarray, splits: Splits) -> dict[str, np.ndarray]:
    """Keep all pictures, and find the temperature with the least error."""
    errors = np.zeros(len(TEMPERATURES))
    for train, test in splits:
        fold = {"support": x[train], "targets": targets[train]}
        for number, temperature in enumerate(TEMPERATURES):
            predicted = _predict_neighbours(x[test], fold | {"temperature": np.array([temperature])})
            errors[number] += np.square(predicted - targets[test]).sum(dtype=np.float64)
    best = TEMPERATURES[errors.argmin()].astype(np.float32)
    return {"support": x, "targets": targets, "temperature": np.array([best])}


def _predict_neighbours(x: np.ndarray, tensors: Tensors) -> np.ndarray:
    """Average the targets of the nearest pictures, weighted by the softmax of their cosines."""
    cosines = _directions(x) @ _directions(tensors["support"]).T
    n_neighbours = min(N_NEIGHBOURS, cosines.shape[1])
    nearest = np.argpartition(cosines, -n_neighbours, axis=1)[:, -n_neighbours:]
    weights = softmax(np.take_along_axis(cosines, nearest, axis=1) / tensors["temperature"][0], axis=1)
    starts = np.arange(0, nearest.size + 1, n_neighbours)
    matrix = csr_array((weights.astype(np.float32).ravel(), nearest.ravel(), starts), shape=cosines.shape)
    return matrix @ tensors["targets"]


def _directions(x: np.ndarray) -> np.ndarray:
    """Divide rows by their length; the mean picture has none and stays zero."""
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)


METHODS = {
    "ridge": Method(_fit_ridge, _predict_ridge),
    "kernel_ridge": Method(_fit_kernel_ridge, _predict_kernel_ridge),
    "knn": Method(_fit_neighbours, _predict_neighbours),
}
