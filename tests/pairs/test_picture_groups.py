"""Which of the fMRI's own pictures EEG people saw, and which of them are versions of one another."""

import networkx as nx
import numpy as np
import pandas as pd

from brain2image.pairs import duplicates
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.picture_groups import group_near_duplicates, list_shown


def test_groups_are_the_connected_components(rng, monkeypatch):
    """Against a graph library, over several blocks of rows."""
    monkeypatch.setattr(duplicates, "BLOCK_ROWS", 7)
    features = rng.standard_normal((40, 3)).astype(np.float32)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    graph = nx.from_numpy_array(units @ units.T >= 0.95)
    expected = np.empty(40, np.int64)
    for component in nx.connected_components(graph):
        expected[list(component)] = min(component)
    assert 10 < len(set(expected)) < 35
    np.testing.assert_array_equal(group_near_duplicates(features), expected)


def test_a_chain_of_versions_is_one_group():
    """The ends are less alike than 0.95, but no split may divide what lies between."""
    angles = np.array([0, 0.3, 0.6, 2.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert features[0] @ features[2] < 0.95
    assert group_near_duplicates(features).tolist() == [0, 0, 0, 3]


def test_the_pictures_that_were_shown(rng):
    pictures = pd.DataFrame({"image": [9, 4, 7, 5], "row": [0, 1, 2, 3], "part": "shared"})
    features = np.array([[1, 0], [0, 1], [1, 0.1]], np.float32)
    shown = list_shown(pictures, Embeddings(np.array([9, 7, 4]), features, "shared.npz"))
    assert shown["image"].tolist() == [4, 7, 9]
    assert shown["row"].tolist() == [1, 2, 0]  # what is needed to read them
    assert shown["concept"].tolist() == ["picture-4", "picture-7", "picture-4"]
    assert set(shown["partition"]) == {"train"}
