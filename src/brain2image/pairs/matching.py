"""Pairs of pictures from two sets that look most alike: one-to-one, best first."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings

# Rows of one block of the similarity matrix: 1024 × 10,000 float32 similarities are 40 MB.
BLOCK_ROWS = 1024
# The pool holds this many candidates a wanted pair, so that one pass over the matrix mostly suffices.
CANDIDATES_PER_PAIR = 20


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Divide rows by their Euclidean length.

    Parameters
    ----------
    embeddings : (n_images, n_features) float32.

    Returns
    -------
    (n_images, n_features) float32.

    Raises
    ------
    InputError
        When a row is zero or not finite: it has no direction to compare.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if bad.size:
        raise InputError(
            f"expected finite embeddings other than zero, got {bad.size} bad rows (first: {bad[0]}); "
            "check the pictures and the CLIP weights"
        )
    return (embeddings / lengths).astype(np.float32, copy=False)


def match_one_to_one(a: np.ndarray, b: np.ndarray, *, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """Match one-to-one by cosine similarity, greedily.

    Equal to sorting the whole n_a × n_b matrix of similarities and taking, from the best down, each pair
    of which neither picture is taken yet, until there are ``top_k`` pairs; but only the best candidates
    are ever in memory. Equal similarities are taken in the order of rows, then columns.

    Parameters
    ----------
    a : (n_a, n_features) float32 embeddings, of any length.
    b : (n_b, n_features) float32.
    top_k : number of pairs.

    Returns
    -------
    pairs : (top_k, 2) int64, row of ``a`` and row of ``b``, best first.
    similarities : (top_k,) float32, falling.

    Raises
    ------
    InputError
        When there are fewer than ``top_k`` pictures on one side, the widths differ, or a row is zero or
        not finite.
    """
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"expected embeddings of one width, got {a.shape[1]} and {b.shape[1]}; embed both with one model"
        )
    if not 1 <= top_k <= min(len(a), len(b)):
        raise InputError(
            f"expected at least top_k = {top_k} pictures on both sides, got {len(a)} and {len(b)}; "
            "choose matching.top_k from 1 to the smaller number"
        )
    a, b = unit_rows(a), unit_rows(b)
    rows, columns = np.arange(len(a)), np.arange(len(b))
    found: list[tuple[int, int, float]] = []
    while len(found) < top_k:
        wanted = top_k - len(found)
        left = (a[rows], b[columns]) if found else (a, b)
        i, j, similarity = _best_candidates(*left, n_candidates=CANDIDATES_PER_PAIR * wanted)
        new = _take_greedily(i, j, similarity, wanted)
        found += [(rows[i], columns[j], similarity) for i, j, similarity in new]
        # What is left of the matrix lies below this pool: the next pass goes on where this one ended.
        rows = np.setdiff1d(rows, [i for i, _, _ in found])
        columns = np.setdiff1d(columns, [j for _, j, _ in found])
    pairs = np.array([(i, j) for i, j, _ in found], dtype=np.int64)
    return pairs, np.array([similarity for _, _, similarity in found], dtype=np.float32)


def _similarity_blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield first row and (BLOCK_ROWS, n_b) similarities of each block, in one array that is used again."""
    block = np.empty((min(BLOCK_ROWS, len(a)), len(b)), dtype=np.float32)
    for start in range(0, len(a), BLOCK_ROWS):
        rows = a[start : start + BLOCK_ROWS]
        yield start, np.matmul(rows, b.T, out=block[: len(rows)])


def _best_candidates(a: np.ndarray, b: np.ndarray, *, n_candidates: int) -> tuple[np.ndarray, ...]:
    """Find rows, columns and similarities of the ``n_candidates`` best cells, and all equal to the last."""
    threshold = -np.inf
    pool: tuple[np.ndarray, ...]
    pool = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    for start, block in _similarity_blocks(a, b):
        flat = block.ravel()
        if start == 0 and flat.size > n_candidates:  # not all of the first block's cells go into the pool
            threshold = np.partition(flat, -n_candidates)[-n_candidates]
        cells = np.flatnonzero(flat >= threshold)
        new = (cells // len(b) + start, cells % len(b), flat[cells])
        pool = tuple(np.concatenate(both) for both in zip(pool, new, strict=True))
        if len(pool[2]) > n_candidates:
            threshold = np.partition(pool[2], -n_candidates)[-n_candidates]
            keep = pool[2] >= threshold
            pool = tuple(part[keep] for part in pool)
    return pool


def _take_greedily(
    rows: np.ndarray, columns: np.ndarray, similarities: np.ndarray, wanted: int
) -> list[tuple[int, int, float]]:
    """Take at most ``wanted`` pairs from the candidates, best first, each row and each column once."""
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    pairs: list[tuple[int, int, float]] = []
    for cell in np.lexsort((columns, rows, -similarities)):
        i, j = int(rows[cell]), int(columns[cell])
        if i in taken_rows or j in taken_columns:
            continue
        taken_rows.add(i)
        taken_columns.add(j)
        pairs.append((i, j, float(similarities[cell])))
        if len(pairs) == wanted:
            break
    return pairs


def match_images(
    pictures: pd.DataFrame,
    eeg: Embeddings | None,
    fmri: Embeddings | None,
    *,
    seen: np.ndarray | None,
    shared: np.ndarray | None,
    include_test: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match pictures of an EEG data set one-to-one with those that the fMRI subjects saw, as far as they go.

    Without embeddings each picture is matched with itself: pairs are exact. So it is where there is no fMRI.

    The pairs hold for all people of the data set, whether they have trials of every picture or not. They are
    candidates: `splits.split_pairs` takes as many as are wanted.

    Parameters
    ----------
    pictures : table of the EEG's pictures: ``image``, ``partition``.
    eeg, fmri : embeddings of the pictures of both sets; None for exact pairs.
    seen : (n,) int64 ids of the pictures that any of the fMRI subjects saw; None: there is no fMRI.
    shared : (n,) bool, which of them are NSD's shared 1,000.
    include_test : whether the pictures that the EEG's authors kept for testing are among the candidates, too.

    Returns
    -------
    candidates : table ``eeg_image, fmri_image`` (int64), ``similarity`` (float32, cosine), best match first.
    test_partition : the same of the pictures kept for testing, each with one of the shared pictures; empty
        where there are none of either. A picture may be in both tables.

    Raises
    ------
    InputError
        When a picture has no embedding, or there is none to match.
    """
    is_kept = (pictures["partition"] != "train").to_numpy()
    images = pictures["image"].to_numpy()
    if seen is None or shared is None:
        shown = images if include_test else images[~is_kept]
        return _match_same(shown, shown), _match_same(images[is_kept], images[is_kept])
    if eeg is None or fmri is None:
        candidates = _match_same(images, seen)
        if candidates.empty:
            raise InputError(
                f"expected pictures that both the EEG's and the fMRI's people saw, got none of {len(images)} "
                f"and {len(seen)}; check that their lists name pictures alike, or set matching.mode to "
                "look_alike"
            )
        return candidates, _match_same(images[is_kept], seen[shared])
    shown = images if include_test else images[~is_kept]
    return (
        _match(shown, seen, eeg, fmri, n_pairs=max(1, min(len(shown), len(seen)))),
        _match(images[is_kept], seen[shared], eeg, fmri, n_pairs=min(is_kept.sum(), shared.sum())),
    )


def _match_same(shown: np.ndarray, seen: np.ndarray) -> pd.DataFrame:
    """Return the table of the pictures that both saw."""
    both = np.intersect1d(shown, seen)
    return pd.DataFrame({"eeg_image": both, "fmri_image": both, "similarity": np.ones(len(both), np.float32)})


def _match(
    shown: np.ndarray, seen: np.ndarray, eeg: Embeddings, fmri: Embeddings, *, n_pairs: int
) -> pd.DataFrame:
    """Return the table of the best pairs of these pictures."""
    pairs, similarity = np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)
    if n_pairs:
        pairs, similarity = match_one_to_one(eeg.of(shown), fmri.of(seen), top_k=n_pairs)
    columns = {"eeg_image": shown[pairs[:, 0]], "fmri_image": seen[pairs[:, 1]], "similarity": similarity}
    return pd.DataFrame(columns)
