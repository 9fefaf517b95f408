"""p-values are uniform under the null and 95 % intervals hold the truth in 95 % of simulations.

Also where pictures of one concept, and brains of one person, have something in common.
"""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, kstest

from brain2image.evaluation import statistics
from brain2image.evaluation.metrics import dissimilarities, ranks, rsa, similarity_matrix
from brain2image.evaluation.statistics import (
    crossed_test,
    holm,
    interval,
    permutation_p,
    rsa_interval,
    share_interval,
    shuffle_answers,
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
    bounds = [
        interval(rng.exponential(size=60), np.arange(60), reduce=np.mean, seed=seed) for seed in range(n)
    ]
    assert covers(np.mean([low <= 1 <= high for low, high in bounds]), n)


@pytest.mark.slow
def test_intervals_of_a_share_cover(rng, few_resamples):
    n = 300
    bounds = [
        interval((rng.random(80) < 0.3) * 1.0, np.arange(80), reduce=np.mean, seed=seed) for seed in range(n)
    ]
    # a share of 80 pictures is a step function, so that coverage is 95 % only on average over shares
    assert 0.9 < np.mean([low <= 0.3 <= high for low, high in bounds]) < 0.99


def test_equal_scores_have_no_interval_and_shares_have_wilsons():
    assert interval(np.full(40, 0.3), np.arange(40) // 3, reduce=np.mean, seed=0) is None
    assert share_interval(40, 40) == pytest.approx((1 / (1 + 1.959964**2 / 40), 1))


def concepts_of(rng, n_concepts):
    """The number of each picture's concept; a concept has one to five pictures."""
    return np.repeat(np.arange(n_concepts), rng.integers(1, 6, n_concepts))


def test_one_picture_a_concept_is_as_if_pictures_were_drawn(rng):
    values, each = rng.exponential(size=41), np.arange(41)
    for reduce, method in ((np.mean, "BCa"), (np.median, "percentile")):
        drawn = bootstrap((values,), reduce, n_resamples=statistics.N_RESAMPLES, method=method, rng=3)
        expected = (drawn.confidence_interval.low, drawn.confidence_interval.high)
        assert interval(values, each, reduce=reduce, seed=3) == expected
    orders = np.random.default_rng(3)
    expected = np.stack([orders.permutation(41) for _ in range(20)])
    np.testing.assert_array_equal(shuffle_answers(each, n_permutations=20, seed=3), expected)


def test_resampled_concepts_are_pictures_that_are_really_repeated(rng):
    concepts = concepts_of(rng, 12)
    values = rng.standard_normal(len(concepts))
    counts = rng.integers(0, 4, (50, 12))
    expected = [np.median(np.repeat(values, own[concepts])) for own in counts]
    np.testing.assert_allclose(statistics._medians(values, counts[:, concepts]), expected)


@pytest.mark.slow
def test_intervals_over_concepts_cover_where_those_over_pictures_do_not(rng, monkeypatch):
    monkeypatch.setattr(statistics, "N_RESAMPLES", 300)
    n, truth = 200, 1 / 3
    covered = {"concepts": [], "pictures": [], "median": []}
    for seed in range(n):
        concepts = concepts_of(rng, 25)
        found = rng.random(len(concepts)) < rng.beta(0.5, 1, 25)[concepts]  # some concepts are easy, some not
        for unit, drawn in (("concepts", concepts), ("pictures", np.arange(len(concepts)))):
            low, high = interval(found * 1.0, drawn, reduce=np.mean, seed=seed)
            covered[unit].append(low <= truth <= high)
        values = rng.standard_normal(25)[concepts] + rng.standard_normal(len(concepts))
        low, high = interval(values, concepts, reduce=np.median, seed=seed)
        covered["median"].append(low <= 0 <= high)
    shares = {unit: np.mean(own) for unit, own in covered.items()}
    assert 0.88 <= shares["concepts"] <= 0.98
    assert 0.88 <= shares["median"] <= 0.98
    assert shares["pictures"] < shares["concepts"] - 0.05


def alike(rng, concepts, share=0.9):
    """Embeddings of pictures, most of whose variance those of one concept have in common."""
    common = rng.standard_normal((concepts.max() + 1, 8))[concepts]
    own = rng.standard_normal((len(concepts), 8))
    return (np.sqrt(share) * common + np.sqrt(1 - share) * own).astype(np.float32)


@pytest.mark.slow
def test_shuffled_concepts_err_as_often_as_they_say_and_shuffled_pictures_more(rng):
    n, n_permutations = 300, 39
    errors = {"concepts": [], "pictures": []}
    for seed in range(n):
        concepts = concepts_of(rng, 25)
        similarity = similarity_matrix(alike(rng, concepts), alike(rng, concepts))
        each = np.arange(len(concepts))
        for unit, drawn in (("concepts", concepts), ("pictures", each)):
            orders = shuffle_answers(drawn, n_permutations=n_permutations, seed=seed)
            shuffled = similarity[each, orders].mean(axis=1)
            p = permutation_p(similarity.trace() / len(each), shuffled, larger_is_better=True)
            errors[unit].append(p <= 0.05)
    assert np.mean(errors["concepts"]) <= 0.07
    assert np.mean(errors["pictures"]) > 0.1


def test_shuffled_concepts_find_predictions_that_know_the_concept(rng):
    found = []
    for seed in range(30):
        concepts = concepts_of(rng, 25)
        truth, each = alike(rng, concepts), np.arange(len(concepts))
        table = 1 / ranks(similarity_matrix(truth + alike(rng, concepts), truth))
        shuffled = table[each, shuffle_answers(concepts, n_permutations=99, seed=seed)].mean(axis=1)
        found.append(permutation_p(table.trace() / len(each), shuffled, larger_is_better=True) <= 0.05)
    assert np.mean(found) > 0.9


def test_shuffled_concepts_stay_together(rng):
    concepts = rng.permutation(concepts_of(rng, 20))
    sizes = np.bincount(concepts)
    for order in shuffle_answers(concepts, n_permutations=50, seed=0):
        np.testing.assert_array_equal(np.sort(order), np.arange(len(concepts)))
        for concept, size in enumerate(sizes):
            (answer,) = set(concepts[order[concepts == concept]])
            assert sizes[answer] == size


def crossed(rng, *, sizes, spreads, noise):
    """Values of crossed factors: each level adds to its cells; and the levels of each value."""
    levels = [grid.ravel() for grid in np.meshgrid(*map(np.arange, sizes), indexing="ij")]
    added = sum(
        spread * rng.standard_normal(n)[own] for n, spread, own in zip(sizes, spreads, levels, strict=True)
    )
    return added + noise * rng.standard_normal(len(levels[0])), levels


@pytest.mark.parametrize(
    ("sizes", "spreads"),
    [
        pytest.param((6, 4, 1, 40), (0.1, 0.1, 0, 0.3), id="EEG people, fMRI people and concepts"),
        pytest.param((3, 2, 2, 40), (0.1, 0.1, 0.05, 0.3), id="few of each, and seeds"),
        pytest.param((1, 1, 2, 40), (0, 0, 0.1, 0.3), id="two seeds"),
        pytest.param((1, 1, 3, 40), (0, 0, 0, 0.3), id="three seeds that end alike"),
    ],
)
def test_intervals_over_crossed_factors_cover_where_independent_brains_do_not(rng, sizes, spreads):
    n = 300
    covered, rejected, independent = [], [], []
    for _ in range(n):
        values, levels = crossed(rng, sizes=sizes, spreads=spreads, noise=0.4)
        test = crossed_test(values, np.full(len(values), 1 / len(values)), levels)
        covered.append(test.low <= 0 <= test.high)
        rejected.append(test.p <= 0.05)
        cells = values.reshape(-1, sizes[-1]).mean(axis=1)  # of brains and seeds, as if each were drawn
        independent.append(abs(cells.mean()) <= 2 * cells.std(ddof=1) / np.sqrt(len(cells)))
    assert 0.91 <= np.mean(covered) <= 0.995
    np.testing.assert_array_equal(rejected, ~np.array(covered))
    assert np.mean(independent) < 0.85


def test_a_factor_of_one_level_is_left_out_and_no_spread_has_no_test(rng):
    values, weights = rng.standard_normal(20), np.full(20, 1 / 20)
    alone = crossed_test(values, weights, [np.arange(20)])
    assert crossed_test(values, weights, [np.zeros(20, int), np.arange(20)]) == alone
    assert alone.high - values.mean() == pytest.approx(2.093 * values.std(ddof=1) / np.sqrt(20), rel=1e-3)
    assert crossed_test(np.full(20, 0.1), weights, [np.arange(20)]) is None


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
        bounds.append(rsa_interval([noisy], pictures, np.arange(40), seed=seed))
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
    assert rsa_interval([noisy], pictures, np.arange(12), seed=3) == pytest.approx(
        [np.corrcoef(*cells)[0, 1]] * 2
    )
    assert rsa_interval([np.zeros((12, 12))], pictures, np.arange(12), seed=0) is None


def test_rsa_over_concepts_is_as_if_all_pictures_of_a_concept_were_repeated(rng, monkeypatch):
    monkeypatch.setattr(statistics, "N_RESAMPLES", 1)
    noisy, pictures = rdms(rng, 12, 0.5)
    concepts = np.repeat([0, 1, 2, 3], [1, 2, 4, 5])
    drawn = np.random.default_rng(3).multinomial(4, np.full(4, 1 / 4), 1)[0]
    rows = np.repeat(np.arange(12), drawn[concepts])
    others = rows[:, None] != rows
    cells = [matrix[np.ix_(rows, rows)][others] for matrix in (noisy, pictures)]
    bounds = rsa_interval([noisy], pictures, concepts, seed=3)
    assert bounds == pytest.approx([np.corrcoef(*cells)[0, 1]] * 2)


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
    low, high = rsa_interval(matrices[:1], matrices[1], np.arange(3), seed=0)
    assert -1 - 1e-9 <= low <= high <= 1 + 1e-9
