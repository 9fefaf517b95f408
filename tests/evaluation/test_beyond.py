"""What is found beyond pictures is chance where pictures explain all, and more where an answer leaked."""

import numpy as np
import pytest

from brain2image.evaluation.beyond import score_beyond_pictures
from brain2image.evaluation.statistics import shuffle_answers

N_PAIRS, N_FEATURES = 120, 30


@pytest.fixture
def parts(rng):
    """What pictures explain, what fMRI holds besides, and what a decoder of the pictures adds of its own."""
    return [rng.standard_normal((N_PAIRS, N_FEATURES)).astype(np.float32) for _ in range(3)]


def score(predictions, targets, expected):
    orders = shuffle_answers(np.arange(len(targets)), n_permutations=100, seed=0)
    return score_beyond_pictures(predictions, targets, expected, orders)


def test_what_pictures_explain_is_taken_off(parts):
    """Targets are found by their pictures alone: shrunk and shifted as predictions are, nothing is left."""
    expected, rest, noise = parts
    orders = [np.random.default_rng(seed).permutation(N_PAIRS) for seed in range(20)]
    found = [score(0.3 * expected + 0.1 * noise[order] + 5, expected + rest, expected) for order in orders]
    assert np.mean([one["two_way"] for one in found]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([one["p"] for one in found]) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("size", [0.5, 0.05])
def test_a_leak_of_what_pictures_do_not_explain_is_found(parts, size):
    """However little it is of the predictions, as long as it is more than their noise."""
    expected, rest, noise = parts
    found = score(0.3 * expected + size * (rest + noise), expected + rest, expected)
    assert found["two_way"] > 0.9
    assert found["p"] == pytest.approx(1 / 101)


def test_predictions_that_follow_pictures_wholly_are_at_chance_or_below(parts):
    """And an encoder that expects nothing leaves the targets as they are."""
    expected, rest, noise = parts
    targets = expected + rest
    assert score(targets + noise, targets, np.zeros_like(expected))["two_way"] > 0.9
    assert score(noise, targets, np.zeros_like(expected))["p"] > 0.05
