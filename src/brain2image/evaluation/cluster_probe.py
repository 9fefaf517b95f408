"""In which cluster a prediction lies: a probe of what a coarse reading of the embedding knows."""

from typing import Any

import numpy as np

from brain2image.evaluation.metrics import similarity_matrix
from brain2image.evaluation.scores import Row, score_row


def prototypes(targets: np.ndarray, clusters: np.ndarray, *, n_clusters: int) -> np.ndarray:
    """Average the training targets of each cluster.

    Parameters
    ----------
    targets : (n_pairs, n_features) float32, of the training pairs.
    clusters : (n_pairs,) int64, 0 to n_clusters - 1.
    n_clusters : of all pairs; of a picture that a person has not seen there is no training pair.

    Returns
    -------
    (n_clusters, n_features) float64; NaN of a cluster without a training pair.
    """
    means = np.full((n_clusters, targets.shape[1]), np.nan)
    for number in np.unique(clusters):
        means[number] = targets[clusters == number].mean(axis=0)
    return means


def probe_clusters(
    predictions: np.ndarray,
    clusters: np.ndarray,
    means: np.ndarray,
    *,
    concepts: np.ndarray,
    orders: np.ndarray,
    seed: int,
) -> tuple[dict[str, Any], list[list[int]]]:
    """Take the cluster whose mean training target is nearest by cosine, and count how often it is right.

    The clusters are K-means' of the pictures' CLIP features (`pairs.clustering`), fitted on training pairs.

    Parameters
    ----------
    predictions : (n_pairs, n_features) float32, centred on the mean training target.
    clusters : (n_pairs,) int64, the test pairs' own.
    means : (n_clusters, n_features), see `prototypes`, centred likewise; one that is NaN is never named.
    concepts, orders, seed : see `scores.evaluate`.

    Returns
    -------
    A row of scores, level ``probe``, metric ``cluster``, whose chance is the share of the commonest cluster
    of the test pairs; and the confusion, (n_clusters, n_clusters) numbers of pairs, true clusters down.
    """
    is_absent = np.isnan(means).any(axis=1)
    similarity = similarity_matrix(predictions, np.where(is_absent[:, None], 0.0, means))
    named = np.where(is_absent, -np.inf, similarity).argmax(axis=1)
    n_clusters = len(means)
    chance = np.bincount(clusters).max() / len(clusters)
    table = (named[:, None] == clusters[None, :]).astype(np.float64)
    row = Row("probe", "forward", n_clusters, "cluster", table, float(chance))
    confusion = np.zeros((n_clusters, n_clusters), np.int64)
    np.add.at(confusion, (clusters, named), 1)
    return score_row(row, concepts, orders, seed=seed), confusion.tolist()
