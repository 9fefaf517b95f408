"""From predicted and measured embeddings of the test pairs to tokens, and how these retrieve pictures."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.constants.predictors import MEASURED
from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.core.memory import check_memory, file_bytes
from brain2image.decoding.backbone import WORKING, decode_tokens, load_backbone
from brain2image.decoding.gallery import Gallery, open_gallery
from brain2image.decoding.kernel_shares import fit_shares
from brain2image.decoding.stored import SOURCE
from brain2image.decoding.token_retrieval import (
    BACKBONE,
    LINEAR,
    mean_tokens,
    read_unit,
    score_protocol,
    score_similarity,
    similarity_of,
    similarity_of_sums,
)
from brain2image.evaluation.metrics import ranks
from brain2image.evaluation.predictions import Predictions, read_predictions
from brain2image.evaluation.statistics import permutation_p, shuffle_answers
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.formats.tables import find_rows
from brain2image.projection.picture_fitting import read_measured

logger = logging.getLogger(__name__)

RAW = "raw"  # tokens by the backbone from which no mean is subtracted
N_CHECKED, N_SHUFFLES, SURE = 100, 1000, 0.01
OWN_CLIP = (
    "set decoding.model and weights.token_clip to the checkpoint's own (MindEye2: ViT-bigG-14, "
    "laion2b_s39b_b160k)"
)


def decode_pairs(
    predictions: Mapping[str, str | Path],
    *,
    backbone: str | Path,
    gallery: str | os.PathLike,
    projection: str | os.PathLike,
    out: str | os.PathLike,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Decode what each run predicted, and the measured embeddings, and score what the tokens retrieve.

    Parameters
    ----------
    predictions : ``predictions.npz`` of each run of one pair of brains.
    backbone : of the checkpoint whose ridge gave the embeddings, see `backbone.extract_backbone`.
    gallery : tokens of the fMRI's pictures, see `gallery_tokens.write_tokens`.
    projection : measured embeddings of all its pictures; of those that may be fitted on, the ridge learns.
    out : HDF5, of each run ``runs/NAME`` (n_pairs, n_tokens, token_width) float16, and ``fitted``: those
        of the measured embeddings of the pictures that may be fitted on, in the gallery's order; ``centre``:
        those of their mean; the checkpoint, as attributes.
    n_permutations, seed : of the p-values, see `scores.evaluate`.

    Returns
    -------
    ``scores`` (rows by the name of the run, see `token_retrieval.score_similarity` and `score_protocol`),
    ``similarity`` (by run, n_pairs by n_pairs, centred), ``n_fitted`` (pictures that the ridge learned from),
    ``alpha`` and ``clip``.

    Raises
    ------
    InputError
        When the backbone is another checkpoint's, tokens are of another model, weights or size, a picture is
        missing, or the memory too small.
    """
    remedy = "free some, or set decoding.dtype to float16"
    check_memory(file_bytes(backbone) + WORKING, compute_device(), what="the backbone", remedy=remedy)
    contents = {name: read_predictions(path) for name, path in predictions.items()}
    first = next(iter(contents.values()))
    embeddings = {name: content.predictions for name, content in contents.items()} | {MEASURED: first.targets}
    image, measured, source = read_measured(projection)
    network = load_backbone(backbone, embedding=source)
    with open_gallery(gallery) as (tokens, is_fitted), atomic_hdf5(out) as file:
        check_tokens(tokens, network)
        rows, fitted = tokens.rows(first.fmri_image), np.flatnonzero(is_fitted)
        own = measured[find_rows(pd.Series(image), tokens.images[fitted], source=projection)]
        file.attrs.update({name: source[name] for name in SOURCE})
        _decode(network, own, file, "fitted")
        check_space(file["fitted"], tokens, fitted)
        _decode(network, own.mean(axis=0, keepdims=True), file, "centre")
        for name, embedding in embeddings.items():
            _decode(network, embedding, file, f"runs/{name}")
        similarity = {space: _similarity(file, tokens, rows, fitted, space) for space in (BACKBONE, RAW)}
        targets = np.stack([tokens.tokens[row, 0] for row in fitted])
        shares, alpha = fit_shares(own, np.concatenate(list(embeddings.values())), targets, seed=seed)
        logger.info("the ridge onto tokens: %d pictures, alpha %g", len(fitted), alpha)
        both = np.split(similarity_of_sums(shares, fitted, tokens, rows), len(embeddings))
        similarity[LINEAR] = dict(zip(embeddings, both, strict=True))
        clip = tokens.clip
    scores = _score(similarity, first, n_permutations=n_permutations, seed=seed)
    tables = {name: table.tolist() for name, table in similarity[BACKBONE].items()}
    return {"scores": scores, "similarity": tables, "n_fitted": len(fitted), "alpha": alpha, "clip": clip}


def check_tokens(tokens: Gallery, network: Any) -> None:
    """Raise InputError unless the pictures' tokens are as many and as wide as a backbone gives them."""
    expected = (network.backbone_linear.out_features // network.token_width, network.token_width)
    if tokens.tokens.shape[1:] != expected:
        raise InputError(
            f"{tokens.source}: expected {expected[0]} tokens of {expected[1]} values, as the backbone gives "
            f"them, got {tokens.tokens.shape[1]} of {tokens.tokens.shape[2]}, by {tokens.clip}; {OWN_CLIP}"
        )


def check_space(decoded: h5py.Dataset, gallery: Gallery, rows: np.ndarray) -> None:
    """Raise InputError unless pictures' tokens are what the backbone makes of their measured fMRI.

    Another CLIP's may have the same sizes. Then the fMRI finds its own pictures no better than by chance, by
    shuffles and the mean reciprocal rank.

    Parameters
    ----------
    decoded : (n_fitted, n_tokens, token_width) float16, of measured embeddings.
    rows : (n_fitted,) int64, the rows of the same pictures in the gallery; 100 at most are looked at.
    """
    places = np.linspace(0, len(rows) - 1, min(len(rows), N_CHECKED)).astype(int)
    ours, theirs = (
        read_unit(tokens, chosen, mean_tokens(tokens, chosen))
        for tokens, chosen in ((decoded, places), (gallery.tokens, rows[places]))
    )
    score, queries = 1 / ranks(ours @ theirs.T), np.arange(len(places))
    orders = shuffle_answers(queries, n_permutations=N_SHUFFLES, seed=0)
    observed, shuffled = score[queries, queries].mean(), score[queries, orders].mean(axis=1)
    p = permutation_p(observed, shuffled, larger_is_better=True)
    logger.info(
        "measured fMRI finds %d pictures by their tokens: reciprocal rank %.3f", len(places), observed
    )
    if p > SURE:
        raise InputError(
            f"{gallery.source}: expected tokens that measured fMRI finds its own pictures by, got a mean "
            f"reciprocal rank of {observed:.3f} among {len(places)}, which is chance ({shuffled.mean():.3f}, "
            f"p = {p:.2g}): {gallery.clip} is not the CLIP that the backbone was trained on; {OWN_CLIP}"
        )


def _decode(network: Any, embedding: np.ndarray, file: h5py.File, key: str) -> None:
    """Write the tokens of embeddings."""
    shape = (len(embedding), network.backbone_linear.out_features // network.token_width, network.token_width)
    dataset, start = file.create_dataset(key, shape, np.float16), 0
    for _, decoded in decode_tokens(network, embedding):
        dataset[start : start + len(decoded)] = decoded
        start += len(decoded)


def _similarity(
    file: h5py.File, tokens: Gallery, rows: np.ndarray, fitted: np.ndarray, space: str
) -> dict[str, np.ndarray]:
    """Compare the tokens of each run with the candidates, centred or raw.

    Of the pictures that may be fitted on, what is decoded is centred on what their mean embedding is decoded
    to, and tokens on the mean of their tokens: else the picture nearest to the mean is found by every EEG,
    whose predictions are shrunk towards it.
    """
    is_raw = space == RAW
    candidates = read_unit(tokens.tokens, rows, 0.0 if is_raw else mean_tokens(tokens.tokens, fitted))
    mean = 0.0 if is_raw else mean_tokens(file["centre"], [0])
    return {name: similarity_of(dataset, mean, candidates) for name, dataset in file["runs"].items()}


def _score(
    similarity: Mapping[str, Mapping[str, np.ndarray]], pairs: Predictions, *, n_permutations: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    concepts = pd.factorize(pairs.concept)[0]
    orders = shuffle_answers(concepts, n_permutations=n_permutations, seed=seed)
    scores: dict[str, list[dict[str, Any]]] = {name: [] for name in similarity[BACKBONE]}
    for name, rows in scores.items():
        for space in (BACKBONE, LINEAR):
            rows += score_similarity(similarity[space][name], concepts, orders, space=space, seed=seed)
        rows += score_protocol(similarity[RAW][name], concepts, orders, seed=seed)
    return scores
