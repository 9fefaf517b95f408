"""Retrieval scores, permutation p-values and the summary table."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from brain2image.core.errors import InputError
from brain2image.evaluation import statistics
from brain2image.evaluation.predictions import Predictions, read_predictions, write_predictions
from brain2image.evaluation.scores import evaluate, retrieval_scores
from brain2image.evaluation.summary import headline, summarise
from brain2image.formats.tables import SUMMARY

FACTS = {
    "is_field": False,
    "training": None,
    "learned_from": "both, 20 pictures",
    "people": "own",
    "calibration": None,
    "audit": {"split": {"n_passed_over": 7}},
}


def content(predictions, targets):
    n_pairs, n_features = targets.shape
    images = np.arange(n_pairs)
    return Predictions(
        predictions=predictions,
        targets=targets,
        eeg_image=images,
        fmri_image=images + 100,
        concept=images.astype(str),
        target_mean=np.zeros(n_features, np.float32),
        repetitions=targets,
        repetition_pair=images,
        target_dependence=np.float64(0),
        by_count={},
    )


@pytest.fixture
def targets(rng):
    return rng.standard_normal((40, 16)).astype(np.float32)


def scored(content, n_permutations=100, seed=0):
    """The headline rows of an evaluation, by metric."""
    metrics = evaluate(content, n_permutations=n_permutations, seed=seed)
    return rows_of(metrics).set_index("metric")


def rows_of(metrics, **chosen):
    rows = pd.DataFrame(metrics["scores"])
    wanted = {"level": "image", "n_trials": "all", "n_gallery": metrics["n_test"]} | chosen
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows[rows["direction"] != "backward"] if "direction" not in chosen else rows


def test_a_perfect_predictor_scores_all(targets):
    assert retrieval_scores(targets, targets) == {
        "top1": 1,
        "top5": 1,
        "top10": 1,
        "median_rank": 1,
        "mrr": 1,
        "percentile_rank": 1,
        "two_way": 1,
    }
    scores = scored(content(targets, targets), n_permutations=200)
    assert scores["value"]["mse"] == pytest.approx(0, abs=1e-6)
    assert scores["value"]["cosine"] == pytest.approx(1, abs=1e-5)
    assert scores["value"]["rsa"] == pytest.approx(1)
    assert scores["p"].to_numpy() == pytest.approx(1 / 201)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("level", ["image", "transductive"])
def test_both_directions_of_a_perfect_predictor(targets, level, direction):
    metrics = evaluate(content(targets, targets), n_permutations=100, seed=0)
    rows = rows_of(metrics, level=level, direction=direction).set_index("metric")
    assert (rows["value"] == 1).all()


def test_directions_differ_as_their_definitions(rng, targets):
    predictions = (targets + 2 * rng.standard_normal(targets.shape)).astype(np.float32)
    metrics = evaluate(content(predictions, targets), n_permutations=100, seed=0)
    for direction, expected in {
        "forward": retrieval_scores(predictions, targets),
        "backward": retrieval_scores(targets, predictions),
    }.items():
        rows = rows_of(metrics, direction=direction).set_index("metric")["value"]
        assert rows[list(expected)].to_dict() == pytest.approx(expected)


@pytest.mark.parametrize("answer", [0, 1])
def test_a_constant_predictor_scores_chance(targets, answer):
    """The training mean, 0, and another answer; all of their ranks are ties in one direction or both."""
    metrics = evaluate(content(np.full_like(targets, answer), targets), n_permutations=200, seed=0)
    assert metrics["is_constant"]
    for direction in ("forward", "backward"):
        ranked = rows_of(metrics, direction=direction).set_index("metric")
        assert ranked["value"].to_numpy() == pytest.approx(ranked["chance"].to_numpy())
        assert ranked["p"].min() == 1
        assert ranked["low"].isna().all()
    scores = rows_of(metrics).set_index("metric")
    assert (scores["value"]["rsa"], scores["p"].min() > 0.05) == (0, True)
    if answer == 0:
        assert scores["value"]["cosine"] == 0
        assert scores["value"]["mse"] == scores["chance"]["mse"]
    np.testing.assert_allclose(metrics["per_image"]["top1"], 1 / 40)


def test_a_predictor_that_varies_is_not_constant(rng, targets):
    small = (1 + 1e-3 * rng.standard_normal(targets.shape)).astype(np.float32)
    assert not evaluate(content(small, targets), n_permutations=100, seed=0)["is_constant"]


@pytest.mark.slow
def test_shuffled_targets_score_chance(rng, monkeypatch):
    """Means over 30 shuffles of a perfect predictor lie within four standard errors of chance."""
    monkeypatch.setattr(statistics, "N_RESAMPLES", 50)  # of the intervals, at which nobody looks
    targets = rng.standard_normal((40, 16)).astype(np.float32)
    runs = [scored(content(rng.permutation(targets), targets), seed=seed) for seed in range(30)]
    for metric in ("top1", "top5", "mrr", "two_way", "percentile_rank", "cosine", "rsa"):
        values = np.array([run["value"][metric] for run in runs])
        error = values.std(ddof=1) / np.sqrt(len(runs))
        assert abs(values.mean() - runs[0]["chance"][metric]) < 4 * error, metric


def test_a_gallery_of_equal_pictures_scores_nothing():
    targets = np.ones((20, 4), np.float32)
    scores = retrieval_scores(targets, targets)
    assert (scores["top1"], scores["top10"], scores["median_rank"], scores["two_way"]) == (0, 0, 20, 0)


def test_chance(rng, targets):
    random = rng.standard_normal(targets.shape).astype(np.float32)
    chance = scored(content(random, targets))["chance"]
    assert (chance["top1"], chance["median_rank"], chance["two_way"]) == (1 / 40, 20.5, 0.5)
    assert chance["mse"] == pytest.approx(np.mean(targets.astype(np.float64) ** 2))
    assert scored(content(1e-6 * targets, targets))["value"]["mse"] == pytest.approx(chance["mse"], rel=1e-4)


def test_scores_of_mse_and_cosine_equal_their_definition(rng, targets):
    predictions = (targets + rng.standard_normal(targets.shape)).astype(np.float32)
    scores = scored(content(predictions, targets))["value"]
    assert scores["mse"] == pytest.approx(np.mean((predictions - targets) ** 2), rel=1e-5)
    cosines = [
        p @ t / np.linalg.norm(p) / np.linalg.norm(t) for p, t in zip(predictions, targets, strict=True)
    ]
    assert scores["cosine"] == pytest.approx(np.mean(cosines), rel=1e-5)


@pytest.mark.slow
def test_p_values_are_uniform_under_the_null(rng, monkeypatch):
    monkeypatch.setattr(statistics, "N_RESAMPLES", 50)  # of the intervals, at which nobody looks
    p_values = []
    for seed in range(60):
        targets, predictions = rng.standard_normal((2, 20, 8)).astype(np.float32)
        p_values.append(scored(content(predictions, targets), seed=seed)["p"][["cosine", "mrr", "rsa"]])
    for metric, values in pd.DataFrame(p_values).items():
        assert kstest(values, "uniform").pvalue > 1e-3, metric


def test_numbers_of_trials_are_rows_of_their_own(rng, targets):
    noisy = targets + 3 * rng.standard_normal((4, *targets.shape))
    averaged = {1: noisy.astype(np.float32), 2: noisy[:2].astype(np.float32) / 9}
    metrics = evaluate(content(targets, targets)._replace(by_count=averaged), n_permutations=100, seed=0)
    values = {
        n_trials: rows_of(metrics, n_trials=n_trials).set_index("metric")["value"]["top1"]
        for n_trials in ("1", "2", "all")
    }
    assert values["1"] == pytest.approx(np.mean([retrieval_scores(d, targets)["top1"] for d in averaged[1]]))
    assert values["2"] == pytest.approx(np.mean([retrieval_scores(d, targets)["top1"] for d in averaged[2]]))
    assert values["all"] == 1
    assert metrics["per_image"]["top1"] == [1] * 40


def test_smaller_galleries_are_easier_and_their_chance_higher(rng):
    targets = rng.standard_normal((120, 16)).astype(np.float32)
    predictions = (targets + 3 * rng.standard_normal(targets.shape)).astype(np.float32)
    metrics = evaluate(content(predictions, targets), n_permutations=100, seed=0)
    values = [
        rows_of(metrics, n_gallery=size).set_index("metric").loc["top1", ["value", "chance"]]
        for size in (50, 100, 120)
    ]
    assert values[0]["value"] > values[1]["value"] > values[2]["value"]
    assert [row["chance"] for row in values] == [1 / 50, 1 / 100, 1 / 120]


def test_intervals_hold_the_value(rng, targets):
    predictions = (targets + 2 * rng.standard_normal(targets.shape)).astype(np.float32)
    scores = scored(content(predictions, targets)).drop("rsa")
    assert (scores["low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["high"]).all()
    assert (scores["low"] < scores["high"]).all()


def test_intervals_and_p_are_over_concepts(rng, targets):
    """Every picture three times: what is sure with 120 concepts is not with 40."""
    predictions = (targets + 3 * rng.standard_normal(targets.shape)).astype(np.float32)
    often = content(*(np.repeat(array, 3, axis=0) for array in (predictions, targets)))
    alike = often._replace(concept=np.repeat(np.arange(40), 3).astype(str))
    assert evaluate(alike, n_permutations=100, seed=0)["n_concepts"] == 40
    apart, together = scored(often), scored(alike)
    np.testing.assert_array_equal(together["value"], apart["value"])
    for metric in ("mrr", "cosine", "rsa", "two_way"):
        widths = [rows["high"][metric] - rows["low"][metric] for rows in (apart, together)]
        assert widths[1] > 1.3 * widths[0]


def test_pictures_that_were_all_found_are_as_many_as_their_concepts(targets):
    perfect = content(targets, targets)._replace(concept=np.repeat(np.arange(10), 4).astype(str))
    low, high = scored(perfect).loc["top1", ["low", "high"]]
    assert (low, high) == pytest.approx((1 / (1 + 1.959964**2 / 10), 1))


def test_too_few_pairs_and_bad_predictions_are_named(targets):
    with pytest.raises(InputError, match="at least 2 test pairs, got 1"):
        evaluate(content(targets[:1], targets[:1]), n_permutations=100, seed=0)
    broken = np.full_like(targets, np.nan)
    for wrong in (content(broken, targets), content(targets, targets)._replace(by_count={1: broken[None]})):
        with pytest.raises(InputError, match="finite predictions"):
            evaluate(wrong, n_permutations=100, seed=0)


def test_predictions_survive_the_file(tmp_path, targets):
    original = content(targets + 1, targets)._replace(by_count={2: np.stack([targets, targets])})
    write_predictions(tmp_path / "p.npz", original)
    again = read_predictions(tmp_path / "p.npz")
    for name in original._fields:
        np.testing.assert_equal(getattr(again, name), getattr(original, name))


def test_the_summary_is_tidy(targets):
    metrics = evaluate(content(targets, targets), n_permutations=100, seed=0) | FACTS
    predictors = [
        {"brains": "things-01_subj01", "run": "a", "seed": 0},
        {"brains": "things-01_subj01", "run": "ridge", "seed": None},
    ]
    trained = metrics | {"training": {"best_epoch": 3, "network_share": 0.5}}
    calibration = {"people": "others", "calibration": {"n_pictures": 8, "n_trials": 32, "gain": 0.1}}
    table = summarise(predictors, [trained | calibration, metrics])
    of_each = table.groupby("run")[["people", "n_calibration", "n_calibration_trials"]].first()
    assert of_each.loc["a"].tolist() == ["others", 8, 32]
    assert of_each.loc["ridge"].isna().tolist() == [False, True, True]
    assert set(table["n_concepts"]) == {40}
    keys = [
        "brains",
        "run",
        "seed",
        "n_test",
        "n_trials",
        "level",
        "space",
        "direction",
        "n_gallery",
        "metric",
    ]
    assert tuple(table) == SUMMARY
    assert set(table["n_passed_over"]) == {7}
    assert set(table["learned_from"]) == {"both, 20 pictures"}
    assert table.groupby("run")["best_epoch"].first().isna().to_dict() == {"a": False, "ridge": True}
    assert table["share_of_ceiling"].isna().all()
    assert not table.duplicated(keys).any()
    assert len(headline(table)) == 2 * 10
    json.dumps(metrics, allow_nan=False)


def test_what_was_decoded_stands_beside_the_run_and_the_measured_fmri(targets):
    metrics = evaluate(content(targets, targets), n_permutations=100, seed=0) | FACTS
    folders = {3: "net", 4: "net_seed-4"}
    predictors = [
        {"brains": "a", "folder": folder, "run": "net", "seed": seed} for seed, folder in folders.items()
    ]
    row = {**metrics["scores"][0], "level": "tokens", "space": "tokens", "value": 0.25}
    scores = {"net": [row], "net_seed-4": [row | {"value": 0.5}], "measured_fmri": [row | {"value": 1.0}]}
    table = summarise(predictors, [metrics] * 2, [{"brains": "a", "scores": scores}])
    decoded = table[table["level"] == "tokens"].set_index("run")
    assert decoded.loc["net", "value"].tolist() == [0.25, 0.5]
    assert decoded.loc["net", "seed"].tolist() == [3, 4]
    assert decoded.loc["measured_fmri", "learned_from"] == "nothing, it was measured"
    assert decoded.loc["measured_fmri", ["seed", "network_share"]].isna().all()
    assert len(headline(table)) == 2 * 10  # these are the embedding's


def test_the_share_of_the_ceiling_counts_from_chance(rng, targets):
    near, far = (targets + size * rng.standard_normal(targets.shape) for size in (1, 3))
    predictors = [{"brains": "a", "run": run, "seed": None} for run in ("ceiling", "ridge")]
    contents = [content(array.astype(np.float32), targets) for array in (near, far)]
    metrics = [evaluate(own, n_permutations=100, seed=0) | FACTS for own in contents]
    rows = headline(summarise(predictors, metrics)).set_index(["run", "metric"])
    assert (rows.loc["ceiling", "share_of_ceiling"] == 1).all()
    ceiling, ridge = rows["value"]["ceiling", "top1"], rows["value"]["ridge", "top1"]
    expected = (ridge - 1 / 40) / (ceiling - 1 / 40)
    assert rows.loc[("ridge", "top1"), "share_of_ceiling"] == pytest.approx(expected)
    assert 0 < expected < 1
    # nor is a share of a ceiling that knows fMRI reached by what is held against other answers
    field = evaluate(contents[1], n_permutations=100, seed=0, space="clip") | FACTS
    rows = summarise(predictors, [metrics[0], field])
    assert rows[rows["run"] == "ridge"]["share_of_ceiling"].isna().all()
