"""Scores of predicted fMRI embeddings: one query per test picture, a gallery of unique pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from brain2image.errors import InputError
from brain2image.predictions import Predictions

TOP_K = (1, 5, 10)
SMALLER_IS_BETTER = {"median_rank", "mse"}


def similarity_matrix(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Cosine of each prediction with each target; 0 where one of them is a zero vector.

    Parameters
    ----------
    predictions, targets : (n_pairs, n_features) float32.

    Returns
    -------
    (n_pairs, n_pairs) float32, a row a prediction.
    """
    products = predictions @ targets.T
    lengths = np.outer(np.linalg.norm(predictions, axis=1), np.linalg.norm(targets, axis=1))
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


def ranks(similarity: np.ndarray) -> np.ndarray:
    """Rank that each gallery item has for each query, 1 the best; ties count against it.

    ``rank[i, j] = number of k with similarity[i, k] >= similarity[i, j]``

    Parameters
    ----------
    similarity : (n_queries, n_gallery) float32.

    Returns
    -------
    (n_queries, n_gallery) int64.
    """
    ascending = np.sort(similarity, axis=1)
    below = np.stack(
        [np.searchsorted(row, values) for row, values in zip(ascending, similarity, strict=True)]
    )
    return similarity.shape[1] - below


def retrieval_scores(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Image-level retrieval of the measured embedding by the predicted one, as they are given.

    `evaluate` centres both on the mean training target first; do so too to get its numbers.

    Parameters
    ----------
    predictions : (n_pairs, n_features) float32, one row a test picture.
    targets : (n_pairs, n_features) float32, the gallery; row i is the answer to row i.

    Returns
    -------
    ``top1``, ``top5``, ``top10`` (shares of queries) and ``median_rank`` (1 the best).
    """
    return _rank_scores(np.diag(ranks(similarity_matrix(predictions, targets))))


def _rank_scores(own: np.ndarray) -> dict[str, float]:
    scores = {f"top{k}": float(np.mean(own <= k)) for k in TOP_K}
    return scores | {"median_rank": float(np.median(own))}


def evaluate(content: Predictions, *, n_permutations: int, seed: int) -> dict[str, Any]:
    """Scores of one run, each with chance and a permutation p; top-k also with a 95 % interval.

    Embeddings are centred on the mean target of the training pairs, which knows nothing of the test pairs.
    The null hypothesis of the p-values is that predictions and targets are paired at random: targets are
    shuffled ``n_permutations`` times, ``p = (1 + shuffles at least as good) / (1 + n_permutations)``.

    Parameters
    ----------
    content : predictions and targets, in the units of the embedding.
    n_permutations : number of shuffles.
    seed : seed of the shuffles.

    Returns
    -------
    ``n_test`` and ``scores``: for each of top1, top5, top10, median_rank, mse and cosine a dict of
    ``value``, ``chance``, ``p`` and, for top-k, ``low`` and ``high`` (Wilson interval over pictures). Chance
    of the top-k and ranks is that of a random order, chance of mse is that of predicting the training mean,
    chance of cosine is the mean over wrong pairs.

    Raises
    ------
    InputError
        When there are fewer than two test pairs, or a prediction is not finite.
    """
    n_pairs = len(content.targets)
    if n_pairs < 2:
        raise InputError(f"expected at least 2 test pairs, got {n_pairs}; raise matching.top_k or split.test")
    if not np.isfinite(content.predictions).all():
        raise InputError(
            "expected finite predictions, got NaN or Inf; lower the learning rates and train again"
        )
    predictions, targets = (array - content.target_mean for array in (content.predictions, content.targets))
    similarity = similarity_matrix(predictions, targets)
    tables = {
        "rank": ranks(similarity),
        "cosine": similarity.astype(np.float64),
        "mse": _squared_errors(predictions, targets),
    }
    observed = _scores(tables, np.arange(n_pairs))
    rng = np.random.default_rng(seed)
    shuffled = pd.DataFrame([_scores(tables, rng.permutation(n_pairs)) for _ in range(n_permutations)])
    chance = _chance(targets, similarity)
    return {
        "n_test": n_pairs,
        "n_permutations": n_permutations,
        "scores": {
            name: {"value": value, "chance": chance[name], "p": _p_value(name, value, shuffled[name])}
            | _interval(name, value, n_pairs)
            for name, value in observed.items()
        },
    }


def _squared_errors(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean squared difference of each prediction and each target, (n_pairs, n_pairs) float64."""
    predictions, targets = predictions.astype(np.float64), targets.astype(np.float64)
    lengths = np.square(predictions).sum(1)[:, None] + np.square(targets).sum(1)
    return (lengths - 2 * predictions @ targets.T) / predictions.shape[1]


def _scores(tables: dict[str, np.ndarray], answer: np.ndarray) -> dict[str, float]:
    """Scores when row i of the predictions is held against target ``answer[i]``."""
    cells = (np.arange(len(answer)), answer)
    scores = _rank_scores(tables["rank"][cells])
    return scores | {name: float(tables[name][cells].mean()) for name in ("mse", "cosine")}


def _chance(targets: np.ndarray, similarity: np.ndarray) -> dict[str, float]:
    n_pairs = len(targets)
    wrong = ~np.eye(n_pairs, dtype=bool)
    return {f"top{k}": min(1.0, k / n_pairs) for k in TOP_K} | {
        "median_rank": (n_pairs + 1) / 2,
        "mse": float(np.square(targets, dtype=np.float64).mean()),
        "cosine": float(similarity[wrong].mean()),
    }


def _p_value(name: str, value: float, shuffled: pd.Series) -> float:
    sign = -1 if name in SMALLER_IS_BETTER else 1
    # A shuffle that gives the same numbers in another order is equal, whatever the rounding of their sum.
    as_good = sign * shuffled >= sign * value - 1e-9 * max(1, abs(value))
    return float((1 + as_good.sum()) / (1 + len(shuffled)))


def _interval(name: str, value: float, n_pairs: int) -> dict[str, float]:
    if not name.startswith("top"):
        return {}
    low, high = binomtest(round(value * n_pairs), n_pairs).proportion_ci(method="wilson")
    return {"low": float(low), "high": float(high)}


def summarise(predictors: Sequence[Sequence[str]], metrics: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a pair of brains, run and metric.

    Parameters
    ----------
    predictors : pair and run of each of ``metrics``.
    metrics : what `evaluate` returned.

    Returns
    -------
    Table ``pair, run, n_test, metric, value, chance, p, low, high``.
    """
    return pd.DataFrame(
        [
            {"pair": pair, "run": run, "n_test": content["n_test"], "metric": metric, **score}
            for (pair, run), content in zip(predictors, metrics, strict=True)
            for metric, score in content["scores"].items()
        ]
    )
