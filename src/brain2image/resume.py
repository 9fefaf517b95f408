"""The state from which a killed training goes on, and the signals that ask it to stop."""

import logging
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import AsyncCheckpointIO, CheckpointIO

from brain2image.config import RunConfig
from brain2image.disk import lock
from brain2image.files import atomic_path, sha256

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0  # between two looks whether another process still trains
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SLURM sends one of them before the time is up


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Wait until no other process trains into the folder ``state``.

    On a cluster, the job of a Snakemake that was killed goes on and meets the job that the next one submits.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    path = state.with_name(f".{state.name}.lock")
    file = lock(path)
    if file is None:
        logger.info("%s: another process trains this run: waiting for its end", state)
    while file is None:
        time.sleep(WAIT_SECONDS)
        file = lock(path)
    with file:
        yield


class StateFile(CheckpointIO):
    """Lightning's checkpoint as a file that appears whole and is read without running code in it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path, storage_options: Any = None) -> None:
        with atomic_path(path) as scratch:
            torch.save(checkpoint, scratch)

    def load_checkpoint(self, path: Path, *_: Any, **__: Any) -> dict[str, Any]:
        return torch.load(path, map_location="cpu", weights_only=True)

    def remove_checkpoint(self, path: Path) -> None:
        Path(path).unlink(missing_ok=True)


class InBackground(AsyncCheckpointIO):
    """Write states beside the training, which goes on at once with a copy in memory.

    One at a time, so that memory holds one copy; Lightning waits for the last one when it ends or is stopped.
    """

    def save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        self.teardown()
        super().save_checkpoint(*arguments, **options)


def run_identity(
    lmdb: Path, *, run: RunConfig, cbramod: Path | None, code: str, precision: str
) -> dict[str, Any]:
    """All that a training's weights depend on but the number of epochs, by name.

    Parameters
    ----------
    lmdb, cbramod : the training set and the pretrained weights; their bytes count.
    run : the run's blocks.
    code : fingerprint of the source.
    precision : what the device computes with, of `precision.resolve_precision`.
    """
    settings = {
        f"{block}.{key}": value for block, values in run.model_dump().items() for key, value in values.items()
    }
    del settings["training.epochs"], settings["training.memory_limit_gb"]
    settings["training.precision"] = precision
    return {"lmdb": sha256(lmdb), "cbramod": sha256(cbramod) if cbramod else None, "code": code, **settings}


def read_state(path: Path, identity: dict[str, Any], *, epochs: int) -> dict[str, Any] | None:
    """What `AlignmentTask` stored in a state that fits; None where there is none, and the log says why.

    Parameters
    ----------
    path : the file that `StateFile` wrote.
    identity : of `run_identity`, for the training that is to go on.
    epochs : how many epochs it is to have.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["training"]
    except (RuntimeError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
        logger.info("%s is no training state (%s): starting anew", path, str(error).partition("\n")[0])
        return None
    old = state["identity"]
    changes = [
        f"{key} {str(old.get(key))[:12]} is now {str(identity.get(key))[:12]}"
        for key in sorted(old | identity)
        if old.get(key) != identity.get(key)
    ]
    n_done = epochs_done(state)
    if n_done > epochs:
        changes.append(f"it has {n_done} epochs and training.epochs is {epochs}")
    if changes:
        logger.info("%s is the state of another training (%s): starting anew", path, "; ".join(changes))
        return None
    logger.info("going on after %d finished epochs", n_done)
    if state["epochs"] != epochs:
        logger.info(
            "training.epochs was %d and is %d: the learning rates go on along the cosine of %d epochs",
            *(state["epochs"], epochs, epochs),
        )
    return state


def epochs_done(state: dict[str, Any]) -> int:
    """How many epochs a state of `AlignmentTask` has behind it; epoch 0 in its history is the start."""
    return state["history"][-1]["epoch"]


class Resumption(L.Callback):
    """Save the state after every epoch, and after the running step when the process is told to stop.

    With several GPUs the processes are told at different steps, so there the last finished epoch counts.
    """

    def __init__(self, path: Path):
        self.path = path
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        if trainer.world_size == 1:  # in the place of Lightning's own handler, which stops without saving
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        n_batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        has_stepped = n_batches % trainer.accumulate_grad_batches == 0
        if self._signal and has_stepped and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        self._save(trainer)

    def teardown(self, *_: Any, **__: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self._signal = number

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        if self._signal:
            name, epoch = signal.Signals(self._signal).name, trainer.current_epoch + 1
            logger.error("%s in epoch %d: stopping; the same command goes on from here", name, epoch)
            sys.exit(128 + self._signal)
