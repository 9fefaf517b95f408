"""The regression that the model starts from equals scikit-learn's, axis by axis, also without each fold."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from brain2image.core.errors import InputError
from brain2image.models import regression
from brain2image.models.regression import ALPHAS, N_FOLDS, fit_axis_ridge, fold_by_group

N_ITEMS, N_FEATURES, N_AXES = 60, 12, 4
DUAL, PRIMAL = 90, 25  # numbers of inputs, above and below that of items


def draw(rng, n_inputs):
    """Inputs of different units, one of them constant, and targets that share three latents with them."""
    latents = rng.standard_normal((N_ITEMS, 3))
    x = latents @ rng.standard_normal((3, n_inputs)) + rng.standard_normal((N_ITEMS, n_inputs)) + 5
    x *= np.linspace(0.1, 20, n_inputs)
    x[:, 7] = 3
    targets = latents @ rng.standard_normal((3, N_FEATURES)) + rng.standard_normal((N_ITEMS, N_FEATURES))
    targets -= targets.mean(axis=0)
    return x.astype(np.float32), targets.astype(np.float32), np.arange(N_ITEMS) % N_FOLDS


@pytest.fixture
def data(rng):
    return draw(rng, DUAL)


def draw_weights(rng):
    weights = rng.uniform(0.2, 3, N_ITEMS)
    return (weights / weights.mean()).astype(np.float32)


def textbook(x, scores, rows, alpha, weights):
    """Scores of all items on all axes, predicted by scikit-learn from z-scores, fitted on some rows.

    Its intercept is the mean over the fitted rows; the z-scores are those of all, so none is centred again.
    """
    deviation = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1) / np.sqrt(x.shape[1])
    mean = np.average(scores[rows], axis=0, weights=weights[rows])
    model = Ridge(alpha=alpha, fit_intercept=False).fit(z[rows], scores[rows] - mean, weights[rows])
    return model.predict(z) + mean


@pytest.mark.parametrize(("n_inputs", "weighted"), [(DUAL, False), (DUAL, True), (PRIMAL, True)])
def test_each_axis_is_a_ridge_regression_with_the_best_alpha(rng, n_inputs, weighted):
    x, targets, folds = draw(rng, n_inputs)
    weights = draw_weights(rng) if weighted else np.ones(N_ITEMS)
    fitted = fit_axis_ridge(x, targets, folds, n_axes=N_AXES, weights=weights if weighted else None)
    unit = np.linalg.norm(fitted.axes[0])
    axes = fitted.axes / unit
    np.testing.assert_allclose(axes @ axes.T, np.eye(N_AXES), atol=1e-5)
    np.testing.assert_allclose(np.abs(axes), np.abs(np.linalg.svd(targets)[2][:N_AXES]), atol=1e-4)
    x, scores = x.astype(np.float64), targets @ axes.T

    def predictions(rows):
        return np.stack([textbook(x, scores, rows, alpha, weights) for alpha in ALPHAS])

    everything, others = (
        predictions(np.full(N_ITEMS, True)),
        [predictions(folds != k) for k in range(N_FOLDS)],
    )
    unseen = np.choose(folds[:, None], others)  # (n_alphas, n_items, n_axes)
    best = np.argmin(np.tensordot(np.square(unseen - scores), weights, axes=(1, 0)), axis=0)
    assert len(set(best)) > 1
    for axis, alpha in enumerate(best):
        coordinates = x @ fitted.weight[:, axis] + fitted.offset[axis]
        np.testing.assert_allclose(unit * coordinates, everything[alpha, :, axis], atol=1e-3)
        for fold, expected in enumerate(others):
            coordinates = x @ fitted.fold_weights[fold][:, axis] + fitted.fold_offsets[fold, axis]
            np.testing.assert_allclose(unit * coordinates, expected[alpha, :, axis], atol=1e-3)
    chosen = np.take_along_axis(unseen, best[None, None], axis=0) / unit
    assert np.sqrt(np.mean(chosen**2)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("n_inputs", [DUAL, PRIMAL])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_dual_and_the_primal_solution_are_one(rng, monkeypatch, n_inputs, weighted):
    """Whichever of the two is chosen by the number of inputs."""
    x, targets, folds = draw(rng, n_inputs)
    options = {"n_axes": N_AXES, "weights": draw_weights(rng) if weighted else None}
    chosen = {DUAL: regression._Dual, PRIMAL: regression._Primal}[n_inputs]
    (other,) = {regression._Dual, regression._Primal} - {chosen}
    expected = fit_axis_ridge(x, targets, folds, **options)
    monkeypatch.setattr(chosen, "of_folds", other.of_folds)
    found = fit_axis_ridge(x, targets, folds, **options)
    for name, part in expected._asdict().items():
        if part.size == 0:  # the terms of several people
            continue
        scale = np.abs(part).max()
        assert part.dtype == np.float32
        np.testing.assert_allclose(getattr(found, name) / scale, part / scale, atol=1e-5, err_msg=name)


def test_equal_weights_change_nothing(data):
    x, targets, folds = data
    expected = fit_axis_ridge(x, targets, folds, n_axes=N_AXES)
    found = fit_axis_ridge(x, targets, folds, n_axes=N_AXES, weights=np.ones(N_ITEMS, np.float32))
    assert all(np.array_equal(*parts) for parts in zip(found, expected, strict=True))


def test_axes_of_many_items_are_those_of_few():
    """Of more items than features the products are decomposed, which gives the same axes."""
    rng = np.random.default_rng(1)
    targets = (rng.standard_normal((80, 9)) * 2.0 ** -np.arange(9)).astype(np.float32)
    expected = np.linalg.svd(targets, full_matrices=False)[2]
    for n_axes in (3, 9, 99):
        found = regression._principal_axes(targets, n_axes)
        assert found.shape == (min(n_axes, 9), 9)
        np.testing.assert_allclose(np.abs(found), np.abs(expected[:n_axes]), atol=1e-4)


def test_there_are_no_more_axes_than_features_or_items(data):
    x, targets, folds = data
    assert fit_axis_ridge(x, targets, folds, n_axes=99).axes.shape == (N_FEATURES, N_FEATURES)
    few = fit_axis_ridge(x[:8], targets[:8] - targets[:8].mean(axis=0), folds[:8], n_axes=99)
    assert few.weight.shape == (DUAL, 8)


def test_inputs_that_say_nothing_predict_next_to_nothing(data, rng):
    x, targets, folds = data
    fitted = fit_axis_ridge(rng.standard_normal(x.shape).astype(np.float32), targets, folds, n_axes=N_AXES)
    noise = rng.standard_normal(x.shape)
    predictions = (noise @ fitted.weight + fitted.offset) @ fitted.axes
    assert np.square(predictions).mean() < 0.2 * np.square(targets).mean()


def test_folds_cut_through_no_concept(rng):
    concepts = rng.permutation(np.repeat([f"concept{number}" for number in range(23)], np.arange(1, 24)))
    folds = fold_by_group(concepts, N_FOLDS)
    assert folds.dtype == np.int64
    assert set(folds) == set(range(N_FOLDS))
    for concept in np.unique(concepts):
        assert len(set(folds[concepts == concept])) == 1
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 3
    np.testing.assert_array_equal(fold_by_group(concepts, N_FOLDS), folds)


@pytest.mark.parametrize("n_groups", [5, 40, 400])
def test_folds_are_those_of_scikit_learn(rng, n_groups):
    """Many groups have one size, so the order of equal ones is tested too."""
    groups = rng.integers(n_groups, size=1000)
    for fold, (_, rows) in enumerate(GroupKFold(N_FOLDS).split(groups, groups=groups)):
        np.testing.assert_array_equal(np.flatnonzero(fold_by_group(groups, N_FOLDS) == fold), rows)


def test_there_are_no_more_folds_than_concepts():
    assert sorted(fold_by_group(np.array([5, 5, 6]), 5)) in ([0, 0, 1], [0, 1, 1])
    with pytest.raises(InputError, match="expected training pictures of at least 2 concepts, got 1; raise"):
        fold_by_group(np.array(["cat", "cat"]), 5)


def test_people_who_answer_differently_have_terms_of_their_own(rng):
    """Two people whose answers cancel: nothing is shared, and each one's term finds all of it."""
    x, targets, folds = draw(rng, PRIMAL)
    both = np.concatenate([x, x]), np.concatenate([targets, -targets]), np.concatenate([folds, folds])
    people = np.repeat([0, 1], len(x))
    fitted = fit_axis_ridge(*both, n_axes=N_AXES, people=people)
    assert np.abs(fitted.weight).max() < 1e-3 * np.abs(fitted.person_weights).max()
    np.testing.assert_allclose(
        *(sign * weight for sign, weight in zip((1, -1), fitted.person_weights, strict=True)), atol=1e-3
    )
    alone = fit_axis_ridge(x, targets, folds, n_axes=N_AXES)
    found = (x @ fitted.person_weights[0] + fitted.person_offsets[0]) @ fitted.axes
    expected = (x @ alone.weight + alone.offset) @ alone.axes
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert fitted.fold_person_weights.shape == (folds.max() + 1, 2, x.shape[1], N_AXES)


def test_people_who_answer_alike_share_everything(rng):
    x, targets, folds = draw(rng, PRIMAL)
    people = rng.integers(2, size=len(x))
    fitted, alone = (fit_axis_ridge(x, targets, folds, n_axes=N_AXES, people=who) for who in (people, None))
    np.testing.assert_array_equal(fitted.weight, alone.weight)
    assert np.abs(fitted.person_weights).mean() < 0.5 * np.abs(fitted.weight).mean()


def test_the_pattern_says_what_the_inputs_do(rng):
    """Inputs that are an axis times a topography, and noise: the pattern is the topography."""
    targets = rng.standard_normal((500, 3)) * [3, 2, 1]
    topographies = rng.standard_normal((3, 12))
    x = targets @ topographies + 0.1 * rng.standard_normal((500, 12))
    folds = np.arange(500) % 5
    fitted = fit_axis_ridge(np.float32(x), np.float32(targets), folds, n_axes=3)
    np.testing.assert_allclose(fitted.pattern, fitted.axes @ topographies, atol=0.3)
