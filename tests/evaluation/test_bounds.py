"""Bounds of simulated measurements whose true reliability is known."""

import numpy as np
import pytest

from brain2image.evaluation.bounds import pairing_bound, rsa_bound, split_half
from brain2image.evaluation.metrics import dissimilarities, rsa


def test_split_halves_without_noise_find_each_other(rng):
    truth = rng.standard_normal((20, 30)).astype(np.float32)
    expected = {"n_images": 20, "top1": 1, "two_way": 1, "cosine": 1, "reliability": 1}
    assert split_half(truth, 2 * truth + 3) == pytest.approx(expected, abs=1e-5)


def test_reliability_is_that_of_the_mean_of_both_halves(rng):
    """Signal and noise of equal power in each half: r = 1/2, and 2/3 for both together."""
    truth, *noise = rng.standard_normal((3, 200, 2000)).astype(np.float32)
    scores = split_half(truth + noise[0], truth + noise[1])
    assert scores["cosine"] == pytest.approx(0.5, abs=0.01)
    assert scores["reliability"] == pytest.approx(2 / 3, abs=0.01)


def test_halves_of_noise_find_nothing(rng):
    scores = split_half(*rng.standard_normal((2, 100, 50)).astype(np.float32))
    assert scores["top1"] < 0.06
    assert scores["two_way"] == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_rsa_ceiling_is_what_the_truth_reaches(rng, noise):
    truth = rng.standard_normal((80, 10))
    repetitions = truth + noise * rng.standard_normal((3, 80, 10))
    orders = np.arange(80)[None]
    reached = rsa(dissimilarities(truth), dissimilarities(repetitions.mean(axis=0)), orders)[0]
    assert rsa_bound(repetitions) == pytest.approx(reached, abs=0.1)


def test_no_rsa_ceiling_without_two_repetitions(rng):
    assert rsa_bound(rng.standard_normal((1, 10, 4))) is None


def test_the_pairing_ceiling_is_the_partners_similarity():
    things = np.eye(3, dtype=np.float32)
    nsd = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0.5]], np.float32)
    scores = pairing_bound(things, nsd)
    assert scores["top1"] == pytest.approx(2 / 3)  # the first picture is nearest to the third partner
    assert scores["similarity_q50"] == pytest.approx(np.sqrt(0.5))
