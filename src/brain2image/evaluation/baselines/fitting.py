"""The baselines by name, each fitted on the training pairs in one call."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.config import RunConfig
from brain2image.constants.predictors import OF_PEOPLE, PAIRED
from brain2image.core.errors import InputError
from brain2image.evaluation.baselines.base import Scanned, Training, read_training
from brain2image.evaluation.baselines.by_clip import (
    fit_clip_oracle,
    fit_two_step,
    fit_two_step_kernel,
    fit_two_step_paired,
)
from brain2image.evaluation.baselines.linear import (
    fit_kernel_ridge,
    fit_mean_target,
    fit_nearest_image,
    fit_pls,
    fit_ridge,
)
from brain2image.evaluation.baselines.networks import fit_cbramod_linear, fit_mlp
from brain2image.evaluation.queries import write_test_predictions
from brain2image.models.linear_model import LinearModel, write_baseline
from brain2image.models.person_layer import find_lag, move_earlier
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.projection.picture_fitting import find_excluded, read_measured
from brain2image.training_set.items import describe_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Predictor, mean_response, read_training_targets

BASELINES: dict[str, Callable[[Training], Predictor]] = {
    "mean_target": fit_mean_target,
    "nearest_image": fit_nearest_image,
    "ridge": fit_ridge,
    "kernel_ridge": fit_kernel_ridge,
    "pls": fit_pls,
    "two_step": fit_two_step,
    "two_step_kernel": fit_two_step_kernel,
    "clip_oracle": fit_clip_oracle,
    "mlp": fit_mlp,
    "cbramod_linear": partial(fit_cbramod_linear, pretrained=True),
    "cbramod_random": partial(fit_cbramod_linear, pretrained=False),
    # as they are without the pictures that only the picture encoder has something to say of
    "ridge_paired": fit_ridge,
    "kernel_ridge_paired": fit_kernel_ridge,
    "pls_paired": fit_pls,
    "two_step_paired": fit_two_step_paired,
    "mlp_paired": fit_mlp,
    # of other people's EEG, or of everybody's
    **{
        f"{name}{people}": fit
        for people in OF_PEOPLE
        for name, fit in (("ridge", fit_ridge), ("two_step", fit_two_step))
    },
}


def fit_baseline(
    name: str,
    lmdb: str | Path,
    *,
    learned: Sequence[str | Path],
    run: RunConfig,
    clip: Embeddings,
    read_scanned: Callable[[], Scanned],
    cbramod: str | Path | None,
    predictions: str | Path,
    model: str | Path,
    config: str | Path,
) -> None:
    """Fit one baseline on what a run learns from, predict the test pairs, and keep its weights.

    Parameters
    ----------
    name : in `BASELINES`; those that end in ``_paired`` learn from the measured pairs alone.
    lmdb : the training set of the person who is tested.
    learned : the training sets that it learns from, that one or those of several people.
    run : the config's blocks, which say what is learned from, the window and the temperature.
    clip : embeddings of the EEG's pictures.
    read_scanned : gives the scanned pictures that may be learned from, see `read_scanned`.
    cbramod : CBraMod's published weights, where the baseline takes them.
    predictions : ``predictions.npz`` as `queries.write_test_predictions` writes it.
    model, config : as `linear_model.write_baseline` writes them.
    """
    counted = _Counted(read_scanned)
    training = read_training(
        learned,
        clip,
        **_learned_from(name, run),
        window=run.model.linear_window,
        temperature=run.loss.temperature,
        cbramod=cbramod,
        read_scanned=counted,
    )
    predict = BASELINES[name](training)
    response = training.encode(lambda eeg: eeg.sum(axis=0, keepdims=True)).sum(axis=0) / len(training.items)
    own = LMDBReader(lmdb, training.reader.meta["channels"])  # whose cap may have them in another order
    if training.responses is not None:
        predict, response = hear_person(predict, training, own)
    # of measured embeddings whatever was learned from, as scores are centred on it
    mean = read_training_targets(training.reader).mean(axis=0)
    write_test_predictions(predictions, predict, own, target_mean=mean)
    described = describe_items(training.reader, training.items, _learned_from(name, run)["targets"])
    if counted.n_pictures:  # the targets are those of scanned pictures, and the EEG's pictures have features
        described |= {"targets": "measured", "n_scanned": counted.n_pictures}
    people = {"people": next((suffix[1:] for suffix in OF_PEOPLE if name.endswith(suffix)), "own")}
    write_baseline(
        predict,
        name=name,
        target_mean=mean,
        mean_response=response,
        data=training.reader.describe() | {"learned_from": described} | people,
        model=model,
        config=config,
    )


class _Counted:
    """Reads scanned pictures, and counts those that were asked for."""

    def __init__(self, read: Callable[[], Scanned]):
        self._read, self.n_pictures = read, 0

    def __call__(self) -> Scanned:
        scanned = self._read()
        self.n_pictures = len(scanned.features)
        return scanned


def _learned_from(name: str, run: RunConfig) -> dict[str, Any]:
    """Return the options of `items.list_items` for a baseline: the run's, or measured pairs alone."""
    if name.endswith(PAIRED):
        return {"targets": "measured", "pictures": "paired"}
    return {"targets": run.training.targets, "pictures": run.training.pictures}


def hear_person(predict: Predictor, training: Training, own: LMDBReader) -> tuple[Predictor, np.ndarray]:
    """Let a baseline that learned from several people hear a person as a network does.

    The mean response is subtracted and, of who was not learned from, the EEG moved by its lag; neither needs
    labels.

    Parameters
    ----------
    predict, training : the baseline, and what it learned from.
    own : the training set of the person who is tested.

    Returns
    -------
    The predictor of that person's EEG, and the mean response (n_channels, n_times) float32.
    """
    assert training.responses is not None  # of several people
    response = mean_response(own, own.pictures[own.pictures["split"] == "train"]).astype(np.float32)
    is_known = own.people[0] in training.reader.people
    expected, sfreq = training.responses.mean(axis=0), training.meta["sfreq"]
    lag = 0 if is_known else find_lag(response, expected, sfreq=sfreq)
    if isinstance(predict, LinearModel):
        return predict.of_person(response, lag), response
    return lambda pairs: predict(pairs._replace(eeg=move_earlier(pairs.eeg - response, lag))), response


def read_scanned(
    projection: str | Path, pairs: pd.DataFrame, *, eeg: Embeddings, fmri: Embeddings
) -> Scanned:
    """Read features and measured embeddings of all scanned pictures that may be learned from.

    Those of val and test pairs, and what nearly equals a picture of one, are left out, as the picture encoder
    leaves them out.

    Parameters
    ----------
    projection : measured embeddings.
    pairs : columns eeg_image, fmri_image, split.
    eeg, fmri : embeddings of the pictures of both sets.
    """
    image, embedding, _ = read_measured(projection)
    is_partner, is_duplicate = find_excluded(image, pairs, eeg, fmri)
    keep = ~(is_partner | is_duplicate)
    if not keep.any():
        raise InputError(f"{projection}: expected pictures apart from those of val and test pairs, got none")
    return Scanned(fmri.of(image[keep]), embedding[keep])
