"""p-values are uniform under the null and 95 % intervals hold the truth in 95 % of simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from brain2image.evaluation import statistics
from brain2image.evaluation.metrics import dissimilarities, rsa
from brain2image.evaluation.statistics import (
    hierarchical_interval,
    holm,
    interval,
    permutation_p,
    rsa_interval,
    share_interval,
    sign_flip_p,
)


def covers(share, n):
    """Whether a coverage is compatible with 95 %, at one in ten thousand."""
    return binomtest(round(share * n), n, 0.95).pvalue > 1e-4


@pytest.fixture
def few_resamples(monkeypatch):
    """A quarter of the resamples, where hundreds of intervals are drawn."""
    monkeypatch.setattr(statistics, "N_RESAMPLES", 500)


def test_permutation_p_counts_the_observed_order():
    shuffled = np.array([0.1, 0.5, 0.5, 0.9])
    assert permutation_p(0.5, shuffled, larger_is_better=True) == 4 / 5
    assert permutation_p(0.5, shuffled, larger_is_better=False) == 4 / 5
    assert permutation_p(1.0, shuffled, larger_is_better=True) == 1 / 5


def test_permutation_p_is_uniform_under_the_null(rng):
    p_values = [permutation_p(draw[0], draw[1:], larger_is_better=True) for draw in rng.random((500, 200))]
    assert kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_intervals_of_a_skewed_mean_cover(rng, few_resamples):
    n = 300
    bounds = [interval(rng.exponential(size=60), reduce=np.mean, seed=seed) for seed in range(n)]
    assert covers(np.mean([low <= 1 <= high for low, high in bounds]), n)


@pytest.mark.slow
def test_intervals_of_a_share_cover(rng, few_resamples):
    n = 300
    bounds = [interval((rng.random(80) < 0.3) * 1.0, reduce=np.mean, seed=seed) for seed in range(n)]
    # a share of 80 pictures is a step function, so that coverage is 95 % only on average over shares
    assert 0.9 < np.mean([low <= 0.3 <= high for low, high in bounds]) < 0.99


def test_equal_scores_have_no_interval_and_shares_have_wilsons():
    assert interval(np.full(40, 0.3), reduce=np.mean, seed=0) is None
    assert share_interval(40, 40) == pytest.approx((1 / (1 + 1.959964**2 / 40), 1))


@pytest.mark.slow
def test_hierarchical_intervals_cover_where_pictures_alone_do_not(rng, few_resamples):
    """Brains differ more than pictures: an interval over all pictures at once would be far too short."""
    n, n_brains = 150, 20
    hierarchical, flat = [], []
    for seed in range(n):
        values = list(rng.standard_normal((n_brains, 1)) + rng.standard_normal((n_brains, 30)))
        low, high = hierarchical_interval(values, seed=seed)
        hierarchical.append(low <= 0 <= high)
        low, high = interval(np.concatenate(values), reduce=np.mean, seed=seed)
        flat.append(low <= 0 <= high)
    assert np.mean(hierarchical) > 0.88
    assert np.mean(flat) < 0.6


def rdms(rng, n, noise):
    """RDMs of pictures and of noisy copies of them."""
    pictures = rng.standard_normal((n, 8)).astype(np.float32)
    noisy = pictures + noise * rng.standard_normal(pictures.shape).astype(np.float32)
    return dissimilarities(noisy), dissimilarities(pictures)


@pytest.mark.slow
def test_rsa_intervals_cover_the_correlation_of_all_pictures(rng, few_resamples):
    n, noise = 100, 1.0
    truth = rsa(*rdms(rng, 1500, noise), np.arange(1500)[None])[0]
    bounds = []
    for seed in range(n):
        noisy, pictures = rdms(rng, 40, noise)
        bounds.append(rsa_interval([noisy], pictures, seed=seed))
    assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.92
    assert np.mean([low <= 0 for low, _ in bounds]) < 0.1


def test_rsa_resampling_equals_pictures_that_are_really_repeated(rng, monkeypatch):
    """The slow way: repeat the rows of the RDMs and leave out the cells of a picture with itself."""
    monkeypatch.setattr(statistics, "N_RESAMPLES", 1)
    noisy, pictures = rdms(rng, 12, 0.5)
    counts = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), 1)[0]
    drawn = np.repeat(np.arange(12), counts)
    others = drawn[:, None] != drawn
    cells = [matrix[np.ix_(drawn, drawn)][others] for matrix in (noisy, pictures)]
    assert rsa_interval([noisy], pictures, seed=3) == pytest.approx([np.corrcoef(*cells)[0, 1]] * 2)
    assert rsa_interval([np.zeros((12, 12))], pictures, seed=0) is None


def test_sign_flips_are_uniform_under_the_null_and_find_a_shift(rng):
    draws = rng.standard_normal((200, 25))
    p_values = [sign_flip_p(draw, n_permutations=200, seed=seed) for seed, draw in enumerate(draws)]
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert sign_flip_p(draws[0] + 2, n_permutations=999, seed=0) == pytest.approx(2 / 1000)
    assert sign_flip_p(np.ones(3), n_permutations=999, seed=0) == pytest.approx(2 / 8)


def test_holm_equals_its_definition():
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.04, 0.5])), [0.09, 0.04, 0.09, 0.5])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])


def test_holm_errs_at_most_as_often_as_it_says(rng):
    """Ten true null hypotheses: some adjusted p below 0.05 in at most 5 % of the tables."""
    errors = [holm(p_values).min() < 0.05 for p_values in rng.random((2000, 10))]
    assert np.mean(errors) < 0.065


def test_an_interval_of_few_pictures_leaves_out_resamples_without_structure(rng):
    """Of three pictures most resamples hold two different ones at most, whose distances are all the same."""
    matrices = [dissimilarities(rng.standard_normal((3, 4)).astype(np.float32)) for _ in range(2)]
    low, high = rsa_interval(matrices[:1], matrices[1], seed=0)
    assert -1 - 1e-9 <= low <= high <= 1 + 1e-9
