"""The regression that the model starts from equals scikit-learn's, axis by axis, also without each fold."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from brain2image.models.regression import ALPHAS, N_FOLDS, blocks, fit_axis_ridge

N_PAIRS, N_INPUTS, N_FEATURES, N_AXES = 60, 90, 12, 4


@pytest.fixture
def data(rng):
    """Inputs of different units, one of them constant, and targets that share three latents with them."""
    latents = rng.standard_normal((N_PAIRS, 3))
    x = latents @ rng.standard_normal((3, N_INPUTS)) + rng.standard_normal((N_PAIRS, N_INPUTS)) + 5
    x *= np.linspace(0.1, 20, N_INPUTS)
    x[:, 7] = 3
    targets = latents @ rng.standard_normal((3, N_FEATURES)) + rng.standard_normal((N_PAIRS, N_FEATURES))
    targets -= targets.mean(axis=0)
    return x.astype(np.float32), targets.astype(np.float32), np.arange(N_PAIRS) % N_FOLDS


def textbook(x, scores, rows, alpha):
    """Scores of all pairs, predicted by scikit-learn from the inputs' z-scores, fitted on some rows.

    Its intercept is the mean over the fitted rows; the z-scores are those of all, so none is centred again.
    """
    deviation = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1) / np.sqrt(N_INPUTS)
    mean = scores[rows].mean(axis=0)
    model = Ridge(alpha=alpha, fit_intercept=False).fit(z[rows], scores[rows] - mean)
    return model.predict(z) + mean


def test_each_axis_is_a_ridge_regression_with_the_best_alpha(data):
    x, targets, folds = data
    fitted = fit_axis_ridge(x, targets, folds, n_axes=N_AXES)
    unit = np.linalg.norm(fitted.axes[0])
    axes = fitted.axes / unit
    np.testing.assert_allclose(axes @ axes.T, np.eye(N_AXES), atol=1e-5)
    np.testing.assert_allclose(np.abs(axes), np.abs(np.linalg.svd(targets)[2][:N_AXES]), atol=1e-4)
    x, scores = x.astype(np.float64), targets @ axes.T
    everything, unseen = np.full(N_PAIRS, True), np.empty((N_PAIRS, N_AXES))
    for axis, own in enumerate(scores.T):
        errors = {
            alpha: sum(
                np.square(textbook(x, own, folds != fold, alpha) - own)[folds == fold].sum()
                for fold in range(N_FOLDS)
            )
            for alpha in ALPHAS
        }
        alpha = min(errors, key=errors.get)
        coordinates = x @ fitted.weight[:, axis] + fitted.offset[axis]
        np.testing.assert_allclose(unit * coordinates, textbook(x, own, everything, alpha), atol=1e-3)
        for fold in range(N_FOLDS):
            coordinates = x @ fitted.fold_weights[fold][:, axis] + fitted.fold_offsets[fold, axis]
            np.testing.assert_allclose(unit * coordinates, textbook(x, own, folds != fold, alpha), atol=1e-3)
            unseen[folds == fold, axis] = coordinates[folds == fold]
    assert np.sqrt(np.mean(unseen**2)) == pytest.approx(1, abs=1e-3)


def test_there_are_no_more_axes_than_features_or_pairs(data):
    x, targets, folds = data
    assert fit_axis_ridge(x, targets, folds, n_axes=99).axes.shape == (N_FEATURES, N_FEATURES)
    few = fit_axis_ridge(x[:8], targets[:8] - targets[:8].mean(axis=0), folds[:8], n_axes=99)
    assert few.weight.shape == (N_INPUTS, 8)


def test_inputs_that_say_nothing_predict_next_to_nothing(data, rng):
    x, targets, folds = data
    fitted = fit_axis_ridge(rng.standard_normal(x.shape).astype(np.float32), targets, folds, n_axes=N_AXES)
    noise = rng.standard_normal(x.shape)
    predictions = (noise @ fitted.weight + fitted.offset) @ fitted.axes
    assert np.square(predictions).mean() < 0.2 * np.square(targets).mean()


def test_blocks_are_consecutive_and_keep_equal_numbers_together():
    numbers = np.array([40, 3, 3, 17, 40, 8, 9, 21])
    folds = blocks(numbers, 3)
    assert folds.tolist() == [2, 0, 0, 1, 2, 0, 1, 2]
    assert blocks(np.array([5, 5, 6]), 5).tolist() == [0, 0, 1]
