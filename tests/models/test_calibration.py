"""Calibration in closed form finds the rotation and the term that were planted, and nothing in noise."""

import numpy as np
import pytest
from scipy.linalg import expm

from brain2image.models.calibration import (
    Shared,
    Strengths,
    cosines,
    fit_calibration,
    fold_out,
    rotate_towards,
)

N_CHANNELS, N_TIMES, N_AXES, N = 6, 20, 4, 200


@pytest.fixture
def world(rng):
    """A response for each axis, the decoder that reads it, pictures, and a rotated head."""
    pattern = rng.standard_normal((N_AXES, N_CHANNELS, N_TIMES))
    weight = np.linalg.pinv(pattern.reshape(N_AXES, -1))
    turn = rng.standard_normal((N_CHANNELS, N_CHANNELS))
    rotation = expm(0.7 * (turn - turn.T) / np.linalg.norm(turn - turn.T, 2))
    coordinates = rng.standard_normal((N, N_AXES))
    eeg = np.tensordot(coordinates, pattern, axes=1) + rng.standard_normal((N, N_CHANNELS, N_TIMES))
    return Shared(weight, np.zeros(N_AXES), pattern), coordinates, eeg, rotation


def test_a_rotated_head_is_turned_back(world, rng):
    shared, coordinates, eeg, rotation = world
    turned, groups = rotation.T @ eeg, np.arange(N)
    fitted = fit_calibration(turned[:60], coordinates[:60], groups[:60], shared)
    assert fitted.strengths.pull is not None
    np.testing.assert_allclose(fitted.rotation @ fitted.rotation.T, np.eye(N_CHANNELS), atol=1e-9)
    off = [np.linalg.norm(found - rotation) for found in (fitted.rotation, np.eye(N_CHANNELS))]
    assert off[0] < 0.4 * off[1]
    after = cosines(fitted.coordinates(turned[60:], shared), coordinates[60:]).mean()
    rows = turned[60:].reshape(N - 60, -1)
    before, best = (
        cosines(x.reshape(len(x), -1) @ shared.weight, coordinates[60:]).mean() for x in (rows, eeg[60:])
    )
    assert after > before + 0.7 * (best - before)


def test_what_the_path_leaves_is_regressed(world, rng):
    shared, coordinates, eeg, _ = world
    other = shared._replace(weight=shared.weight[:, ::-1].copy(), pattern=0 * shared.pattern)
    fitted = fit_calibration(eeg[:100], coordinates[:100], np.arange(100), other)
    assert fitted.strengths.penalty is not None
    found = cosines(fitted.coordinates(eeg[100:], other), coordinates[100:]).mean()
    assert found > cosines(eeg[100:].reshape(100, -1) @ other.weight, coordinates[100:]).mean() + 0.3


def test_nothing_is_fitted_where_nothing_is_better(world):
    shared, _, eeg, _ = world
    fitted = fit_calibration(eeg, eeg.reshape(N, -1) @ shared.weight, np.arange(N), shared)
    assert fitted.strengths == Strengths(None, None)
    assert str(fitted.strengths) == "nothing"
    np.testing.assert_array_equal(fitted.rotation, np.eye(N_CHANNELS))
    assert not fitted.weight.any()


def test_no_group_is_divided(world):
    shared, coordinates, eeg, _ = world
    groups = np.arange(40) // 4
    left_out = [rows for rows, _ in fold_out(eeg[:40], coordinates[:40], groups, shared)]
    assert sorted(np.concatenate(left_out)) == list(range(40))
    for rows in left_out:
        assert not set(groups[rows]) & set(np.delete(groups, rows))


def test_a_strong_pull_turns_nothing(rng):
    crossed = rng.standard_normal((5, 5))
    np.testing.assert_allclose(rotate_towards(crossed, 1e6), np.eye(5), atol=1e-4)
    left, _, right = np.linalg.svd(crossed)
    np.testing.assert_allclose(rotate_towards(crossed, 1e-9), left @ right, atol=1e-6)
