"""Clusters of pairs, fitted on the training pairs."""

import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs.clustering import cluster_pairs


def test_clusters_are_fitted_on_training_pairs_alone(rng):
    centres = 5 * np.eye(4, 10, dtype=np.float32)
    truth = np.arange(80) % 4
    things, nsd = (centres[truth] + 0.3 * rng.standard_normal((80, 10)).astype(np.float32) for _ in range(2))
    training = np.arange(80) < 60
    labels = cluster_pairs(things, nsd, training, n_clusters=4, seed=0)
    assert len({tuple(pair) for pair in zip(labels, truth, strict=True)}) == 4  # one label a true cluster
    things[~training] = nsd[~training] = (
        -centres[0] - 1
    )  # test pairs elsewhere leave the training labels alone
    moved = cluster_pairs(things, nsd, training, n_clusters=4, seed=0)
    np.testing.assert_array_equal(moved[training], labels[training])


def test_too_few_training_pairs_for_the_clusters_are_named(rng):
    embeddings = rng.standard_normal((4, 3)).astype(np.float32)
    with pytest.raises(InputError, match="n_clusters = 5 training pairs, got 4"):
        cluster_pairs(embeddings, embeddings, np.ones(4, bool), n_clusters=5, seed=0)
