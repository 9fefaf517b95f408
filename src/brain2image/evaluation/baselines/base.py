"""What baselines have in common: what they may learn from, their inputs, folds and ridge regression."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange
from himalaya.kernel_ridge import KernelRidgeCV
from sklearn.model_selection import GroupKFold

from brain2image.core.errors import InputError
from brain2image.models.linear_model import Encoder, Standardised
from brain2image.models.regression import ALPHAS, N_FOLDS
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.means import Pairs, Predictor


class Training(NamedTuple):
    """What a baseline may learn from."""

    pairs: Pairs  # the training pairs
    concepts: np.ndarray  # (n_pairs,) of any type, of the EEG's pictures; no two inner folds share one
    clip: Embeddings  # CLIP embeddings of the EEG's pictures
    meta: Mapping[str, Any]  # of the training set's LMDB: channels, unit and rate of the EEG
    cbramod: str | Path | None  # CBraMod's published weights, where the baseline takes them


def eeg_encoder(training: Training) -> Standardised:
    """Encode the EEG as one row a picture, each channel and sample z-scored by the training pictures."""
    return standardise_columns(
        lambda pairs: rearrange(pairs.eeg, "pairs channels times -> pairs (channels times)"), training
    )


def clip_encoder(training: Training) -> Standardised:
    """Encode the EEG's picture by CLIP, each feature z-scored by the training pictures."""
    return standardise_columns(lambda pairs: training.clip.of(pairs.table["eeg_image"]), training)


def standardise_columns(encode: Encoder, training: Training) -> Standardised:
    """Z-score every column of an encoder by the training pictures."""
    rows = encode(training.pairs)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return Standardised(encode, mean, np.sqrt(rows.shape[1]) * np.where(deviation > 0, deviation, 1))


def fit_after(encode: Encoder, training: Training, **kernel: object) -> Predictor:
    """Fit a kernel ridge regression of the targets on what an encoder makes of pairs."""
    mean = training.pairs.targets.mean(axis=0)
    model = _fit_kernel_ridge(
        encode(training.pairs), training.pairs.targets - mean, training.concepts, **kernel
    )
    return lambda pairs: (model.predict(encode(pairs).astype(np.float64)) + mean).astype(np.float32)


def fit_ridge_weights(
    x: np.ndarray, targets: np.ndarray, concepts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and offset, float64, of the ridge regression of the targets on rows of mean zero."""
    mean = targets.mean(axis=0)
    model = _fit_kernel_ridge(x, targets - mean, concepts, kernel="linear")
    return model.get_primal_coef(), mean


def _fit_kernel_ridge(
    x: np.ndarray, targets: np.ndarray, concepts: np.ndarray, **kernel: object
) -> KernelRidgeCV:
    """Fit ridge regression in its dual form, alpha of each target cross-validated over concepts.

    In float64: where the penalty is weak, the dual weights are large and cancel.

    Source: himalaya's KernelRidgeCV (Dupré la Tour et al., NeuroImage 2022).
    """
    model = KernelRidgeCV(alphas=ALPHAS, cv=inner_folds(concepts), warn=False, **kernel)
    return model.fit(x.astype(np.float64), targets.astype(np.float64))


def inner_folds(concepts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make five folds of the training pairs, fewer where there are fewer concepts; no two share a concept.

    Raises
    ------
    InputError
        When all training pairs show the same concept.
    """
    n_concepts = len(np.unique(concepts))
    if n_concepts < 2:
        raise InputError(
            f"expected training pairs of at least 2 concepts, got {n_concepts}; raise matching.top_k"
        )
    folds = GroupKFold(min(N_FOLDS, n_concepts))
    return list(folds.split(np.empty((len(concepts), 1)), groups=concepts))
