"""Training: from the LMDB to a model whose EEG embeddings lie where the fMRI embeddings do."""

import logging
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import save_file
from torch.utils.data import DataLoader, TensorDataset

from brain2image import __version__
from brain2image.config import RunConfig
from brain2image.dataset import AlignmentDataset, pair_means
from brain2image.devices import compute_device
from brain2image.errors import InputError
from brain2image.files import atomic_path, write_json
from brain2image.lmdb_store import LMDBReader
from brain2image.models.alignment import AlignmentModel
from brain2image.optimisation import AlignmentTask
from brain2image.units import cbramod_scale

logger = logging.getLogger(__name__)

SCALE_TRIALS = 2000  # EEG trials from which the scale of whitened data is fitted; plenty for one number
PACKAGES = ("torch", "lightning", "numpy")


def train(
    lmdb: str | Path,
    *,
    run: RunConfig,
    cbramod: str | Path | None,
    model: str | Path,
    config: str | Path,
    history: str | Path,
    tensorboard: str | Path,
) -> None:
    """Train on the training pairs and keep the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    lmdb : the training set, of `lmdb_store.write_lmdb`.
    run : model, loss and training blocks.
    cbramod : CBraMod's published weights; None when ``run.model.pretrained`` is false.
    model, config, history, tensorboard : outputs: safetensors, JSON, CSV with a row an epoch, folder.

    Raises
    ------
    InputError
        When the pretrained weights are missing or wrong, a split has no pairs, or the loss is not finite.
    """
    reader = LMDBReader(lmdb)
    with _quiet_lightning():
        L.seed_everything(run.training.seed, workers=True, verbose=False)
        aligner = build_model(reader, run=run, cbramod=cbramod)
        task = AlignmentTask(aligner, run=run)
        with atomic_path(tensorboard) as events, tempfile.TemporaryDirectory() as scratch:
            trainer = L.Trainer(
                max_epochs=run.training.epochs,
                accelerator=compute_device(),
                devices=1,
                gradient_clip_val=run.training.gradient_clip,
                num_sanity_val_steps=0,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=sys.stdout.isatty() and sys.stderr.isatty(),
                logger=TensorBoardLogger(events.parent, name="", version=events.name),
                log_every_n_steps=1,
                default_root_dir=scratch,
            )
            trainer.fit(task, *_loaders(lmdb, run))
        table = pd.DataFrame(task.history)
    _write_model(task, model)
    write_json(config, _resolved(reader, aligner, run, best_epoch=task.best_epoch))
    with atomic_path(history) as path:
        table.to_csv(path, index=False)


def build_model(reader: LMDBReader, *, run: RunConfig, cbramod: str | Path | None) -> AlignmentModel:
    """The untrained model, with the scales of the training pairs' EEG and targets in it."""
    if run.model.pretrained and cbramod is None:
        raise InputError(
            "model.pretrained is true: expected CBraMod's weights, got none; set weights.cbramod"
        )
    aligner = AlignmentModel(run.model, len(reader.meta["channels"]), reader.meta["n_features"])
    if run.model.pretrained:
        aligner.backbone.load_pretrained(cbramod)
    _, targets, pairs = pair_means(reader.path, "train")
    trials = reader.eeg_index.loc[reader.eeg_index["pair"].isin(pairs["pair"]), "trial"].unique()
    sample = np.stack([reader.eeg(trial) for trial in trials[:: math.ceil(len(trials) / SCALE_TRIALS)]])
    mean = targets.mean(axis=0)
    aligner.eeg_scale.fill_(cbramod_scale(sample, reader.meta["unit"]))
    aligner.target_mean.copy_(torch.from_numpy(mean))
    aligner.target_scale.fill_(float(np.sqrt(np.mean(np.square(targets - mean, dtype=np.float64)))))
    return aligner


def _loaders(lmdb: str | Path, run: RunConfig) -> tuple[DataLoader, DataLoader]:
    options = run.training
    train_set = AlignmentDataset(lmdb, "train", average_trials=options.average_trials, fmri=options.fmri)
    n_trials = len(train_set)
    if n_trials < 2:
        raise InputError(
            f"{lmdb}: expected at least 2 EEG trials for training, got {n_trials}; make more pairs"
        )
    if options.batch_size > n_trials:
        logger.info(
            "training.batch_size %d is reduced to all %d training trials", options.batch_size, n_trials
        )
    # A batch of one row has no negatives and no prototypes.
    lone_row = n_trials % options.batch_size == 1
    train_loader = DataLoader(train_set, options.batch_size, shuffle=True, drop_last=lone_row)
    eeg, targets, pairs = pair_means(lmdb, "val")
    numbers = (torch.from_numpy(pairs[name].to_numpy(np.int64)) for name in ("pair", "cluster"))
    val_set = TensorDataset(torch.from_numpy(eeg), torch.from_numpy(targets), *numbers)
    return train_loader, DataLoader(val_set, options.batch_size)


def _write_model(task: AlignmentTask, path: str | Path) -> None:
    with atomic_path(path) as scratch:
        save_file(task.best_weights, scratch)


def _resolved(
    reader: LMDBReader, aligner: AlignmentModel, run: RunConfig, *, best_epoch: int
) -> dict[str, Any]:
    meta = reader.meta
    return {
        **run.model_dump(),
        "eeg": {
            **{name: meta[name] for name in ("unit", "sfreq", "t0", "channels")},
            "scale": aligner.eeg_scale.item(),
        },
        "n_features": meta["n_features"],
        "fmri": meta["fmri_attributes"],
        "best_epoch": best_epoch,
        "seed": run.training.seed,
        "versions": {"brain2image": __version__} | {name: version(name) for name in PACKAGES},
    }


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says about itself and this machine; our own log lines remain."""
    names = ("lightning.pytorch", "lightning.fabric")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
