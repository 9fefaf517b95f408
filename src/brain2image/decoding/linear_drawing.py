"""Pictures drawn from CLIP tokens by a linear decoder.

The decoder knows nothing of what pictures look like: what it draws is what a ridge reads out of tokens,
blurred where they say little. So nothing can be hallucinated, which a generative decoder does well.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import h5py
import numpy as np

from brain2image.constants.predictors import MEASURED
from brain2image.decoding.drawn_files import MEAN, write_drawn
from brain2image.decoding.kernel_shares import fit_shares
from brain2image.decoding.stored import SOURCE
from brain2image.formats.hdf5 import atomic_hdf5, get_dataset, get_group, open_hdf5, read_attributes

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 64  # pixels, width and height of what is drawn


def draw_linear(
    tokens: str | os.PathLike,
    *,
    runs: Sequence[str],
    fitted_images: Sequence["Image"],
    out: str | os.PathLike,
    seed: int,
) -> None:
    """Draw a picture from the tokens of each test pair by a ridge.

    Parameters
    ----------
    tokens : what `decode_pairs` wrote.
    runs : those whose tokens are drawn, beside those of the measured fMRI.
    fitted_images : the pictures that may be fitted on, RGB, in the order of their tokens. The decoder learns
        from what the backbone makes of their measured embeddings, as this is what it will get.
    out : HDF5, see `drawn_files`: of each run (n_pairs, 1, 64, 64, 3) uint8, and of the training mean, the
        mean of these pictures; what `linear_decoder` needs.
    seed : by which the pixels are drawn that alpha is chosen by.
    """
    known, names = to_pixels(fitted_images), [*runs, MEASURED]
    with open_hdf5(tokens) as file, atomic_hdf5(out) as drawn:
        group = get_group(file, "runs")
        asked = [reduce_tokens(get_dataset(group, name)) for name in names]
        fitted = reduce_tokens(get_dataset(file, "fitted"))
        shares, alpha = fit_shares(fitted, np.concatenate(asked), known, seed=seed)
        for name, rows in zip(names, np.split(shares, len(names)), strict=True):
            write_drawn(drawn, name, to_pictures(rows @ known))
        write_drawn(drawn, MEAN, to_pictures(known.mean(axis=0)[None]))
        drawn["decoder/tokens"], drawn["decoder/pixels"] = fitted, (255 * known).round().astype(np.uint8)
        drawn.attrs.update(read_attributes(file, SOURCE))
        drawn.attrs.update(alpha=alpha, n_fitted=len(known))


def to_pixels(images: Sequence["Image"]) -> np.ndarray:
    """Scale pictures to 64 by 64 pixels.

    Returns
    -------
    (n_images, 64 * 64 * 3) float32 from 0 to 1.
    """
    small = (np.asarray(image.convert("RGB").resize((SIZE, SIZE)), np.float32) for image in images)
    return np.stack(list(small)).reshape(len(images), -1) / 255


def to_pictures(pixels: np.ndarray) -> np.ndarray:
    """Turn (n_images, 64 * 64 * 3) floats, clipped to 0 to 1, into (n_images, 1, 64, 64, 3) uint8."""
    values = (255 * np.clip(pixels, 0, 1)).round().astype(np.uint8)
    return values.reshape(len(values), 1, SIZE, SIZE, 3)


def reduce_tokens(tokens: h5py.Dataset | np.ndarray, n_kept: int = 4096) -> np.ndarray:
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
