"""From predicted and measured embeddings of the test pairs to tokens by MindEye2's diffusion prior."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.constants.predictors import MEASURED
from brain2image.core.devices import compute_device
from brain2image.core.memory import check_memory, file_bytes
from brain2image.decoding.backbone import Backbone, decode_tokens, load_backbone
from brain2image.decoding.decode_pairs import check_tokens
from brain2image.decoding.gallery import Gallery, open_gallery
from brain2image.decoding.prior import Prior, load_prior, sample_tokens
from brain2image.decoding.token_retrieval import (
    PRIOR,
    mean_tokens,
    read_unit,
    score_similarity,
    similarity_of,
)
from brain2image.evaluation.predictions import Predictions, read_predictions
from brain2image.evaluation.statistics import shuffle_answers
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.formats.tables import find_rows
from brain2image.projection.picture_fitting import read_measured

N_CENTRE = 16  # samples of the mean embedding, whose mean is subtracted
WORKING = 2e9  # bytes beside the weights: tokens of 200 trials, and a block of them in the network


def sample_pairs(
    predictions: Mapping[str, str | Path],
    *,
    backbone: str | Path,
    prior: str | Path,
    gallery: str | os.PathLike,
    projection: str | os.PathLike,
    out: str | os.PathLike,
    steps: int,
    noise_seed: int,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Sample tokens of pictures for what each run predicted, and for the measured embeddings; score them.

    Parameters
    ----------
    predictions, backbone, gallery, projection : see `decode_pairs.decode_pairs`.
    prior : of the same checkpoint, see `prior.extract_prior`.
    out : HDF5, of each run ``runs/NAME`` (n_pairs, n_tokens, token_width) float16, and ``centre``
        (16, n_tokens, token_width): samples of the mean embedding of the pictures that may be fitted on.
    steps, noise_seed : see `prior.sample_tokens`; the noise of a test pair is the same in every run.
    n_permutations, seed : of the p-values, see `scores.evaluate`.

    Returns
    -------
    ``scores``: rows of space ``tokens_prior`` by the name of the run, see `token_retrieval.score_similarity`.

    Raises
    ------
    InputError
        As `decode_pairs`; when the prior is another checkpoint's, or the memory too small.
    """
    device = compute_device()
    remedy = "free some, or set decoding.prior to false"
    check_memory(file_bytes(backbone, prior) + WORKING, device, what="backbone and prior", remedy=remedy)
    contents = {name: read_predictions(path) for name, path in predictions.items()}
    first = next(iter(contents.values()))
    embeddings = {name: content.predictions for name, content in contents.items()} | {MEASURED: first.targets}
    image, measured, source = read_measured(projection)
    networks = load_backbone(backbone, embedding=source), load_prior(prior, embedding=source)
    with open_gallery(gallery) as (tokens, is_fitted), atomic_hdf5(out) as file:
        check_tokens(tokens, networks[0])
        fitted = np.flatnonzero(is_fitted)
        own = measured[find_rows(pd.Series(image), tokens.images[fitted], source=projection)]
        embeddings["centre"] = np.repeat(own.mean(axis=0, keepdims=True), N_CENTRE, axis=0)
        for name, embedding in embeddings.items():
            key = name if name == "centre" else f"runs/{name}"
            file[key] = _sample(*networks, embedding, steps=steps, seed=noise_seed)
        similarity = _similarity(file, tokens, tokens.rows(first.fmri_image), fitted)
    return {"scores": _score(similarity, first, n_permutations=n_permutations, seed=seed)}


def _sample(backbone: Backbone, prior: Prior, embedding: np.ndarray, *, steps: int, seed: int) -> np.ndarray:
    """Sample tokens of embeddings, (n_trials, n_tokens, token_width) float16."""
    brain = np.concatenate([tokens for tokens, _ in decode_tokens(backbone, embedding)])
    return np.concatenate(
        [tokens.astype(np.float16) for tokens in sample_tokens(prior, brain, seed=seed, steps=steps)]
    )


def _similarity(
    file: h5py.File, tokens: Gallery, rows: np.ndarray, fitted: np.ndarray
) -> dict[str, np.ndarray]:
    """Compare the tokens of each run with the candidates, both less their means."""
    candidates = read_unit(tokens.tokens, rows, mean_tokens(tokens.tokens, fitted))
    mean = mean_tokens(file["centre"], range(N_CENTRE))
    return {name: similarity_of(dataset, mean, candidates) for name, dataset in file["runs"].items()}


def _score(
    similarity: Mapping[str, np.ndarray], pairs: Predictions, *, n_permutations: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    concepts = pd.factorize(pairs.concept)[0]
    orders = shuffle_answers(concepts, n_permutations=n_permutations, seed=seed)
    return {
        name: score_similarity(table, concepts, orders, space=PRIOR, seed=seed)
        for name, table in similarity.items()
    }
