"""The state from which a killed training goes on, and the signals that ask it to stop."""

import logging
import pickle
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
import torch.distributed as dist
from lightning.pytorch.plugins.io import AsyncCheckpointIO, CheckpointIO
from torch.multiprocessing.spawn import ProcessExitedException

from brain2image.config import RunConfig
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.constants.training_keys import WITHOUT_EFFECT
from brain2image.core.atomic import atomic_path
from brain2image.core.disk import lock
from brain2image.core.encoder_names import encoder_package
from brain2image.core.versions import minor_version
from brain2image.formats.files import sha256
from brain2image.training.task import AlignmentTask

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0  # between two looks whether another process still trains
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)  # SLURM before the time is up; Ctrl-C
clock = time.monotonic  # s
LIBRARIES = ("torch", "lightning", "numpy", "scipy", "mne")  # that any training computes with


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

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a state, whole or not at all."""
        with atomic_path(path) as scratch:
            torch.save(checkpoint, scratch)

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a state onto the CPU, whatever device it came from."""
        return torch.load(path, map_location="cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a state, if there is one."""
        Path(path).unlink(missing_ok=True)


class InBackground(AsyncCheckpointIO):
    """Write states beside the training, which goes on at once with a copy in memory.

    One at a time, so that memory holds one copy; Lightning waits for the last one when it ends or is stopped.
    """

    def save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        """Write a state once the one before is written."""
        self.teardown()
        super().save_checkpoint(*arguments, **options)


def computing_libraries(run: RunConfig) -> list[str]:
    """List the libraries that a run's training computes with, that of its encoder included."""
    package = None if run.model.pooling == ENCODERLESS else encoder_package(run.model.encoder)
    return [*LIBRARIES, *([package] if package else [])]


def run_identity(
    lmdbs: Sequence[Path], *, run: RunConfig, weights: str | Path | None, code: str, precision: str
) -> dict[str, Any]:
    """Collect, by name, all that a training's weights depend on but the number of epochs.

    Minor versions of the libraries are among it: another one does not go on bit for bit, nor would a training
    that is made again because of an upgrade begin.

    Parameters
    ----------
    lmdbs, weights : the training sets and the encoder's published weights; their bytes count.
    run : the run's blocks.
    code : fingerprint of the source.
    precision : what the device computes with, of `precision.resolve_precision`.
    """
    blocks = run.model_dump(exclude={"training": {"epochs", *WITHOUT_EFFECT}})
    settings = {"people": blocks.pop("people")} | {
        f"{block}.{key}": value for block, values in blocks.items() for key, value in values.items()
    }
    settings["training.precision"] = precision
    libraries = {name: minor_version(name) for name in computing_libraries(run)}
    published = sha256(weights) if weights else None
    return {
        "lmdb": [sha256(lmdb) for lmdb in lmdbs],
        "weights": published,
        "code": code,
        **libraries,
        **settings,
    }


def read_state(path: Path, identity: dict[str, Any], *, epochs: int) -> dict[str, Any] | None:
    """Read what `AlignmentTask` stored in a state that fits; None where none does, and the log says why.

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
    """Count the epochs that a state of `AlignmentTask` has behind it; epoch 0 in its history is the start."""
    return state["history"][-1]["epoch"]


class Resumption(L.Callback):
    """Save the state by time, when the training ends, and when the process is told to stop.

    That is after a step of the optimiser, in the middle of an epoch too, or after an epoch's validation.
    Processes that train together save and stop as soon as one of them wants to.

    Parameters
    ----------
    path : the state's file.
    save_minutes : least time between two states that are saved by time.
    """

    def __init__(self, path: Path, save_minutes: float):
        self.path, self.save_minutes = path, save_minutes
        self._saved_at = 0.0
        self._signal = 0
        # Lightning has given its own back before `teardown`, after which these have to be there
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, *_: Any) -> None:
        """Take over the signals."""
        # in the place of Lightning's own handler, which stops without saving
        for number in SIGNALS:
            signal.signal(number, self._note)
        self._saved_at = clock()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save where it is time to, or a signal came, after a step."""
        n_batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        has_stepped = n_batches % trainer.accumulate_grad_batches == 0
        if has_stepped and not trainer.is_last_batch:  # after the last one, validation comes first
            self._save_where_due(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        """Save where it is time to, or the training ends."""
        self._save_where_due(trainer, is_end=trainer.should_stop)

    def teardown(self, *_: Any, **__: Any) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self._signal = number

    def _save_where_due(self, trainer: L.Trainer, *, is_end: bool = False) -> None:
        now = clock()
        is_due = is_end or now - self._saved_at >= 60 * self.save_minutes
        n_due, number = _most(is_due, self._signal, device=trainer.strategy.root_device)
        if n_due or number:
            trainer.save_checkpoint(self.path)
            self._saved_at = now
        if number:
            trainer.strategy.checkpoint_io.teardown()  # waits until the state is written
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                task = cast(AlignmentTask, trainer.lightning_module)  # the only one that is trained
                name, n_done = signal.Signals(number).name, task.history[-1]["epoch"]
                logger.error("%s in epoch %d: stopping; the same command goes on from here", name, n_done + 1)
            sys.exit(128 + number)


def _most(*numbers: int, device: torch.device) -> tuple[int, ...]:
    """Return the largest of each number among the processes that train together."""
    if not dist.is_initialized():
        return numbers
    table = torch.tensor(numbers, device=device)
    dist.all_reduce(table, dist.ReduceOp.MAX)
    return tuple(table.tolist())


@contextmanager
def hand_on_signals(trainer: L.Trainer) -> Iterator[None]:
    """Hand signals on to the processes that train together, and end as they do once they saved the state."""
    launcher = trainer.strategy.launcher
    if launcher is None:  # this process trains itself
        yield
        return

    def hand_on(number: int, _: Any) -> None:
        launcher.kill(signal.SIGTERM)
        if number == signal.SIGINT:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        yield
    except ProcessExitedException as error:
        for number in SIGNALS:
            if error.exit_code in (128 + number, -number):  # the second, before it was prepared
                sys.exit(128 + number)
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
