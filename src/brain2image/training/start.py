"""The model before its first step: published weights, scales, and the linear path."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from einops import rearrange

from brain2image.config import RunConfig
from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.models.regression import N_FOLDS, blocks, fit_axis_ridge
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import eeg_means, target_means

SCALE_TRIALS = 2000  # EEG trials from which the scale is fitted where it is; plenty for one number
RESPONSE_TRIALS = 4000  # EEG trials of the mean response; the noise of 10 uV leaves 0.2 uV in their mean
READ_TRIALS = 256  # read at once


def build_model(reader: LMDBReader, *, run: RunConfig, weights: str | Path | None) -> AlignmentModel:
    """Build the untrained model, holding scales and mean response of the training pairs' EEG and targets."""
    meta = reader.meta
    aligner = AlignmentModel(run.model, EEGLayout.of(meta), meta["n_features"])
    if run.model.pretrained:
        if weights is None:
            raise InputError(
                f"model.pretrained is true: expected published weights of {run.model.encoder}, got none; "
                "name them under weights, or set model.pretrained to false"
            )
        aligner.encoder.load_pretrained(weights)
    pairs = reader.pairs_of("train")
    scale = aligner.encoder.input_scale(meta["unit"], lambda: _scale_sample(reader, pairs))
    aligner.eeg_scale.fill_(scale)
    aligner.mean_response.copy_(torch.from_numpy(_mean_response(reader, pairs)))
    aligner.fit_targets(target_means(reader, pairs), scale=run.loss.target_scale)
    return aligner


def start_linearly(aligner: AlignmentModel, reader: LMDBReader) -> np.ndarray:
    """Fit the model's linear path to the training pairs, by the means over their trials and repetitions.

    Returns
    -------
    (n_trials, linear_axes) float32, the coordinates of each training trial in the order of their numbers, by
    the regression that was fitted without its picture: from those of the whole fit, which knows the pictures'
    targets, the network would learn to trust the path too much.
    """
    pairs = reader.pairs_of("train")
    eeg = rearrange(eeg_means(reader, pairs), "pairs channels times -> pairs (channels times)")
    targets = aligner.standardise(torch.from_numpy(target_means(reader, pairs))).numpy()
    folds = blocks(pairs["eeg_image"].to_numpy(), N_FOLDS)
    assert aligner.linear_path is not None  # as model.linear_axes is not 0
    n_axes = len(aligner.linear_path.axes)
    regression = fit_axis_ridge(eeg, targets, folds, n_axes=n_axes)
    aligner.fit_linear_path(regression)
    fold_of = dict(zip(pairs["pair"], folds, strict=True))
    index = reader.eeg_index[reader.eeg_index["pair"].isin(pairs["pair"])].drop_duplicates("trial")
    coordinates = np.zeros((len(index), n_axes), np.float32)
    for row, (trial, pair) in enumerate(sorted(zip(index["trial"], index["pair"], strict=True))):
        fold = fold_of[pair]
        own = reader.eeg(trial).ravel() @ regression.fold_weights[fold] + regression.fold_offsets[fold]
        coordinates[row, : len(own)] = own
    return coordinates


def _scale_sample(reader: LMDBReader, pairs: pd.DataFrame) -> np.ndarray:
    """Read evenly spread training trials, as many as a fitted scale needs."""
    return reader.read("eeg", _spread_trials(reader, pairs, SCALE_TRIALS))


def _mean_response(reader: LMDBReader, pairs: pd.DataFrame) -> np.ndarray:
    """Average evenly spread training trials, (n_channels, n_times) float64 in the EEG's unit."""
    trials = _spread_trials(reader, pairs, RESPONSE_TRIALS)
    total = np.zeros(reader.shape("eeg"))
    for start in range(0, len(trials), READ_TRIALS):
        total += reader.read("eeg", trials[start : start + READ_TRIALS]).sum(axis=0, dtype=np.float64)
    return total / len(trials)


def _spread_trials(reader: LMDBReader, pairs: pd.DataFrame, n_trials: int) -> np.ndarray:
    trials = reader.eeg_index.loc[reader.eeg_index["pair"].isin(pairs["pair"]), "trial"].unique()
    return trials[:: math.ceil(len(trials) / n_trials)]
