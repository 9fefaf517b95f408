"""Baselines that go through CLIP: from EEG to the picture's features, from these to the embedding."""

import numpy as np
from sklearn.model_selection import KFold

from brain2image.evaluation.baselines.base import (
    Scanned,
    Training,
    column_scales,
    eeg_encoder,
    fit_kernel,
    fit_ridge_weights,
    inner_folds,
)
from brain2image.models.linear_model import LinearModel
from brain2image.models.regression import N_FOLDS
from brain2image.pairs.clip_embeddings import PROJECTED
from brain2image.projection.picture_encoder import fit_encoder
from brain2image.training_set.means import Predictor


def fit_two_step(training: Training) -> LinearModel:
    """Map EEG to CLIP features, then these to the embedding: what picture features alone explain.

    Both steps are ridge regressions: the first is fitted on the EEG of all pictures that are learned from,
    the second on all scanned pictures that may be, whether or not anybody's EEG saw them.
    """
    assert training.read_scanned is not None  # as the rule hands it to the baselines that need it
    return _chain(training, training.read_scanned())


def fit_two_step_paired(training: Training) -> LinearModel:
    """Map EEG to CLIP features, then these to the targets of the very same pictures."""
    return _chain(training, Scanned(training.clip.of(training.items["image"]), training.targets))


def _chain(training: Training, scanned: Scanned) -> LinearModel:
    encode, rows = eeg_encoder(training)
    shown = training.clip.of(training.items["image"])
    mean, scale = column_scales(scanned.features)
    weight, offset = fit_ridge_weights(rows, (shown - mean) / scale, training.concepts)
    # pictures that were scanned have no concepts: each is a group of its own
    groups = training.concepts if len(scanned.features) == len(rows) else np.arange(len(scanned.features))
    second = fit_ridge_weights((scanned.features - mean) / scale, scanned.targets, groups)
    return encode.model(weight, offset, second)


def fit_two_step_kernel(training: Training) -> Predictor:
    """Map EEG to CLIP features by ridge, then what comes out to the targets by kernel ridge.

    The second step is fitted on features as they are predicted of pictures of other folds, which have the
    noise of the first step in them.
    """
    encode, rows = eeg_encoder(training)
    shown = training.clip.of(training.items["image"])
    mean, scale = column_scales(shown)
    features = (shown - mean) / scale
    unseen = np.empty_like(features)
    for train, test in inner_folds(training.concepts):
        weight, offset = fit_ridge_weights(rows[train], features[train], training.concepts[train])
        unseen[test] = rows[test] @ weight + offset
    weight, offset = fit_ridge_weights(rows, features, training.concepts)
    return fit_kernel(lambda pairs: (encode(pairs) @ weight + offset).astype(np.float32), unseen, training)


def fit_clip_oracle(training: Training) -> Predictor:
    """Map the true CLIP features of the picture that was seen to the embedding; no EEG, an upper bound.

    Kernel ridge regression, fitted on all scanned pictures that may be learned from.
    """
    assert training.read_scanned is not None  # as the rule hands it to the baselines that need it
    scanned = training.read_scanned()
    folds = list(KFold(N_FOLDS, shuffle=True, random_state=0).split(scanned.features))
    encoder = fit_encoder(
        scanned.features, scanned.targets, folds, method="kernel_ridge", layer=PROJECTED, clip=""
    )
    return lambda pairs: encoder.predict(training.clip.of(pairs.table["eeg_image"]))
