"""Scores of predicted fMRI embeddings: one query per test picture, a gallery of unique pictures."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.evaluation.metrics import (
    GALLERIES,
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
from brain2image.evaluation.predictions import Predictions
from brain2image.evaluation.statistics import (
    interval,
    permutation_p,
    rsa_interval,
    share_interval,
    shuffle_answers,
)

SMALLER_IS_BETTER = {"median_rank", "mse", "efficientnet_b1", "swav"}
SHARES = ("top", "cluster")  # metrics that begin so are shares of the pictures
# Image level is the claim. CSLS sees all test queries at once, trial level repeats its targets: rows apart.
View = Callable[[np.ndarray], np.ndarray]
LEVELS: dict[str, View] = {"image": lambda similarity: similarity, "transductive": csls}
DIRECTIONS: dict[str, View] = {"forward": lambda similarity: similarity, "backward": np.transpose}
EMBEDDING = "embedding"  # the space of fMRI embeddings
PER_IMAGE = ("top1", "mrr")  # kept for each picture, for comparisons between runs
TOLERANCE = 1e-6  # of the targets' deviation; what float32 makes of equal predictions
TRIAL_LEVEL_NOTE = (
    "rows of level 'trial' count every EEG trial x fMRI repetition as a sample, as other projects do: a "
    "target stands in the gallery once for each EEG trial and only one of them counts as found, so that "
    "even a perfect predictor stays below 100 %; compare them with such figures only"
)


class Row(NamedTuple):
    """Names of one score, its value for every query and possible answer, and what chance would give."""

    level: str
    direction: str
    n_gallery: int
    metric: str
    table: np.ndarray  # (n_pairs, n_pairs) float64, mean over draws of trials
    chance: float


def retrieval_scores(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Score how predicted embeddings retrieve the measured ones at image level, as they are given.

    `evaluate` centres both on the mean training target first; do so too to get its numbers.

    Parameters
    ----------
    predictions : (n_pairs, n_features) float32, one row a test picture.
    targets : (n_pairs, n_features) float32, the gallery; row i is the answer to row i.

    Returns
    -------
    The scores of `metrics.rank_scores`: ``top1``, ``top5``, ``top10``, ``median_rank`` (1 the best), ``mrr``,
    ``percentile_rank`` and ``two_way``.
    """
    own = np.diag(ranks(similarity_matrix(predictions, targets)))
    return {name: float(_reduce(name)(scores)) for name, scores in rank_scores(own, len(targets)).items()}


def evaluate(
    content: Predictions, *, n_permutations: int, seed: int, space: str = EMBEDDING
) -> dict[str, Any]:
    """Score one run, each score with chance, a permutation p and a 95 % interval over concepts.

    Embeddings are centred on the mean target of the training pairs, which knows nothing of the test pairs.
    The null hypothesis of the p-values is that predictions and targets are paired at random: answers are
    shuffled ``n_permutations`` times by whole concepts, the same way for every score.

    Parameters
    ----------
    content : predictions and targets, in the units of the embedding.
    n_permutations : number of shuffles.
    seed : seed of the shuffles and of the bootstrap.
    space : name of the targets' space, for the rows.

    Returns
    -------
    n_test, n_concepts, n_permutations : numbers of test pairs, of concepts, which are what was drawn
        independently, and of shuffles.
    is_constant : whether the prediction is the same for every picture. Its ranks, all ties, are then the
        expected ones, chance: counted against it, as ties are, anything random would be above it.
    scores : rows of ``space``, ``level`` (image, transductive, trial), ``n_trials`` (EEG trials in a query:
        1, 2, 4, …, all), ``direction`` (forward: EEG finds fMRI; backward; both), ``n_gallery``, ``metric``,
        ``value``, ``chance``, ``p``, ``low``, ``high``; None where there is none. Chance of retrieval is that
        of a random order, of mse that of predicting the training mean, of cosine the mean over wrong pairs.
    per_image : eeg_image, fmri_image, concept, and the forward top1 and mrr of each, for all trials.
    trial_level_note : how to read the rows of level trial.

    Raises
    ------
    InputError
        When there are fewer than two test pairs, or a prediction is not finite.
    """
    _check(content)
    n_pairs = len(content.targets)
    concepts = pd.factorize(content.concept)[0]
    orders = shuffle_answers(concepts, n_permutations=n_permutations, seed=seed)
    targets = content.targets - content.target_mean
    queries = {str(count): drawn for count, drawn in sorted(content.by_count.items())}
    queries |= {"all": content.predictions[None]}
    scores, per_image = [], {}
    for n_trials, drawn in queries.items():
        predictions = drawn - content.target_mean
        for row in _rows(predictions, targets):
            scores.append({"n_trials": n_trials, **score_row(row, concepts, orders, seed=seed)})
            if row[:3] == ("image", "forward", n_pairs) and row.metric in PER_IMAGE:
                per_image[row.metric] = np.diag(row.table).tolist()  # the last queries are of all trials
        scores.append({"n_trials": n_trials, **_rsa(predictions, targets, concepts, orders, seed=seed)})
    return {
        "n_test": n_pairs,
        "n_concepts": int(concepts.max()) + 1,
        "n_permutations": n_permutations,
        "is_constant": _is_constant(content.predictions[None], targets),
        "scores": [{"space": space, **row} for row in scores + _trial_level(content)],
        "per_image": {
            "eeg_image": content.eeg_image.tolist(),
            "fmri_image": content.fmri_image.tolist(),
            "concept": content.concept.tolist(),
            **per_image,
        },
        "trial_level_note": TRIAL_LEVEL_NOTE,
    }


def _check(content: Predictions) -> None:
    n_pairs = len(content.targets)
    if n_pairs < 2:
        raise InputError(f"expected at least 2 test pairs, got {n_pairs}; raise matching.top_k or split.test")
    if not all(np.isfinite(array).all() for array in (content.predictions, *content.by_count.values())):
        raise InputError(
            "expected finite predictions, got NaN or Inf; lower the learning rates and train again"
        )


def _rows(predictions: np.ndarray, targets: np.ndarray) -> Iterator[Row]:
    """Yield the tables of (n_draws, n_pairs, n_features) predictions, the mean over draws."""
    similarity = np.stack([similarity_matrix(drawn, targets) for drawn in predictions])
    n_pairs = len(targets)
    chance = rank_chance(n_pairs)
    is_constant = _is_constant(predictions, targets)

    def ranked(names: tuple[str, str, int, str], table: np.ndarray, by_chance: float) -> Row:
        return Row(*names, np.full_like(table, by_chance) if is_constant else table, by_chance)

    for level, adjust in LEVELS.items():
        for direction, view in DIRECTIONS.items():
            rank = np.stack([ranks(view(adjust(drawn))) for drawn in similarity])
            for metric, table in rank_scores(rank, n_pairs).items():
                yield ranked((level, direction, n_pairs, metric), table.mean(axis=0), chance[metric])
            for size in GALLERIES if level == "image" else ():
                if size < n_pairs:
                    for metric, table in gallery_scores(rank, n_pairs, size).items():
                        k = int(metric.removeprefix("top"))
                        yield ranked((level, direction, size, metric), table.mean(axis=0), k / size)
    cosines = similarity.mean(axis=0, dtype=np.float64)
    wrong = ~np.eye(n_pairs, dtype=bool)
    yield Row("image", "both", n_pairs, "cosine", cosines, float(cosines[wrong].mean()))
    errors = np.mean([squared_errors(drawn, targets) for drawn in predictions], axis=0)
    yield Row("image", "both", n_pairs, "mse", errors, float(np.square(targets, dtype=np.float64).mean()))


def _is_constant(predictions: np.ndarray, targets: np.ndarray) -> bool:
    """Tell whether predictions (n_draws, n_pairs, n_features) are the same for every picture."""
    return bool(np.ptp(predictions, axis=1).max() <= TOLERANCE * targets.std())


def score_row(row: Row, concepts: np.ndarray, orders: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Return the names of a score, its value and chance, p by shuffled answers, and the interval's bounds.

    Parameters
    ----------
    concepts : (n_pairs,) int64, number of each pair's concept.
    orders : (n_permutations, n_pairs) int64 of `statistics.shuffle_answers`.
    seed : of the bootstrap.
    """
    reduce = _reduce(row.metric)
    observed = np.diag(row.table)
    value = float(reduce(observed))
    shuffled = reduce(row.table[np.arange(len(observed)), orders], axis=1)
    bounds = interval(observed, concepts, reduce=reduce, seed=seed)
    if row.metric.startswith(SHARES) and (observed == observed[0]).all() and observed[0] in (0, 1):
        n_concepts = concepts.max() + 1
        bounds = share_interval(round(n_concepts * observed[0]), n_concepts)
    low, high = bounds or (None, None)
    p = permutation_p(value, shuffled, larger_is_better=row.metric not in SMALLER_IS_BETTER)
    names = {name: getattr(row, name) for name in Row._fields[:4]}
    return {**names, "value": value, "chance": row.chance, "p": p, "low": low, "high": high}


def _reduce(metric: str) -> Any:
    return np.median if metric == "median_rank" else np.mean


def _rsa(
    predictions: np.ndarray, targets: np.ndarray, concepts: np.ndarray, orders: np.ndarray, *, seed: int
) -> dict[str, Any]:
    """Correlate the RDMs (Spearman), the mean over draws."""
    predicted, target = [dissimilarities(drawn) for drawn in predictions], dissimilarities(targets)
    straight = np.arange(len(targets))
    # the correlation is linear in the predicted RDM, so its mean over draws is that with the mean RDM
    rho = rsa(np.mean(predicted, axis=0), target, np.vstack([straight, orders]))
    low, high = rsa_interval(predicted, target, concepts, seed=seed) or (None, None)
    names = {"level": "image", "direction": "both", "n_gallery": len(targets), "metric": "rsa"}
    p = permutation_p(rho[0], rho[1:], larger_is_better=True)
    return {**names, "value": float(rho[0]), "chance": 0.0, "p": p, "low": low, "high": high}


def _trial_level(content: Predictions) -> list[dict[str, Any]]:
    single = content.by_count.get(1, content.predictions[None])
    n_samples = len(single) * len(content.repetitions)
    names = {"n_trials": "1", "level": "trial", "direction": "forward", "n_gallery": n_samples}
    scores = trial_level_scores(
        single - content.target_mean, content.repetitions - content.target_mean, content.repetition_pair
    )
    return [
        {**names, "metric": metric, "value": value, "chance": chance, "p": None, "low": None, "high": None}
        for metric, (value, chance) in scores.items()
    ]
