"""Pictures drawn from CLIP tokens by a linear decoder, and how they resemble what was seen.

The decoder knows nothing of what pictures look like: what it draws is what a ridge reads out of tokens,
blurred where they say little. So nothing can be hallucinated, which a generative decoder does well.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from brain2image.decoding.kernel_shares import fit_shares
from brain2image.evaluation.metrics import rank_scores, ranks
from brain2image.evaluation.scores import Row, score_row
from brain2image.evaluation.statistics import shuffle_answers
from brain2image.formats.hdf5 import atomic_hdf5, get_dataset, get_group, open_hdf5

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 64  # pixels, width and height of what is drawn
LEVEL = "drawn"
MEAN = "training_mean"  # what is drawn of nothing


def draw_pictures(
    tokens: str | os.PathLike,
    *,
    fitted_images: Sequence["Image"],
    seen_images: Sequence["Image"],
    concepts: np.ndarray,
    out: str | os.PathLike,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Draw a picture from each run's tokens of each test pair, and compare it with the picture that was seen.

    Parameters
    ----------
    tokens : what `decode_pairs` wrote.
    fitted_images : the pictures that may be fitted on, RGB, in the order of their tokens. The decoder learns
        from what the backbone makes of their measured embeddings, as this is what it will get.
    seen_images : the EEG's picture of each test pair.
    concepts : (n_pairs,) str, of the EEG's pictures.
    out : HDF5, of each run ``pixels`` (n_pairs, 64, 64, 3) uint8, of the training mean (1, 64, 64, 3).
    n_permutations, seed : of the p-values.

    Returns
    -------
    ``scores`` (by the name of the run, rows of level ``drawn``: metric ``pixcorr``, the correlation of all
    pixels, and ``pixcorr_two_way``), ``alpha``, ``n_fitted`` and ``shuffled`` (of which pair each pair gets
    the EEG in the null gallery, half of the table away).
    """
    seen, known = to_pixels(seen_images), to_pixels(fitted_images)
    labels = pd.factorize(concepts)[0]
    orders = shuffle_answers(labels, n_permutations=n_permutations, seed=seed)
    with open_hdf5(tokens) as file, atomic_hdf5(out) as drawn:
        runs = get_group(file, "runs")
        names = sorted(runs)
        asked = np.concatenate([reduce_tokens(get_dataset(runs, name)) for name in names])
        shares, alpha = fit_shares(reduce_tokens(get_dataset(file, "fitted")), asked, known, seed=seed)
        pixels = dict(zip(names, np.split(np.clip(shares @ known, 0, 1), len(names)), strict=True))
        for name, values in pixels.items():
            _write(drawn, name, values)
        _write(drawn, MEAN, known.mean(axis=0)[None])
    scores = {name: _score(values, seen, labels, orders, seed=seed) for name, values in pixels.items()}
    found = {"scores": scores, "alpha": alpha, "n_fitted": len(known)}
    return found | {"shuffled": np.roll(np.arange(len(labels)), len(labels) // 2).tolist()}


def to_pixels(images: Sequence["Image"]) -> np.ndarray:
    """Scale pictures to 64 by 64 pixels.

    Returns
    -------
    (n_images, 64 * 64 * 3) float32 from 0 to 1.
    """
    small = (np.asarray(image.convert("RGB").resize((SIZE, SIZE)), np.float32) for image in images)
    return np.stack(list(small)).reshape(len(images), -1) / 255


def reduce_tokens(tokens: h5py.Dataset, n_kept: int = 4096) -> np.ndarray:
    """Average the values of each token over neighbours, until about ``n_kept`` are left of a picture.

    Parameters
    ----------
    tokens : (n_images, n_tokens, token_width) float16.

    Returns
    -------
    (n_images, n_tokens * n_groups) float32; of the published size 256 tokens of 16 values.
    """
    _, n_tokens, width = tokens.shape
    n_groups = max(1, min(width, n_kept // n_tokens))
    kept = n_groups * (width // n_groups)
    rows = (tokens[row, :, :kept].astype(np.float32) for row in range(len(tokens)))
    return np.stack([row.reshape(n_tokens, n_groups, -1).mean(axis=2).ravel() for row in rows])


def _write(file: h5py.File, name: str, values: np.ndarray) -> None:
    shape = (len(values), SIZE, SIZE, 3)
    file[f"{name}/pixels"] = (255 * values).round().astype(np.uint8).reshape(shape)


def read_drawn(path: str | os.PathLike, name: str) -> np.ndarray:
    """Read the drawn pictures of a run, (n_pairs, 64, 64, 3) uint8."""
    with open_hdf5(path) as file:
        return get_dataset(get_group(file, name), "pixels")[:]


def _score(
    drawn: np.ndarray, seen: np.ndarray, concepts: np.ndarray, orders: np.ndarray, *, seed: int
) -> list[dict[str, Any]]:
    """Correlate each drawn picture with each that was seen; chance is what wrong pairs have on average."""
    table = correlations(drawn, seen)
    n_pairs = len(table)
    wrong = ~np.eye(n_pairs, dtype=bool)
    nearer = rank_scores(ranks(table), n_pairs)["two_way"]
    rows = [
        Row(LEVEL, "both", n_pairs, "pixcorr", table, float(table[wrong].mean())),
        Row(LEVEL, "forward", n_pairs, "pixcorr_two_way", nearer, 0.5),
    ]
    return [
        {"n_trials": "all", "space": "pictures", **score_row(row, concepts, orders, seed=seed)}
        for row in rows
    ]


def correlations(drawn: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Correlate the pixels of pictures (PixCorr); 0 where one of them is of one colour.

    Parameters
    ----------
    drawn, seen : (n_images, n_values).

    Returns
    -------
    (n_drawn, n_seen) float64.
    """
    parts = []
    for values in (drawn, seen):
        centred = values.astype(np.float64) - values.mean(axis=1, keepdims=True, dtype=np.float64)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        parts.append(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9))
    return parts[0] @ parts[1].T
