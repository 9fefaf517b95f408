"""Retrieval in the space of CLIP's tokens: which picture's tokens are nearest to those decoded."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from brain2image.decoding.gallery import Gallery
from brain2image.decoding.kernel_shares import blocks
from brain2image.evaluation.metrics import gallery_scores, rank_chance, rank_scores, ranks
from brain2image.evaluation.scores import DIRECTIONS, TOLERANCE, Row, score_row

PROTOCOL = 300  # candidates of MindEye2's retrieval (section 3.2), one of them the answer
BLOCK_TOKENS, BLOCK_TRIALS = 16, 64
LEVEL = "tokens"
# The spaces: tokens by MindEye2's backbone, by a ridge, and by its diffusion prior.
BACKBONE, LINEAR, PRIOR = "tokens", "tokens_linear", "tokens_prior"


def mean_tokens(tokens: h5py.Dataset, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Average tokens over pictures or trials, (n_tokens * token_width,) float32."""
    total = np.zeros(tokens.shape[1] * tokens.shape[2])
    for row in rows:
        total += tokens[row].ravel()
    return (total / len(rows)).astype(np.float32)


def read_unit(tokens: h5py.Dataset, rows: Sequence[int] | np.ndarray, mean: np.ndarray | float) -> np.ndarray:
    """Read tokens less a mean as one vector of unit length each.

    Returns
    -------
    (n_rows, n_tokens * token_width) float32; 1.7 MB a picture of the published size.
    """
    values = np.stack([tokens[row] for row in rows]).astype(np.float32).reshape(len(rows), -1) - mean
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, lengths, out=values, where=lengths > 0)


def similarity_of(decoded: h5py.Dataset, mean: np.ndarray | float, candidates: np.ndarray) -> np.ndarray:
    """Compute the cosine of all decoded tokens of each trial, less a mean, with those of each picture.

    Parameters
    ----------
    decoded : (n_trials, n_tokens, token_width) float16.
    mean : (n_tokens * token_width,), or 0.
    candidates : see `read_unit`.

    Returns
    -------
    (n_trials, n_images) float32.
    """
    parts = (range(*part.indices(len(decoded))) for part in blocks(len(decoded), BLOCK_TRIALS))
    return np.concatenate([read_unit(decoded, rows, mean) @ candidates.T for rows in parts])


def similarity_of_sums(
    shares: np.ndarray, fitted: np.ndarray, gallery: Gallery, rows: np.ndarray
) -> np.ndarray:
    """Compute it of tokens that are sums of those of other pictures, never whole in memory.

    Parameters
    ----------
    shares : (n_trials, n_fitted), see `kernel_shares.fit_shares`.
    fitted : (n_fitted,) int64, rows of the pictures in the gallery, whose mean is subtracted.
    rows : (n_images,) int64, rows of the candidates.
    """
    products = np.zeros((len(shares), len(rows)))
    own, others = np.zeros(len(shares)), np.zeros(len(rows))
    for part in blocks(gallery.tokens.shape[1], BLOCK_TOKENS):
        values = gallery.tokens[:, part].astype(np.float32).reshape(len(gallery.images), -1)
        values -= values[fitted].mean(axis=0)
        decoded, candidates = shares.astype(np.float32) @ values[fitted], values[rows]
        products += decoded @ candidates.T
        own += np.square(decoded).sum(axis=1)
        others += np.square(candidates).sum(axis=1)
    lengths = np.sqrt(np.outer(own, others))
    return np.divide(products, lengths, out=products, where=lengths > 0).astype(np.float32)


def score_similarity(
    similarity: np.ndarray, concepts: np.ndarray, orders: np.ndarray, *, space: str, seed: int
) -> list[dict[str, Any]]:
    """Score a table of similarities of the test pairs as `evaluation.scores.evaluate` scores embeddings.

    Parameters
    ----------
    similarity : (n_pairs, n_pairs) float32, decoded by pictures.
    concepts, orders, seed : see `scores.score_row`.
    space : ``tokens`` by MindEye2's backbone, ``tokens_linear`` by a ridge, ``tokens_prior`` by the prior.

    Returns
    -------
    Rows of level ``tokens``. Of decoded tokens that are all the same every score is chance.
    """
    n_pairs, is_constant = len(similarity), _is_constant(similarity)
    chance = rank_chance(n_pairs)
    rows = []
    for direction, view in DIRECTIONS.items():
        for name, table in rank_scores(ranks(view(similarity)), n_pairs).items():
            shown = np.full_like(table, chance[name]) if is_constant else table
            row = Row(LEVEL, direction, n_pairs, name, shown, chance[name])
            rows.append(score_row(row, concepts, orders, seed=seed))
    return _named(rows, space)


def score_protocol(
    similarity: np.ndarray, concepts: np.ndarray, orders: np.ndarray, *, seed: int
) -> list[dict[str, Any]]:
    """Score retrieval as MindEye2 does: tokens as they are, one of 300 candidates, both ways.

    The random candidates are averaged over exactly and not drawn; of fewer test pictures all are candidates.

    Parameters
    ----------
    similarity : (n_pairs, n_pairs) float32 of tokens from which no mean was subtracted.

    Returns
    -------
    Rows of level ``protocol`` and metric ``top1``.
    """
    n_pairs = len(similarity)
    size = min(PROTOCOL, n_pairs)
    rows = []
    for direction, view in DIRECTIONS.items():
        table = gallery_scores(ranks(view(similarity)), n_pairs, size)["top1"]
        shown = np.full_like(table, 1 / size) if _is_constant(similarity) else table
        row = Row("protocol", direction, size, "top1", shown, 1 / size)
        rows.append(score_row(row, concepts, orders, seed=seed))
    return _named(rows, BACKBONE)


def _is_constant(similarity: np.ndarray) -> bool:
    return bool(np.ptp(similarity, axis=0).max() <= TOLERANCE)


def _named(rows: list[dict[str, Any]], space: str) -> list[dict[str, Any]]:
    return [{"n_trials": "all", "space": space, **row} for row in rows]
