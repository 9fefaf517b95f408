"""What a training says of errors, and what Lightning need not say."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.multiprocessing.spawn import ProcessRaisedException

from brain2image.config import TrainingConfig
from brain2image.core.errors import InputError


@contextmanager
def explained_errors(options: TrainingConfig) -> Iterator[None]:
    """Say what to change where the memory is too small, and hand on what another process had to say."""
    try:
        yield
    except (torch.OutOfMemoryError, ProcessRaisedException) as error:
        text = str(error).strip().splitlines()
        if isinstance(error, torch.OutOfMemoryError) or "OutOfMemoryError: " in text[-1]:
            raise InputError(
                f"training: the GPU's memory is too small for training.batch_size {options.batch_size}; "
                "lower it and raise training.accumulate_batches, set training.precision to bf16, or lower "
                "training.memory_limit_gb"
            ) from None
        if "InputError: " in text[-1]:
            raise InputError(text[-1].partition("InputError: ")[2]) from None
        raise


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says about itself and this machine; our own log lines remain."""
    levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
