"""Tables of scores against slow, obvious versions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from brain2image.evaluation.metrics import (
    csls,
    dissimilarities,
    gallery_scores,
    rank_chance,
    rank_scores,
    ranks,
    rsa,
    similarity_matrix,
    squared_errors,
    trial_level_scores,
)


@given(arrays(np.float32, (5, 7), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
@settings(max_examples=50, deadline=None)
def test_ranks_count_ties_against(similarity):
    slow = [[sum(other >= value for other in row) for value in row] for row in similarity]
    np.testing.assert_array_equal(ranks(similarity), slow)


def test_similarity_is_the_cosine_and_errors_are_squared(rng):
    predictions, targets = rng.standard_normal((2, 6, 5)).astype(np.float32)
    slow = [[p @ t / np.sqrt((p @ p) * (t @ t)) for t in targets] for p in predictions]
    np.testing.assert_allclose(similarity_matrix(predictions, targets), slow, atol=1e-6)
    slow = [[np.mean((p - t) ** 2) for t in targets] for p in predictions]
    np.testing.assert_allclose(squared_errors(predictions, targets), slow, rtol=1e-5)


def test_two_way_identification_counts_all_pairs(rng):
    similarity = rng.standard_normal((6, 6))
    wins = [[similarity[i, i] > similarity[i, j] for j in range(6) if j != i] for i in range(6)]
    scores = rank_scores(np.diag(ranks(similarity)), 6)
    np.testing.assert_allclose(scores["two_way"], np.mean(wins, axis=1))


def test_chance_is_the_mean_over_all_ranks():
    assert rank_chance(40) == pytest.approx(
        {
            "top1": 1 / 40,
            "top5": 5 / 40,
            "top10": 10 / 40,
            "median_rank": 20.5,
            "mrr": np.mean(1 / np.arange(1, 41)),
            "percentile_rank": 41 / 80,
            "two_way": 0.5,
        }
    )


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_smaller_galleries_are_averaged_over_all_of_them(rank):
    others = [place for place in range(1, 9) if place != rank]
    better = [sum(place < rank for place in drawn) for drawn in combinations(others, 3)]
    scores = gallery_scores(np.array([rank]), 8, 4)
    for k in (1, 5, 10):
        assert scores[f"top{k}"][0] == pytest.approx(np.mean([count < k for count in better]))


def test_csls_equals_its_definition(rng):
    similarity = rng.standard_normal((15, 12)).astype(np.float32)
    row = [np.sort(values)[-10:].mean() for values in similarity]
    column = [np.sort(values)[-10:].mean() for values in similarity.T]
    slow = 2 * similarity - np.array(row)[:, None] - np.array(column)
    np.testing.assert_allclose(csls(similarity), slow, rtol=1e-5)


def test_rsa_is_spearman_of_the_distances(rng):
    a, b = rng.standard_normal((2, 9, 5))
    order = rng.permutation(9)
    expected = spearmanr(pdist(a, "cosine"), pdist(b[order], "cosine")).statistic
    found = rsa(dissimilarities(a), dissimilarities(b), order[None])
    assert found[0] == pytest.approx(expected, abs=1e-4)
    assert rsa(dissimilarities(np.ones((9, 5))), dissimilarities(b), order[None])[0] == 0


def test_a_perfect_predictor_stays_at_a_quarter_over_trials(rng):
    targets = rng.standard_normal((20, 8)).astype(np.float32)
    scores = trial_level_scores(np.stack([targets] * 4), targets, np.arange(20))
    assert scores["top1"] == (0.25, 1 / 80)
    assert scores["top10"][0] == 1
    assert scores["cosine"][0] == pytest.approx(1)


def test_trial_level_scores_equal_a_search_through_all_samples(rng):
    targets = rng.standard_normal((6, 3, 4)).astype(np.float32)
    predictions = (targets.mean(1) + rng.standard_normal((2, 6, 4))).astype(np.float32)
    samples = [(p, i, m) for p in predictions for i in range(6) for m in range(3)]
    hits = []
    for predicted, i, m in samples:
        similarity = [
            predicted[i] @ targets[j, n] / np.linalg.norm(predicted[i]) / np.linalg.norm(targets[j, n])
            for _, j, n in samples
        ]
        own = predicted[i] @ targets[i, m] / np.linalg.norm(predicted[i]) / np.linalg.norm(targets[i, m])
        better = sum(value > own + 1e-6 for value in similarity)
        tied = sum(abs(value - own) <= 1e-6 for value in similarity)
        hits.append([min(1, max(0, (k - better) / tied)) for k in (1, 10)])
    scores = trial_level_scores(predictions, targets.reshape(-1, 4), np.repeat(range(6), 3))
    assert [scores["top1"][0], scores["top10"][0]] == pytest.approx(np.mean(hits, axis=0))
    errors = [np.mean((p[i] - targets[i, m]) ** 2) for p, i, m in samples]
    assert scores["mse"][0] == pytest.approx(np.mean(errors), rel=1e-5)
