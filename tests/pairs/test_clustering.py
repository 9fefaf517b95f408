"""Clusters of pairs, fitted on the training pairs."""

import numpy as np
import pandas as pd
import pytest
from helpers.pair_tables import pairs_of

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.clustering import cluster_pairs


def cluster(pairs, eeg, fmri, n_clusters):
    sides = [Embeddings(np.arange(len(pairs)), features, "clip.npz") for features in (eeg, fmri)]
    pictures = pd.DataFrame({"image": np.arange(len(pairs))})
    return cluster_pairs(pairs, pictures, *sides, n_clusters=n_clusters, seed=0)


def test_clusters_are_fitted_on_training_pairs_alone(rng):
    centres = 5 * np.eye(4, 10, dtype=np.float32)
    truth = np.arange(80) % 4
    eeg, fmri = (centres[truth] + 0.3 * rng.standard_normal((80, 10)).astype(np.float32) for _ in range(2))
    pairs = pairs_of(80, 60)
    labelled, pictures = cluster(pairs, eeg, fmri, 4)
    assert list(labelled) == ["eeg_image", "fmri_image", "cluster", "split"]
    labels = labelled["cluster"]
    # with so little noise, a picture lies where its pair lies
    np.testing.assert_array_equal(pictures["cluster"], labels)
    assert pictures["cluster"].dtype == np.int64
    assert len({tuple(pair) for pair in zip(labels, truth, strict=True)}) == 4  # one label a true cluster
    eeg[60:] = fmri[60:] = -centres[0] - 1  # test pairs elsewhere leave the training labels alone
    np.testing.assert_array_equal(cluster(pairs, eeg, fmri, 4)[0]["cluster"][:60], labels[:60])


def test_too_few_training_pairs_for_the_clusters_are_named(rng):
    embeddings = rng.standard_normal((4, 3)).astype(np.float32)
    with pytest.raises(InputError, match="n_clusters = 5 training pairs, got 4"):
        cluster(pairs_of(4, 4), embeddings, embeddings, 5)
