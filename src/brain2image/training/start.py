"""The model before its first step: published weights, scales, and the linear path."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from brain2image.config import RunConfig
from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.models.regression import N_FOLDS, AxisRidge, fit_axis_ridge, fold_by_group
from brain2image.models.windows import Windows
from brain2image.training_set.items import encode_items, item_targets, item_weights, list_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import target_means

SCALE_TRIALS = 2000  # EEG trials from which the scale is fitted where it is; plenty for one number
RESPONSE_TRIALS = 4000  # EEG trials of the mean response; the noise of 10 uV leaves 0.2 uV in their mean
READ_TRIALS = 256  # read at once


def build_model(reader: LMDBReader, *, run: RunConfig, weights: str | Path | None) -> AlignmentModel:
    """Build the untrained model, holding scales and mean response of the training pairs' EEG and targets."""
    meta = reader.meta
    aligner = AlignmentModel(run.model, EEGLayout.of(meta), meta["n_features"])
    if aligner.encoder is not None and run.model.pretrained:
        if weights is None:
            raise InputError(
                f"model.pretrained is true: expected published weights of {run.model.encoder}, got none; "
                "name them under weights, or set model.pretrained to false"
            )
        aligner.encoder.load_pretrained(weights)
    items = _training_items(reader, run)
    if aligner.encoder is not None:
        scale = aligner.encoder.input_scale(meta["unit"], lambda: _scale_sample(reader, items))
        aligner.eeg_scale.fill_(scale)
    aligner.mean_response.copy_(torch.from_numpy(_mean_response(reader, items)))
    # of measured embeddings whatever is learned from, as these are what predictions are compared with
    aligner.fit_targets(
        target_means(reader, reader.pairs_of("train")["fmri_image"]), scale=run.loss.target_scale
    )
    return aligner


def _training_items(reader: LMDBReader, run: RunConfig) -> pd.DataFrame:
    return list_items(reader, "train", targets=run.training.targets, pictures=run.training.pictures)


def start_linearly(aligner: AlignmentModel, reader: LMDBReader, run: RunConfig) -> np.ndarray:
    """Fit the model's linear path to what the run learns from, by the means over trials and repetitions.

    Returns
    -------
    (n_trials, linear_axes) float32, the coordinates of each training trial in the order of their numbers, by
    the regression that was fitted without its picture's concept: from those of the whole fit, which knows the
    pictures' targets, the network would learn to trust the path too much.
    """
    assert aligner.linear_path is not None  # as model.linear_axes is not 0
    items, options = _training_items(reader, run), run.training
    windows = Windows(aligner.layout.n_times, aligner.layout.sfreq, run.model.linear_window)
    folds = fold_by_group(items["concept"].to_numpy(), N_FOLDS)
    regression = fit_axis_ridge(
        encode_items(reader, items, windows.average),
        aligner.standardise(torch.from_numpy(item_targets(reader, items))).numpy(),
        folds,
        n_axes=len(aligner.linear_path.axes),
        weights=item_weights(items, measured=options.measured_weight, similarity=options.similarity_weight),
    )
    aligner.fit_linear_path(regression._replace(weight=windows.spread(regression.weight)))
    fold_of = dict(zip(items["image"], folds, strict=True))
    return _unseen_coordinates(reader, regression, fold_of, windows, len(aligner.linear_path.axes))


def _unseen_coordinates(
    reader: LMDBReader, regression: AxisRidge, fold_of: dict[int, int], windows: Windows, n_axes: int
) -> np.ndarray:
    """Give every trial its coordinates by the fit without its fold, (n_trials, n_axes) float32."""
    index = reader.eeg_index[reader.eeg_index["image"].isin(fold_of)]
    coordinates = np.zeros((len(index), n_axes), np.float32)
    fold = index["image"].map(fold_of).to_numpy()
    for start in range(0, len(index), READ_TRIALS):
        rows = slice(start, start + READ_TRIALS)
        x = windows.average(reader.read("eeg", index["trial"].to_numpy()[rows]))
        for own in np.unique(fold[rows]):
            is_own = np.flatnonzero(fold[rows] == own)
            found = x[is_own] @ regression.fold_weights[own] + regression.fold_offsets[own]
            coordinates[start + is_own, : found.shape[1]] = found
    return coordinates


def _scale_sample(reader: LMDBReader, items: pd.DataFrame) -> np.ndarray:
    """Read evenly spread training trials, as many as a fitted scale needs."""
    return reader.read("eeg", _spread_trials(reader, items, SCALE_TRIALS))


def _mean_response(reader: LMDBReader, items: pd.DataFrame) -> np.ndarray:
    """Average evenly spread training trials, (n_channels, n_times) float64 in the EEG's unit."""
    trials = _spread_trials(reader, items, RESPONSE_TRIALS)
    total = np.zeros(reader.shape("eeg"))
    for start in range(0, len(trials), READ_TRIALS):
        total += reader.read("eeg", trials[start : start + READ_TRIALS]).sum(axis=0, dtype=np.float64)
    return total / len(trials)


def _spread_trials(reader: LMDBReader, items: pd.DataFrame, n_trials: int) -> np.ndarray:
    trials = reader.eeg_index.loc[reader.eeg_index["image"].isin(items["image"]), "trial"].to_numpy()
    return trials[:: math.ceil(len(trials) / n_trials)]
