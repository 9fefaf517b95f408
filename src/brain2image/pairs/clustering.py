"""Clusters of picture pairs; their labels feed the prototypical distillation."""

import numpy as np
from sklearn.cluster import KMeans

from brain2image.core.errors import InputError
from brain2image.pairs.matching import unit_rows


def cluster_pairs(
    things: np.ndarray, nsd: np.ndarray, training: np.ndarray, *, n_clusters: int, seed: int
) -> np.ndarray:
    """K-means labels of picture pairs, from centres that are fitted on the training pairs alone.

    A pair is one item: the mean of its two unit-length embeddings, so both pictures share the label.

    Parameters
    ----------
    things : (n_pairs, n_features) float32, CLIP embedding of the THINGS picture of each pair.
    nsd : (n_pairs, n_features) float32, that of its NSD partner.
    training : (n_pairs,) bool, the pairs to fit on.
    n_clusters : number of clusters.
    seed : seed of the ten K-means starts.

    Returns
    -------
    (n_pairs,) int64, 0 … n_clusters - 1.

    Raises
    ------
    InputError
        When there are fewer training pairs than clusters.
    """
    if training.sum() < n_clusters:
        raise InputError(
            f"expected at least n_clusters = {n_clusters} training pairs, got {training.sum()}; "
            "lower clustering.n_clusters or raise matching.top_k"
        )
    pairs = unit_rows((unit_rows(things) + unit_rows(nsd)) / 2)
    means = KMeans(n_clusters=n_clusters, n_init=10, random_state=seed).fit(pairs[training])
    return means.predict(pairs).astype(np.int64)
