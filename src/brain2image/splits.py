"""Training, validation and test pairs that share no picture and no THINGS concept."""

from collections.abc import Sequence

import numpy as np

from brain2image.errors import InputError

SPLITS = ("train", "val", "test")


def split_pairs(concepts: Sequence[str], *, fractions: dict[str, float], seed: int) -> np.ndarray:
    """Split of each pair; pairs whose THINGS picture shows the same concept stay together.

    Concepts are shuffled; each goes to the split that lacks most of its share. The size of a split is
    therefore off its share by less than the largest concept. As pairs are one-to-one, no picture is in
    two splits.

    Parameters
    ----------
    concepts : (n_pairs,) concept of each pair's THINGS picture.
    fractions : share of ``train``, ``val`` and ``test``, summing to 1.
    seed : seed of the shuffle.

    Returns
    -------
    (n_pairs,) str: ``train``, ``val`` or ``test``.

    Raises
    ------
    InputError
        When a split would be empty.
    """
    names, members, counts = np.unique(np.asarray(concepts), return_inverse=True, return_counts=True)
    shares = np.array([fractions[split] for split in SPLITS])
    lacking = shares * len(members)
    chosen = np.empty(len(names), dtype=np.int64)
    for concept in np.random.default_rng(seed).permutation(len(names)):
        chosen[concept] = np.argmax(lacking)
        lacking[chosen[concept]] -= counts[concept]
    empty = sorted(set(SPLITS) - {SPLITS[split] for split in chosen})
    if empty:
        raise InputError(
            f"{len(members)} pairs of {len(names)} concepts leave {' and '.join(empty)} empty; "
            "raise matching.top_k or the share of the split"
        )
    return np.array(SPLITS)[chosen[members]]
