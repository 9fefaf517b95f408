"""Arrays that pass through a network in blocks of trials, on a GPU where there is one."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from brain2image.core.devices import compute_device
from brain2image.formats.precision import allow_tf32

Result = TypeVar("Result")


def compute_blocks(
    network: nn.Module,
    values: np.ndarray,
    compute: Callable[[Tensor, int], Result],
    *,
    block_trials: int,
) -> Iterator[Result]:
    """Compute something of one block of trials after another, without gradients.

    Parameters
    ----------
    network : what computes it; it is moved to the device.
    values : (n_trials, ...) float32.
    compute : gets a block, (block_trials or fewer, ...) float32 on the device, and the number of its first
        trial.

    Yields
    ------
    What ``compute`` returned.
    """
    device = compute_device()
    allow_tf32("fp32")
    network.to(device)
    for start in range(0, len(values), block_trials):
        block = torch.from_numpy(np.array(values[start : start + block_trials], np.float32)).to(device)
        with torch.no_grad():
            result = compute(block, start)
        yield result
