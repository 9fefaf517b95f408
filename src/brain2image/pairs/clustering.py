"""Clusters of picture pairs; their labels feed the prototypical distillation."""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import unit_rows


def cluster_pairs(
    pairs: pd.DataFrame,
    pictures: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    *,
    n_clusters: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cluster picture pairs by K-means, from centres that are fitted on the training pairs alone.

    A pair is one item: the mean of its two unit-length embeddings, so both pictures share the
    label. A picture of its own gets the label of the centre that is nearest to its unit-length embedding.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split.
    pictures : image of each picture of the EEG that gets a label of its own.
    eeg, fmri : embeddings of the pictures of both sets.
    n_clusters : number of clusters.
    seed : seed of the ten K-means starts.

    Returns
    -------
    Both tables with ``cluster`` (int64, 0 … n_clusters - 1), of the pairs before ``split``.

    Raises
    ------
    InputError
        When there are fewer training pairs than clusters.
    """
    training = (pairs["split"] == "train").to_numpy()
    if training.sum() < n_clusters:
        raise InputError(
            f"expected at least n_clusters = {n_clusters} training pairs, got {training.sum()}; "
            "lower clustering.n_clusters or raise matching.top_k"
        )
    both = unit_rows(eeg.of(pairs["eeg_image"])) + unit_rows(fmri.of(pairs["fmri_image"]))
    directions = unit_rows(both / 2)
    means = KMeans(n_clusters=n_clusters, n_init=10, random_state=seed).fit(directions[training])
    labels, own = (
        means.predict(part).astype(np.int64) for part in (directions, unit_rows(eeg.of(pictures["image"])))
    )
    labelled = pairs.copy()
    labelled.insert(pairs.columns.get_loc("split"), "cluster", labels)
    return labelled, pictures.assign(cluster=own)
