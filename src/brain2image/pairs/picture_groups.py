"""The pictures that the people of a data set of EEG saw, where these are the fMRI's own."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import NEAR_DUPLICATE, similar_pairs


def list_shown(pictures: pd.DataFrame, embeddings: Embeddings) -> pd.DataFrame:
    """List the pictures of a set that EEG people saw, near duplicates as one concept.

    NSD's pictures show no single thing, so they have no concepts. What no two splits may share instead are
    versions of one picture: groups that are connected by a CLIP cosine of 0.95 or more.

    Parameters
    ----------
    pictures : table of the whole set: image and whatever is needed to read them.
    embeddings : of the pictures that were shown.

    Returns
    -------
    The rows of these pictures, with ``concept`` (str, ``picture-`` and the lowest id of the group) and
    ``partition`` (``train``, as none is kept for testing).

    Raises
    ------
    InputError
        When there is none, or one has no direction in CLIP's space.
    """
    shown = pictures[pictures["image"].isin(embeddings.image)].sort_values("image", ignore_index=True)
    first = group_near_duplicates(embeddings.of(shown["image"]))
    names = "picture-" + shown["image"].astype(str)
    return shown.assign(concept=names[first].to_numpy(), partition="train")


def group_near_duplicates(features: np.ndarray) -> np.ndarray:
    """Group pictures that are connected by cosines of 0.95 or more; a group may hold less alike ones.

    Parameters
    ----------
    features : (n_images, n_features) float32, of any length.

    Returns
    -------
    (n_images,) int64, the first row of each picture's group.
    """
    rows, columns = similar_pairs(features, NEAR_DUPLICATE)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(features), len(features)))
    _, group = connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group].astype(np.int64)
