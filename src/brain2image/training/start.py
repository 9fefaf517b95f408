"""The model before its first step: published weights, scales, and the linear path."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from brain2image.config import RunConfig
from brain2image.constants.target_kinds import CLIP
from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.models.regression import N_FOLDS, AxisRidge, fit_axis_ridge, fold_by_group
from brain2image.models.windows import Windows
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.training_set.clip_targets import ClipTargets
from brain2image.training_set.items import encode_items, item_targets, item_weights, list_items
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import (
    READ_TRIALS,
    person_responses,
    read_training_targets,
    spread_trials,
)

SCALE_TRIALS = 2000  # EEG trials from which a scale is fitted where it is; plenty for one number


def open_data(
    lmdbs: str | Path | Sequence[str | Path],
    run: RunConfig,
    *,
    tested: Sequence[str | Path],
    clip: Sequence[str | Path],
) -> LMDBReader:
    """Open what a run learns from.

    Parameters
    ----------
    lmdbs, run : see `train.train`.
    tested : training sets of people of other data sets on whom it will be tested, for the names of their
        channels.
    clip : embeddings of the pictures, where these are the targets.
    """
    interpolates = run.training.missing_channels == "interpolate"
    reader = open_training_set(lmdbs, tested=tested, interpolates=interpolates)
    return ClipTargets(reader, read_embeddings(clip), clip) if run.training.targets == CLIP else reader


def build_model(reader: LMDBReader, *, run: RunConfig, weights: str | Path | None) -> AlignmentModel:
    """Build the untrained model, holding scales and mean responses of the training's EEG and targets."""
    meta = reader.meta
    people = reader.people if run.has_several else ()
    aligner = AlignmentModel(run.model, EEGLayout.of(meta), meta["n_features"], people)
    if aligner.encoder is not None and run.model.pretrained:
        if weights is None:
            raise InputError(
                f"model.pretrained is true: expected published weights of {run.model.encoder}, got none; "
                "name them under weights, or set model.pretrained to false"
            )
        aligner.encoder.load_pretrained(weights)
    if aligner.encoder is not None and run.training.freeze_encoder:
        aligner.encoder.freeze()
    items = _training_items(reader, run)
    responses = torch.from_numpy(person_responses(reader, items))
    aligner.mean_response.copy_(responses.mean(dim=0))
    if aligner.encoder is not None:
        parts = [items[items["person"] == person] for person in range(len(reader.people))]
        scales = torch.tensor([_input_scale(aligner, reader, part) for part in parts])
        aligner.eeg_scale.copy_(scales.log().mean().exp())
        if aligner.person_layer is not None:
            aligner.person_layer.scale.copy_(scales / aligner.eeg_scale)
    if aligner.person_layer is not None:
        aligner.person_layer.response.copy_(responses)
    # of measured embeddings whatever is learned from, as these are what predictions are compared with
    aligner.fit_targets(read_training_targets(reader), scale=run.loss.target_scale)
    return aligner


def frozen_weights(aligner: AlignmentModel) -> dict[str, Tensor]:
    """Return copies of what must not change while training: all that a frozen encoder holds."""
    encoder = aligner.encoder
    if encoder is None or not encoder.is_frozen:
        return {}
    return {f"encoder.{name}": value.detach().clone() for name, value in encoder.state_dict().items()}


def check_frozen(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Raise RuntimeError unless a training left as they were all weights that were frozen.

    Parameters
    ----------
    before : of `frozen_weights`.
    after : the trained model's state.
    """
    changed = sorted(name for name, value in before.items() if not torch.equal(value, after[name]))
    if changed:
        raise RuntimeError(
            f"training: expected a frozen encoder, but {len(changed)} of its {len(before)} tensors changed "
            f"(first: {changed[0]}); report it"
        )


def _training_items(reader: LMDBReader, run: RunConfig) -> pd.DataFrame:
    return list_items(reader, "train", targets=run.training.targets, pictures=run.training.pictures)


def _input_scale(aligner: AlignmentModel, reader: LMDBReader, items: pd.DataFrame) -> float:
    """Return the factor to the encoder's range, of evenly spread training trials where it is fitted."""
    assert aligner.encoder is not None  # as the caller has looked
    return aligner.encoder.input_scale(
        reader.meta["unit"],
        lambda: reader.read("eeg", spread_trials(reader, items, SCALE_TRIALS))[:, aligner.heard.numpy()],
    )


def start_linearly(aligner: AlignmentModel, reader: LMDBReader, run: RunConfig) -> np.ndarray:
    """Fit the model's linear path to what the run learns from, by the means over trials and repetitions.

    Returns
    -------
    (n_trials, linear_axes) float32, the coordinates of each training trial in the order of their numbers, by
    the regression that was fitted without its picture's concept: from those of the whole fit, which knows the
    pictures' targets, the network would learn to trust the path too much. Of several people (n_trials,
    2 * linear_axes): those that all share, then what each person's term adds.
    """
    assert aligner.linear_path is not None  # as model.linear_axes is not 0
    items, options = _training_items(reader, run), run.training
    windows = Windows(aligner.layout.n_times, aligner.layout.sfreq, run.model.linear_window)
    folds = fold_by_group(items["concept"].to_numpy(), N_FOLDS)
    # a picture's target is the same for all people, and a wide one
    keys = items[["kind", "image", "fmri_image"]]
    rows, shown = (
        keys.groupby(list(keys), sort=False).ngroup().to_numpy(),
        keys.drop_duplicates(ignore_index=True),
    )
    centres = aligner.person_layer.response.numpy() if aligner.person_layer is not None else None
    regression = fit_axis_ridge(
        encode_items(reader, items, windows.average, centres=centres),
        aligner.standardise(torch.from_numpy(item_targets(reader, shown))).numpy(),
        folds,
        n_axes=len(aligner.linear_path.axes),
        rows=rows,
        weights=item_weights(items, measured=options.measured_weight, similarity=options.similarity_weight),
        people=items["person"].to_numpy() if run.has_several else None,
    )
    aligner.fit_linear_path(regression.of_samples(windows))
    return _unseen_coordinates(
        reader, regression, items.assign(fold=folds), windows, centres, len(aligner.linear_path.axes)
    )


def _unseen_coordinates(
    reader: LMDBReader,
    regression: AxisRidge,
    items: pd.DataFrame,
    windows: Windows,
    centres: np.ndarray | None,
    n_axes: int,
) -> np.ndarray:
    """Give every trial its coordinates by the fit without its fold, (n_trials, n_axes or twice) float32."""
    places = items[["person", "image", "fold"]].drop_duplicates()
    index = reader.eeg_index.merge(places, on=["person", "image"]).sort_values("trial")
    trials, fold, person = (index[name].to_numpy() for name in ("trial", "fold", "person"))
    n_fitted, has_several = len(regression.axes), len(regression.person_weights) > 0
    coordinates = np.zeros((len(index), 1 + has_several, n_axes), np.float32)
    for start in range(0, len(index), READ_TRIALS):
        rows = slice(start, start + READ_TRIALS)
        eeg = reader.read("eeg", trials[rows])
        x = windows.average(eeg if centres is None else eeg - centres[person[rows]])
        for own in np.unique(fold[rows]):
            is_own = np.flatnonzero(fold[rows] == own)
            found = x[is_own] @ regression.fold_weights[own] + regression.fold_offsets[own]
            coordinates[start + is_own, 0, :n_fitted] = found
        for number in np.unique(person[rows]) if has_several else ():
            for own in np.unique(fold[rows]):
                chosen = np.flatnonzero((fold[rows] == own) & (person[rows] == number))
                weight, offset = regression.fold_person_weights[own, number], regression.fold_person_offsets
                coordinates[start + chosen, 1, :n_fitted] = x[chosen] @ weight + offset[own, number]
    return coordinates.reshape(len(index), -1)
