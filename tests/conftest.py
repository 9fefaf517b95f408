"""Fixtures that several test files use."""

import os

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for the network


@pytest.fixture
def rng():
    """A seeded random generator."""
    return np.random.default_rng(0)
