"""Which cluster predictions lie in."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.neighbors import NearestCentroid

from brain2image.evaluation.cluster_probe import probe_clusters, prototypes
from brain2image.evaluation.statistics import shuffle_answers


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def clustered(rng):
    """Training targets and predictions about three means, of unequal clusters."""
    centres = rng.standard_normal((3, 8))
    training, clusters = (np.repeat(np.arange(3), sizes) for sizes in ([20, 10, 5], [12, 6, 6]))
    rows = [centres[labels] + rng.standard_normal((len(labels), 8)) for labels in (training, clusters)]
    return training, clusters, *rows


def probe(predictions, clusters, means, concepts=None):
    concepts = np.arange(len(clusters)) if concepts is None else concepts
    orders = shuffle_answers(concepts, n_permutations=200, seed=0)
    return probe_clusters(predictions, clusters, means, concepts=concepts, orders=orders, seed=0)


def test_against_a_library(clustered):
    training, clusters, targets, predictions = clustered
    means = prototypes(targets, training, n_clusters=3)
    row, confusion = probe(predictions, clusters, means)
    named = NearestCentroid().fit(unit(means), range(3)).predict(unit(predictions))
    assert row["value"] == accuracy_score(clusters, named)
    np.testing.assert_array_equal(confusion, confusion_matrix(clusters, named))
    assert (row["level"], row["metric"], row["n_gallery"], row["chance"]) == ("probe", "cluster", 3, 0.5)
    assert 0.5 < row["low"] < row["value"] < row["high"] < 1
    assert row["p"] < 0.01


def test_predictions_of_nothing_are_at_chance(clustered, rng):
    training, clusters, targets, _ = clustered
    means = prototypes(targets, training, n_clusters=3)
    ps = [probe(rng.standard_normal((24, 8)), clusters, means)[0]["p"] for _ in range(10)]
    assert 0.2 < np.mean(ps) < 0.8


def test_a_cluster_without_a_training_pair_is_never_named(clustered):
    """Somebody who missed a session may have no training pair of a cluster in which a test pair lies."""
    training, clusters, targets, predictions = clustered
    is_there = training != 1
    means = prototypes(targets[is_there], training[is_there], n_clusters=4)  # the last has no pair at all
    assert np.isnan(means[[1, 3]]).all()
    row, confusion = probe(predictions, clusters, means)
    assert np.sum(confusion, axis=0)[[1, 3]].tolist() == [0, 0]
    assert np.sum(confusion, axis=1).tolist() == [12, 6, 6, 0]
    assert 0 < row["value"] <= 18 / 24
