"""Whitening, clamping and weights of trials: against slow versions, and with bursts and broken channels."""

import h5py
import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from brain2image.core.errors import InputError
from brain2image.datasets import bad_channels, whitening
from brain2image.datasets.whitening import (
    channel_scales,
    clip_trials,
    fit_whitening,
    mix_channels,
    trial_levels,
    trial_weights,
)

N_TRIALS, N_CHANNELS, N_TIMES = 160, 12, 200
NAMES = [f"E{number}" for number in range(N_CHANNELS)]
EVERY = np.ones(N_TRIALS, bool)


@pytest.fixture
def eeg(rng):
    """Correlated noise of 5 to 20 uV."""
    mixing = np.eye(N_CHANNELS) + 0.25 * rng.standard_normal((N_CHANNELS, N_CHANNELS))
    mixing *= rng.uniform(5, 20, (N_CHANNELS, 1)) / np.linalg.norm(mixing, axis=1, keepdims=True)
    return np.matmul(mixing, rng.standard_normal((N_TRIALS, N_CHANNELS, N_TIMES))).astype(np.float32)


def fit(eeg, chosen=EVERY):
    return fit_whitening(eeg, chosen, NAMES, unit="uV", source="eeg")


def second_moment(eeg):
    return np.einsum("nct,ndt->cd", eeg, eeg, dtype=np.float64) / len(eeg) / eeg.shape[2]


def test_whitened_channels_are_uncorrelated_up_to_the_shrinkage(eeg, monkeypatch):
    shrunk, whitened = fit(eeg), eeg.copy()
    mix_channels(whitened, EVERY, shrunk.matrix)
    np.testing.assert_allclose(second_moment(whitened), np.eye(N_CHANNELS), atol=0.3)
    monkeypatch.setattr(whitening, "ledoit_wolf_shrinkage", lambda *_, **__: 0.0)
    whitened = eeg.copy()
    mix_channels(whitened, EVERY, fit(eeg).matrix)
    np.testing.assert_allclose(second_moment(whitened), np.eye(N_CHANNELS), atol=0.01)
    assert np.abs(fit(eeg).matrix - shrunk.matrix).max() > 1e-4


def test_the_covariance_is_the_mean_of_the_trials_own(eeg, monkeypatch):
    """Slowly: each trial's Ledoit-Wolf covariance of scaled channels, averaged; one tenth is left out."""
    monkeypatch.setattr(bad_channels, "BLOCK_TRIALS", 64)
    monkeypatch.setattr(whitening, "BLOCK_TRIALS", 64)
    chosen = np.arange(N_TRIALS) % 10 > 0
    scale = np.median(np.sqrt(np.mean(eeg[chosen] ** 2, axis=2)), axis=0)
    scaled = eeg[chosen] / scale[:, None]
    mean = np.mean([ledoit_wolf(trial.T, assume_centered=True)[0] for trial in scaled], axis=0)
    matrix = fit(eeg, chosen).matrix * scale
    np.testing.assert_allclose(matrix @ mean @ matrix.T, np.eye(N_CHANNELS), atol=0.01)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)


def test_trials_that_are_not_chosen_change_nothing(eeg):
    chosen = np.arange(N_TRIALS) < 100
    before = fit(eeg, chosen).matrix
    eeg[~chosen] = 1e3
    np.testing.assert_array_equal(fit(eeg, chosen).matrix, before)
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        file["eeg"] = eeg
        np.testing.assert_array_equal(fit(file["eeg"], chosen).matrix, before)
        mix_channels(file["eeg"], chosen, before)
        np.testing.assert_array_equal(file["eeg"][100:], eeg[100:])
        np.testing.assert_allclose(file["eeg"][:100], np.matmul(before, eeg[:100]), rtol=1e-6)


def test_bursts_hardly_change_the_matrix(eeg, rng, monkeypatch):
    clean, bursts = fit(eeg).matrix, rng.choice(N_TRIALS, 8, replace=False)
    waves = rng.standard_normal((8, 1, N_TIMES)) * rng.standard_normal((N_CHANNELS, 1))
    eeg[bursts] += (200 * waves).astype(np.float32)

    def error():
        return np.linalg.norm(fit(eeg).matrix - clean) / np.linalg.norm(clean)

    assert error() < 0.03
    monkeypatch.setattr(whitening, "OUTLYING", np.inf)
    assert error() > 0.2


def test_a_loose_electrode_does_not_spread(eeg, rng):
    others = [row for row in range(N_CHANNELS) if row != 3]
    loose = eeg.copy()
    loose[:, 3] += (500 * rng.standard_normal((N_TRIALS, N_TIMES))).astype(np.float32)
    found = fit(loose)
    assert found.broken == ["E3"]
    assert not found.matrix[others, 3].any()
    assert not found.matrix[3, others].any()
    names = [NAMES[row] for row in others]
    alone = fit_whitening(eeg[:, others], EVERY, names, unit="uV", source="eeg").matrix
    np.testing.assert_allclose(found.matrix[np.ix_(others, others)], alone, rtol=1e-4, atol=1e-6)
    mix_channels(loose, EVERY, found.matrix)
    rms = np.sqrt(np.mean(loose**2, axis=(0, 2)))
    assert rms[3] == pytest.approx(whitening.BAD_AMPLITUDE, rel=0.02)
    assert 0.75 < rms[others].min() <= rms[others].max() < 1.05


def test_a_flat_channel_stays_flat(eeg):
    eeg[:, 5] = 0
    found = fit(eeg)
    assert found.broken == ["E5"]
    assert not found.matrix[5].any()
    assert np.isfinite(found.matrix).all()


def test_a_channel_made_of_others_is_no_error(eeg):
    """As interpolated channels are: the covariance has not full rank, and the shrinkage makes up for it."""
    eeg[:, 5] = eeg[:, [1, 2]].mean(axis=1)
    mix_channels(eeg, EVERY, fit(eeg).matrix)
    assert np.sqrt(np.mean(eeg**2, axis=(0, 2))).max() < 1.1


def test_what_cannot_be_whitened_is_told(eeg):
    with pytest.raises(InputError, match="as many trials as channels to whiten from, 12, got 11; give more"):
        fit(eeg[:11], EVERY[:11])
    with pytest.raises(InputError, match=r"expected at least as many trials .* got 0"):
        fit(eeg, ~EVERY)
    eeg[:, :7] = 0
    with pytest.raises(InputError, match="expected most of the 12 channels to be sound, got"):
        fit(eeg)


def test_values_beyond_the_limits_are_clamped_and_counted(eeg, monkeypatch):
    monkeypatch.setattr(whitening, "BLOCK_TRIALS", 50)
    before, limits = eeg.copy(), np.linspace(10, 40, N_CHANNELS)
    share = clip_trials(eeg, limits)
    np.testing.assert_allclose(eeg, np.clip(before, -limits[:, None], limits[:, None]), rtol=1e-6)
    assert 0 < share == np.mean(np.abs(before) > limits[:, None])
    assert clip_trials(eeg, 1.01 * limits) == 0


def test_noisy_trials_weigh_less(eeg):
    gains = np.ones(N_TRIALS, np.float32)
    gains[:20], gains[20], gains[21] = 2, 100, 0.01
    rms = np.sqrt(np.mean((eeg * gains[:, None, None]) ** 2, axis=2))
    rms[:, 4] = 0  # a dead channel says nothing
    scale = channel_scales(rms)
    levels, weights = trial_levels(rms, scale), trial_weights(rms, scale)
    np.testing.assert_allclose(levels, gains, rtol=0.2)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    typical = np.median(weights[22:])
    np.testing.assert_allclose(weights[:20] / typical, 1 / 4, rtol=0.3)
    least, most = whitening.WEIGHTS
    assert weights[20] / weights[21] == pytest.approx(least / most)
    np.testing.assert_array_equal(trial_weights(np.ones((5, 3)), np.ones(3)), 1)


class Blocks:
    """An array that notes how many trials are read and written at once."""

    def __init__(self, eeg):
        self.eeg, self.shape, self.size, self.lengths = eeg, eeg.shape, eeg.size, []

    def __len__(self):
        return len(self.eeg)

    def __getitem__(self, rows):
        self.lengths.append(rows.stop - rows.start)
        return self.eeg[rows].copy()

    def __setitem__(self, rows, values):
        self.lengths.append(rows.stop - rows.start)
        self.eeg[rows] = values


def test_only_blocks_of_trials_are_in_memory(eeg, monkeypatch):
    expected, limits = eeg.copy(), np.full(N_CHANNELS, 2.0)
    mix_channels(expected, EVERY, fit(eeg).matrix)
    clip_trials(expected, limits)
    for module in (bad_channels, whitening):
        monkeypatch.setattr(module, "BLOCK_TRIALS", 16)
    blocks = Blocks(eeg)
    mix_channels(blocks, EVERY, fit(blocks).matrix)
    clip_trials(blocks, limits)
    assert set(blocks.lengths) == {16}
    assert len(blocks.lengths) == 6 * N_TRIALS // 16  # two passes to fit, then read and written twice
    np.testing.assert_allclose(eeg, expected, atol=1e-4)
