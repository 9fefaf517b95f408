"""What no predictor can pass: the noise of fMRI and EEG, and pairs of pictures that only look alike."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from brain2image.evaluation.metrics import dissimilarities, rank_scores, ranks, rsa, similarity_matrix
from brain2image.evaluation.queries import read_eeg_halves, read_repetitions
from brain2image.pairs.clip_embeddings import Embeddings

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def measure_bounds(lmdb: str | Path, eeg: Embeddings, fmri: Embeddings) -> dict[str, Any]:
    """Measure what no predictor of the test pairs can pass.

    Parameters
    ----------
    lmdb : the training set.
    eeg, fmri : CLIP embeddings of the pictures of both sets.

    Returns
    -------
    ``eeg`` and ``fmri`` as of `split_half` (fmri None where there is one repetition), ``rsa`` as of
    `rsa_bound`, ``pairing`` as of `pairing_bound`.
    """
    halves, pairs = read_eeg_halves(lmdb)
    repetitions = read_repetitions(lmdb)
    several = len(repetitions) > 1
    return {
        "eeg": split_half(*halves),
        "fmri": split_half(repetitions[0], repetitions[1:].mean(axis=0)) if several else None,
        "rsa": rsa_bound(repetitions - repetitions.mean(axis=(0, 1))) if several else None,
        "pairing": pairing_bound(eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"])),
    }


def split_half(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Measure how well one half of the measurements finds the picture in the other half.

    ``reliability = 2 r / (1 + r)`` is that of both halves together (Spearman 1910, Brown 1910), r the mean
    cosine of a picture's halves, each centred on its mean over the pictures.

    Parameters
    ----------
    first, second : (n_pairs, n_inputs) float32, means of different trials of the same pictures.

    Returns
    -------
    n_images, top1, two_way, cosine, reliability; the chance of top1 is 1 / n_images.
    """
    similarity = similarity_matrix(first - first.mean(axis=0), second - second.mean(axis=0))
    scores = rank_scores(np.diag(ranks(similarity)), len(first))
    r = float(np.diag(similarity).mean(dtype=np.float64))
    retrieval = {name: float(scores[name].mean()) for name in ("top1", "two_way")}
    return {"n_images": len(first), **retrieval, "cosine": r, "reliability": 2 * r / (1 + r)}


def rsa_bound(repetitions: np.ndarray) -> float | None:
    """Estimate the highest Spearman correlation that the RDM of noise-free embeddings would reach.

    ``sqrt(n r / (1 + (n - 1) r))``, the square root of the reliability of a mean of n repetitions (Spearman,
    Brown), r the mean correlation of the RDMs of two single repetitions.

    Parameters
    ----------
    repetitions : (n_repetitions, n_pairs, n_features) float32, centred.

    Returns
    -------
    0 to 1; None where single repetitions do not correlate, or there is only one.
    """
    n_repetitions, n_pairs, _ = repetitions.shape
    if n_repetitions < 2:
        return None
    matrices = [dissimilarities(repetition) for repetition in repetitions]
    r = np.mean([rsa(a, b, np.arange(n_pairs)[None])[0] for a, b in combinations(matrices, 2)])
    return float(np.sqrt(n_repetitions * r / (1 + (n_repetitions - 1) * r))) if r > 0 else None


def pairing_bound(eeg_clip: np.ndarray, fmri_clip: np.ndarray) -> dict[str, float]:
    """Measure how well the CLIP embedding of the picture that was seen finds its partner among the partners.

    Parameters
    ----------
    eeg_clip, fmri_clip : (n_pairs, n_features) float32, both pictures of every test pair.

    Returns
    -------
    top1, two_way, and similarity_q05 … similarity_q95, quantiles of the partners' cosine.
    """
    similarity = similarity_matrix(eeg_clip, fmri_clip)
    scores = rank_scores(np.diag(ranks(similarity)), len(similarity))
    own = np.quantile(np.diag(similarity), QUANTILES)
    return {name: float(scores[name].mean()) for name in ("top1", "two_way")} | {
        f"similarity_q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, own, strict=True)
    }
