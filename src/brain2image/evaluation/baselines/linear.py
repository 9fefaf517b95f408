"""Baselines that any EEG encoder must beat: no networks, most of them linear."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from brain2image.evaluation.baselines.base import (
    Training,
    clip_encoder,
    eeg_encoder,
    fit_after,
    fit_ridge_weights,
    inner_folds,
)
from brain2image.models.linear_model import LinearModel
from brain2image.pairs.matching import unit_rows
from brain2image.training_set.means import Predictor

PLS_COMPONENTS = (1, 2, 4, 8, 16, 32)
PLS_TOLERANCE = 1e-4  # of a squared unit vector; noise has no leading direction that could be found better


def fit_mean_target(training: Training) -> Predictor:
    """Predict the mean training target for every query; the MSE that a use of the EEG must undercut."""
    mean = training.pairs.targets.mean(axis=0)
    return lambda pairs: np.tile(mean, (len(pairs.eeg), 1))


def fit_nearest_image(training: Training) -> Predictor:
    """Predict the target of the training picture whose EEG has the highest cosine with the query's."""
    encode = eeg_encoder(training)
    seen = unit_rows(encode(training.pairs))
    return lambda pairs: training.pairs.targets[(unit_rows(encode(pairs)) @ seen.T).argmax(axis=1)]


def fit_ridge(training: Training) -> LinearModel:
    """Regress the target on the EEG, ``argmin_B ||Y - X B||^2 + alpha ||B||^2``."""
    encode = eeg_encoder(training)
    return encode.model(*fit_ridge_weights(encode(training.pairs), training.pairs.targets, training.concepts))


def fit_kernel_ridge(training: Training) -> Predictor:
    """Fit ridge regression with an RBF kernel, ``exp(-gamma d^2)``, gamma the inverse median of d^2."""
    encode = eeg_encoder(training)
    gamma = 1 / np.median(pdist(encode(training.pairs), "sqeuclidean"))
    return fit_after(encode, training, kernel="rbf", kernel_params={"gamma": gamma})


def fit_pls(training: Training) -> LinearModel:
    """Fit partial least squares; the number of components, which regularises it, has the least inner error.

    Components are nested, so one fit a fold gives all numbers. Before, EEG and targets are rotated to their
    principal axes, which changes nothing but the size of the problem.
    """
    encode = eeg_encoder(training)
    x, y = (PCA(svd_solver="full").fit(part) for part in (encode(training.pairs), training.pairs.targets))
    inputs, outputs = x.transform(encode(training.pairs)), y.transform(training.pairs.targets)
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


def fit_two_step(training: Training) -> LinearModel:
    """Map EEG to CLIP features, then these to the target: what picture features alone explain.

    Both steps are ridge regressions; the second is fitted on the true features of the training pictures.
    """
    encode, features = eeg_encoder(training), clip_encoder(training)(training.pairs)
    to_clip = fit_ridge_weights(encode(training.pairs), features, training.concepts)
    return encode.model(*to_clip, fit_ridge_weights(features, training.pairs.targets, training.concepts))


def fit_clip_oracle(training: Training) -> Predictor:
    """Map the true CLIP features of the picture that was seen to the target; no EEG, an upper bound."""
    return fit_after(clip_encoder(training), training, kernel="linear")
