"""Means over windows, and weights of windows that give the same products with samples."""

import numpy as np
import pytest

from brain2image.models.windows import Windows

N_TRIALS, N_CHANNELS, N_TIMES = 6, 3, 50
# Seconds at 200 Hz, and the samples of a window; the last one of 50 samples may be shorter.
WINDOWS = {"even": (0.05, 10), "a short last one": (0.02, 4), "rounded": (0.031, 6), "all": (9.0, N_TIMES)}


@pytest.fixture
def eeg(rng):
    return rng.standard_normal((N_TRIALS, N_CHANNELS, N_TIMES)).astype(np.float32)


def slow_means(eeg, width):
    parts = [eeg[:, :, start : start + width].mean(axis=2) for start in range(0, N_TIMES, width)]
    return np.stack(parts, axis=2).reshape(len(eeg), -1)


@pytest.mark.parametrize(("window", "width"), WINDOWS.values(), ids=WINDOWS)
def test_averages_are_those_of_a_loop(eeg, window, width):
    found = Windows(N_TIMES, 200.0, window).average(eeg)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_means(eeg, width), atol=1e-6)


@pytest.mark.parametrize("window", [0.05, 0.02, 0.031, 9.0, 0.0])
def test_weights_of_windows_act_on_samples_as_on_means(eeg, window, rng):
    windows = Windows(N_TIMES, 200.0, window)
    means = windows.average(eeg)
    weights = rng.standard_normal((means.shape[1], 5)).astype(np.float32)
    spread = windows.spread(weights)
    assert spread.shape == (N_CHANNELS * N_TIMES, 5)
    np.testing.assert_allclose(eeg.reshape(N_TRIALS, -1) @ spread, means @ weights, atol=1e-5)


@pytest.mark.parametrize("window", [0.0, 0.001, 0.005, 0.007])
def test_less_than_two_samples_leave_every_sample(eeg, window, rng):
    windows = Windows(N_TIMES, 200.0, window)
    np.testing.assert_array_equal(windows.average(eeg), eeg.reshape(N_TRIALS, -1))
    weights = rng.standard_normal((N_CHANNELS * N_TIMES, 2)).astype(np.float32)
    np.testing.assert_array_equal(windows.spread(weights), weights)
    np.testing.assert_array_equal(windows.repeat(weights), weights)


def test_values_are_repeated_for_the_samples_of_their_window(eeg):
    windows = Windows(N_TIMES, 200.0, 0.02)
    means = windows.average(eeg)
    repeated = windows.repeat(means.T).T.reshape(eeg.shape)
    np.testing.assert_array_equal(repeated[:, :, 0], repeated[:, :, 3])
    np.testing.assert_array_equal(windows.average(repeated).round(4), means.round(4))
    assert not np.array_equal(repeated[:, :, 47], repeated[:, :, 48])
    np.testing.assert_array_equal(repeated[:, :, 48], repeated[:, :, 49])


def test_centred_samples_have_centred_means(eeg):
    windows = Windows(N_TIMES, 200.0, 0.02)
    mean = windows.average(eeg).mean(axis=0)
    centred = (eeg.reshape(N_TRIALS, -1) - windows.repeat(mean)).reshape(eeg.shape)
    np.testing.assert_allclose(windows.average(centred), windows.average(eeg) - mean, atol=1e-6)
