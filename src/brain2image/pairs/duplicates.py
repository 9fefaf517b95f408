"""Pictures that nearly equal one another."""

import numpy as np

from brain2image.pairs.matching import unit_rows

NEAR_DUPLICATE = 0.95  # CLIP cosine from which two pictures count as versions of one another
# Pictures of one block of cosines: 1024 × 10,000 in float32 are 40 MB.
BLOCK_ROWS = 1024


def find_near_duplicates(features: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Find the pictures whose CLIP cosine with any of some others is 0.95 or more; equal ones count, too.

    Parameters
    ----------
    features : (n_images, n_features) float32 embeddings, of any length.
    others : (n_others, n_features) float32.

    Returns
    -------
    (n_images,) bool.
    """
    own, other = unit_rows(features), unit_rows(others).T
    found = np.zeros(len(own), dtype=bool)
    if other.size:
        for start in range(0, len(own), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            found[rows] = (own[rows] @ other).max(axis=1) >= NEAR_DUPLICATE
    return found


def similar_pairs(features: np.ndarray, cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs of pictures whose CLIP cosine is ``cosine`` or more, each picture with itself too.

    Parameters
    ----------
    features : (n_images, n_features) float32 embeddings, of any length.

    Returns
    -------
    Rows of the first and of the second picture of each pair, in both orders.
    """
    own = unit_rows(features)
    rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(own), BLOCK_ROWS):
        found = np.nonzero(own[start : start + BLOCK_ROWS] @ own.T >= cosine)
        rows.append(start + found[0])
        columns.append(found[1])
    return np.concatenate(rows), np.concatenate(columns)
