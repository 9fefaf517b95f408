"""Retrieval scores, permutation p-values and the summary table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brain2image.errors import InputError
from brain2image.evaluation import evaluate, ranks, retrieval_scores, similarity_matrix, summarise
from brain2image.predictions import Predictions, read_predictions, write_predictions


def content(predictions, targets):
    n_pairs, n_features = targets.shape
    images = np.arange(n_pairs)
    return Predictions(
        predictions=predictions,
        targets=targets,
        things_image=images,
        nsd_image=images + 100,
        target_mean=np.zeros(n_features, np.float32),
        repetitions=targets,
        repetition_pair=images,
        target_dependence=np.float64(0),
        by_count={},
    )


@pytest.fixture
def targets(rng):
    return rng.standard_normal((40, 16)).astype(np.float32)


@given(arrays(np.float32, (5, 7), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
@settings(max_examples=50, deadline=None)
def test_ranks_count_ties_against(similarity):
    slow = [[sum(other >= value for other in row) for value in row] for row in similarity]
    np.testing.assert_array_equal(ranks(similarity), slow)


def test_similarity_is_the_cosine(rng, targets):
    predictions = rng.standard_normal(targets.shape).astype(np.float32)
    slow = [[p @ t / np.sqrt((p @ p) * (t @ t)) for t in targets] for p in predictions]
    np.testing.assert_allclose(similarity_matrix(predictions, targets), slow, atol=1e-6)


def test_a_perfect_predictor_scores_all(targets):
    assert retrieval_scores(targets, targets) == {"top1": 1, "top5": 1, "top10": 1, "median_rank": 1}
    scores = evaluate(content(targets, targets), n_permutations=200, seed=0)["scores"]
    assert scores["mse"]["value"] == pytest.approx(0, abs=1e-6)
    assert scores["cosine"]["value"] == pytest.approx(1, abs=1e-5)
    assert all(score["p"] == pytest.approx(1 / 201) for score in scores.values())


def test_a_predictor_of_the_training_mean_finds_nothing(targets):
    scores = evaluate(content(np.zeros_like(targets), targets), n_permutations=100, seed=0)["scores"]
    assert (scores["top1"]["value"], scores["cosine"]["value"]) == (0, 0)
    assert scores["mse"]["value"] == scores["mse"]["chance"]
    assert min(score["p"] for score in scores.values()) == 1


def test_a_constant_predictor_is_no_better_than_chance(targets):
    constant = np.ones_like(targets)
    scores = evaluate(content(constant, targets), n_permutations=200, seed=0)["scores"]
    assert scores["top1"]["value"] <= 1 / 40
    assert scores["top10"]["value"] <= 10 / 40
    assert min(score["p"] for score in scores.values()) > 0.05


def test_a_gallery_of_equal_pictures_scores_nothing():
    targets = np.ones((20, 4), np.float32)
    assert retrieval_scores(targets, targets) == {"top1": 0, "top5": 0, "top10": 0, "median_rank": 20}


def test_chance(rng, targets):
    scores = evaluate(
        content(rng.standard_normal(targets.shape).astype(np.float32), targets), n_permutations=100, seed=0
    )
    chance = {name: score["chance"] for name, score in scores["scores"].items()}
    assert chance["top1"] == 1 / 40
    assert chance["median_rank"] == 20.5
    assert chance["mse"] == pytest.approx(np.mean(targets.astype(np.float64) ** 2))
    mean_prediction = evaluate(content(1e-6 * targets, targets), n_permutations=100, seed=0)["scores"]["mse"]
    assert mean_prediction["value"] == pytest.approx(chance["mse"], rel=1e-4)


def test_scores_of_mse_and_cosine_equal_their_definition(rng, targets):
    predictions = (targets + rng.standard_normal(targets.shape)).astype(np.float32)
    scores = evaluate(content(predictions, targets), n_permutations=100, seed=0)["scores"]
    assert scores["mse"]["value"] == pytest.approx(np.mean((predictions - targets) ** 2), rel=1e-5)
    cosines = [
        p @ t / np.linalg.norm(p) / np.linalg.norm(t) for p, t in zip(predictions, targets, strict=True)
    ]
    assert scores["cosine"]["value"] == pytest.approx(np.mean(cosines), rel=1e-5)


def test_p_values_are_uniform_under_the_null(rng):
    p_values = []
    for seed in range(200):
        targets, predictions = rng.standard_normal((2, 30, 8)).astype(np.float32)
        scores = evaluate(content(predictions, targets), n_permutations=100, seed=seed)["scores"]
        p_values.append(scores["cosine"]["p"])
    # 200 uniform draws: 20 ± 4.2 below 0.1, mean 0.5 ± 0.02; the bounds are four standard errors wide.
    assert 3 <= np.sum(np.array(p_values) <= 0.1) <= 37
    assert abs(np.mean(p_values) - 0.5) < 0.09


def test_top_k_intervals_hold_the_value(rng, targets):
    predictions = (targets + 2 * rng.standard_normal(targets.shape)).astype(np.float32)
    scores = evaluate(content(predictions, targets), n_permutations=100, seed=0)["scores"]
    for k in (1, 5, 10):
        assert 0 <= scores[f"top{k}"]["low"] <= scores[f"top{k}"]["value"] <= scores[f"top{k}"]["high"] <= 1


def test_too_few_pairs_and_bad_predictions_are_named(targets):
    with pytest.raises(InputError, match="at least 2 test pairs, got 1"):
        evaluate(content(targets[:1], targets[:1]), n_permutations=100, seed=0)
    with pytest.raises(InputError, match="finite predictions"):
        evaluate(content(np.full_like(targets, np.nan), targets), n_permutations=100, seed=0)


def test_predictions_survive_the_file(tmp_path, targets):
    original = content(targets + 1, targets)._replace(by_count={2: np.stack([targets, targets])})
    write_predictions(tmp_path / "p.npz", original)
    again = read_predictions(tmp_path / "p.npz")
    for name in original._fields:
        np.testing.assert_equal(getattr(again, name), getattr(original, name))


def test_the_summary_is_tidy(targets):
    metrics = evaluate(content(targets, targets), n_permutations=100, seed=0)
    table = summarise([("sub-01_subj01", "a"), ("sub-01_subj01", "ridge")], [metrics, metrics])
    assert list(table.columns) == ["pair", "run", "n_test", "metric", "value", "chance", "p", "low", "high"]
    assert len(table) == 12
    assert not table.duplicated(["pair", "run", "metric"]).any()
