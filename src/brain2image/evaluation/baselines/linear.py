"""Baselines that any EEG encoder must beat: no networks, most of them linear."""

from typing import NamedTuple

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from brain2image.evaluation.baselines.base import (
    Training,
    eeg_encoder,
    fit_kernel,
    fit_linear,
    inner_folds,
)
from brain2image.models.linear_model import LinearModel
from brain2image.pairs.matching import unit_rows
from brain2image.training_set.means import Predictor

PLS_COMPONENTS = (1, 2, 4, 8, 16, 32)
PLS_TOLERANCE = 1e-4  # of a squared unit vector; noise has no leading direction that could be found better


def fit_mean_target(training: Training) -> Predictor:
    """Predict the mean training target for every query; the MSE that a use of the EEG must undercut."""
    mean = training.targets.mean(axis=0)
    return lambda pairs: np.tile(mean, (len(pairs.eeg), 1))


def fit_nearest_image(training: Training) -> Predictor:
    """Predict the target of the training picture whose EEG has the highest cosine with the query's."""
    encode, rows = eeg_encoder(training)
    seen = unit_rows(rows)
    return lambda pairs: training.targets[(unit_rows(encode(pairs)) @ seen.T).argmax(axis=1)]


def fit_ridge(training: Training) -> LinearModel:
    """Regress the target on the EEG, ``argmin_B ||Y - X B||^2 + alpha ||B||^2``."""
    return fit_linear(*eeg_encoder(training), training)


def fit_kernel_ridge(training: Training) -> Predictor:
    """Fit ridge regression with an RBF kernel on the EEG, see `base.fit_kernel`."""
    return fit_kernel(*eeg_encoder(training), training)


def fit_pls(training: Training) -> LinearModel:
    """Fit partial least squares; the number of components, which regularises it, has the least inner error.

    Components are nested, so one fit a fold gives all numbers. Before, EEG and targets are rotated to their
    principal axes, which changes nothing but the size of the problem.
    """
    encode, rows = eeg_encoder(training)
    x, y = (_principal_axes(part) for part in (rows, training.targets))
    inputs, outputs = x.transform(rows), y.transform(training.targets)
    splits = inner_folds(training.concepts)
    most = min(inputs.shape[1], outputs.shape[1], min(len(train) for train, _ in splits) - 1)
    numbers = [number for number in PLS_COMPONENTS if number <= most]
    errors = np.zeros(len(numbers))
    for train, test in splits:
        fold = _PLS.fit(inputs[train], outputs[train], numbers[-1])
        errors += [np.square(fold.predict(inputs[test], number) - outputs[test]).sum() for number in numbers]
    best = numbers[int(errors.argmin())]
    model = _PLS.fit(inputs, outputs, best)
    weight = x.components_.T @ model.rotations
    offset = -(x.mean_ @ x.components_.T + model.mean) @ model.rotations
    return encode.model(
        weight, offset, (model.loadings.T @ y.components_, model.offset @ y.components_ + y.mean_)
    )


def _principal_axes(rows: np.ndarray) -> PCA:
    solver = "covariance_eigh" if len(rows) > rows.shape[1] else "full"
    return PCA(svd_solver=solver).fit(rows)


class _PLS(NamedTuple):
    """``(x - mean) @ rotations[:, :n] @ loadings[:, :n].T + offset`` for any number n of components."""

    mean: np.ndarray
    rotations: np.ndarray
    loadings: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray, outputs: np.ndarray, n_components: int) -> "_PLS":
        model = PLSRegression(n_components, scale=False, tol=PLS_TOLERANCE).fit(inputs, outputs)
        return cls(inputs.mean(axis=0), model.x_rotations_, model.y_loadings_, outputs.mean(axis=0))

    def predict(self, x: np.ndarray, n: int) -> np.ndarray:
        return (x - self.mean) @ self.rotations[:, :n] @ self.loadings[:, :n].T + self.offset
