"""CLIP's tokens of pictures, as MindEye2's backbone was trained to give them: with half of the contrast.

Of the published code the pictures go to CLIP as ``(x + 1) / 2``, made for values from -1 to 1, though theirs
lie from 0 to 1, so that its tokens are those of pale pictures (``FrozenOpenCLIPImageEmbedder.preprocess``,
https://github.com/MedARC-AI/MindEyeV2/tree/c184718, src/generative_models/sgm/modules/encoders/modules.py).
They are the last layer's, normalised, without the class token (open_clip's ``output_tokens``).
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.decoding.gallery import half_contrast
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.projection.picture_fitting import find_excluded

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

BLOCK = "decoding"  # of the config, for messages


def choose_pictures(
    pairs: pd.DataFrame,
    scanned: np.ndarray,
    eeg: Embeddings,
    fmri: Embeddings,
    *,
    n_fitted: int,
    seed: int,
) -> pd.DataFrame:
    """Choose the fMRI's pictures whose tokens are needed: all that are tested, and some to fit on.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split.
    scanned : (n_images,) int64, all pictures of the fMRI. Those of validation and test pairs, and near
        duplicates of either picture of such a pair, are not fitted on.
    eeg, fmri : features of the pictures of both sets.
    n_fitted : so many of the others at most, drawn by the seed.

    Returns
    -------
    Table of ``image``, rising, and ``is_fitted``.
    """
    tested = pairs.loc[pairs["split"] == "test", "fmri_image"].unique()
    free = scanned[~np.logical_or(*find_excluded(scanned, pairs, eeg, fmri))]
    fitted = np.random.default_rng(seed).permutation(free)[:n_fitted]
    table = pd.DataFrame({"image": np.union1d(tested, fitted)})
    return table.assign(is_fitted=table["image"].isin(fitted))


def write_tokens(
    out: str | os.PathLike, tokens: Iterable[np.ndarray], chosen: pd.DataFrame, *, identity: str
) -> None:
    """Write tokens of pictures as they come.

    Parameters
    ----------
    out : HDF5 of ``tokens`` (n_images, n_tokens, token_width) float16, ``images`` and ``is_fitted``.
    tokens : what `compute_tokens` yields of the pictures, a row of ``chosen`` each.
    identity : of CLIP, an attribute of the file.
    """
    with atomic_hdf5(out) as file:
        file["images"] = chosen["image"].to_numpy(np.int64)
        file["is_fitted"] = chosen["is_fitted"].to_numpy(bool)
        file.attrs["clip"] = identity
        dataset, start = None, 0
        for batch in tokens:
            if dataset is None:
                dataset = file.create_dataset("tokens", (len(chosen), *batch.shape[1:]), np.float16)
            dataset[start : start + len(batch)] = batch
            start += len(batch)


def compute_tokens(
    images: Sequence["Image"],
    *,
    model: str,
    weights: str | Path,
    tag: str | None,
    preprocess: str | Mapping[str, Any],
    precision: str,
    batch_size: int,
    n_threads: int,
) -> Iterator[np.ndarray]:
    """Compute the tokens of pictures, batch by batch.

    Parameters
    ----------
    images : PIL images, RGB; for the other parameters see `pairs.clip.embed_images`.

    Yields
    ------
    (batch_size or fewer, n_tokens, token_width) float32.

    Raises
    ------
    InputError
        When the model has no tokens, and as `pairs.clip.embed_images` does.
    """
    import torch

    from brain2image.core.devices import compute_device
    from brain2image.formats.precision import allow_tf32, resolve_precision
    from brain2image.pairs.clip import encode_batches, load_clip, shaped_batches

    network, transform = load_clip(model, weights, tag, preprocess, block=BLOCK)
    encode = make_encode(network, model)
    device = compute_device()
    precision = resolve_precision(precision, device)
    allow_tf32(precision)
    logger.info("tokens of %d pictures by %s, in %s", len(images), model, precision)
    network.to(device)
    *shaping, _, normalisation = transform.transforms
    colours = half_contrast(normalisation.mean, normalisation.std)
    batches = shaped_batches(
        images, shaping, batch_size=batch_size, n_threads=n_threads, pinned=device != "cpu"
    )
    for batch in batches:
        parts = encode_batches(encode, [batch], **colours, device=device, precision=precision)
        yield torch.cat(parts).cpu().numpy()


def make_encode(network: Any, model: str) -> Any:
    """Return a function from pixels to the tokens of open_clip's vision transformer.

    Raises
    ------
    InputError
        When it gives none.
    """
    visual = network.visual
    if not hasattr(visual, "output_tokens"):
        raise InputError(
            f"config: decoding.model: expected an open_clip model whose pictures have tokens, got {model}; "
            "take ViT-bigG-14, whose tokens MindEye2's backbone gives"
        )
    visual.output_tokens = True
    return lambda pixels: visual(pixels)[1]
