"""The ridge baseline against scikit-learn."""

import numpy as np
from sklearn.linear_model import Ridge

from brain2image import baselines
from brain2image.baselines import predict_ceiling, predict_ridge


def planted(rng, n_train, n_test, noise):
    latent = rng.standard_normal((n_train + n_test, 3))
    eeg = latent @ rng.standard_normal((3, 5 * 8)) + noise * rng.standard_normal((n_train + n_test, 40))
    targets = (latent @ rng.standard_normal((3, 6)) + 2).astype(np.float32)
    eeg = eeg.reshape(-1, 5, 8).astype(np.float32)
    return eeg[:n_train], targets[:n_train], eeg[n_train:], targets[n_train:]


def test_equals_scikit_learn_at_one_alpha(rng, monkeypatch):
    eeg, targets, test_eeg, _ = planted(rng, 30, 10, noise=1.0)
    monkeypatch.setattr(baselines, "ALPHAS", np.array([0.1]))
    flat, flat_test = eeg.reshape(30, -1), test_eeg.reshape(10, -1)
    mean, scale = flat.mean(0), flat.std(0) * np.sqrt(40)
    slow = Ridge(alpha=0.1).fit((flat - mean) / scale, targets).predict((flat_test - mean) / scale)
    np.testing.assert_allclose(predict_ridge(eeg, targets, test_eeg), slow, atol=1e-3)


def test_a_planted_linear_relation_is_found(rng):
    eeg, targets, test_eeg, test_targets = planted(rng, 200, 20, noise=0.1)
    error = np.mean((predict_ridge(eeg, targets, test_eeg) - test_targets) ** 2)
    assert error < 0.02 * test_targets.var()


def test_a_flat_channel_and_pure_noise_do_no_harm(rng):
    eeg, targets, test_eeg, test_targets = planted(rng, 60, 20, noise=0.1)
    eeg, test_eeg = rng.standard_normal(eeg.shape).astype(np.float32), np.zeros_like(test_eeg)
    eeg[:, 0] = test_eeg[:, 0] = 1
    predictions = predict_ridge(eeg, targets, test_eeg)
    assert np.isfinite(predictions).all()
    assert np.mean((predictions - test_targets) ** 2) < 1.5 * test_targets.var()


def test_the_ceiling_shrinks_as_much_as_the_pairs_differ(rng):
    expected = rng.standard_normal((500, 8)).astype(np.float32) + 3
    targets = (1 + 0.6 * (expected - 3) + 0.5 * rng.standard_normal(expected.shape)).astype(np.float32)
    test_expected = np.full((2, 8), 5, np.float32)
    np.testing.assert_allclose(predict_ceiling(expected, targets, test_expected), 1 + 0.6 * 2, atol=0.15)
