"""Learning rates over the steps: a short rise, then half a cosine."""

import numpy as np
import pytest

from brain2image.training.learning_rates import WARMUP_SHARE, rate_factor


@pytest.mark.parametrize("n_steps", [1, 7, 100, 1000])
def test_rates_rise_then_fall_to_nearly_zero(n_steps):
    factors = np.array([rate_factor(step, n_steps) for step in range(n_steps)])
    n_warmup = int(np.ceil(WARMUP_SHARE * n_steps))
    assert (np.diff(factors[:n_warmup]) > 0).all()
    assert (np.diff(factors[n_warmup:]) < 0).all()
    cosine = (1 + np.cos(np.pi * np.arange(n_steps) / n_steps)) / 2
    np.testing.assert_allclose(factors[n_warmup - 1 :], cosine[n_warmup - 1 :])
    np.testing.assert_allclose(factors[0], 1 / n_warmup)
