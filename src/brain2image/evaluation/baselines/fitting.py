"""The baselines by name, each fitted on the training pairs in one call."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from brain2image.evaluation.baselines.base import Training
from brain2image.evaluation.baselines.linear import (
    fit_clip_oracle,
    fit_kernel_ridge,
    fit_mean_target,
    fit_nearest_image,
    fit_pls,
    fit_ridge,
    fit_two_step,
)
from brain2image.evaluation.baselines.networks import fit_cbramod_linear, fit_mlp
from brain2image.evaluation.queries import write_test_predictions
from brain2image.formats.tables import pick_rows
from brain2image.models.linear_model import write_baseline
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Predictor, read_pairs

BASELINES: dict[str, Callable[[Training], Predictor]] = {
    "mean_target": fit_mean_target,
    "nearest_image": fit_nearest_image,
    "ridge": fit_ridge,
    "kernel_ridge": fit_kernel_ridge,
    "pls": fit_pls,
    "two_step": fit_two_step,
    "clip_oracle": fit_clip_oracle,
    "mlp": fit_mlp,
    "cbramod_linear": partial(fit_cbramod_linear, pretrained=True),
    "cbramod_random": partial(fit_cbramod_linear, pretrained=False),
}


def fit_baseline(
    name: str,
    lmdb: str | Path,
    *,
    pictures: pd.DataFrame,
    clip: Embeddings,
    cbramod: str | Path | None,
    predictions: str | Path,
    model: str | Path,
    config: str | Path,
) -> None:
    """Fit one baseline on the training pairs, predict the test pairs, and keep its weights.

    Parameters
    ----------
    name : in `BASELINES`.
    lmdb : the training set.
    pictures : image and concept of the EEG's pictures.
    clip : their embeddings.
    cbramod : CBraMod's published weights, where the baseline takes them.
    predictions : ``predictions.npz`` as `queries.write_test_predictions` writes it.
    model, config : as `linear_model.write_baseline` writes them.
    """
    reader, pairs = LMDBReader(lmdb), read_pairs(lmdb, "train")
    shown = pick_rows(pictures, pairs.table["eeg_image"], source="the table of the EEG's pictures")
    training = Training(
        pairs,
        concepts=shown["concept"].to_numpy(),
        clip=clip,
        meta=reader.meta,
        cbramod=cbramod,
    )
    predict = BASELINES[name](training)
    write_test_predictions(predictions, predict, lmdb, target_mean=pairs.targets.mean(axis=0))
    write_baseline(predict, name=name, pairs=pairs, data=reader.describe(), model=model, config=config)
