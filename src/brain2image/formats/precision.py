"""The number format of a network's products, by the device that computes them."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# NVIDIA's own switch for a whole process; 0 leaves float32 its digits.
TF32_SWITCH = "NVIDIA_TF32_OVERRIDE"


def resolve_precision(precision: str, device: "str | torch.device") -> str:
    """Say what a device computes with, where the configuration says ``auto`` or leaves something open.

    Parameters
    ----------
    precision : ``auto``, ``bf16``, ``fp16`` or ``fp32``.
    device : as PyTorch names it.

    Returns
    -------
    ``auto`` becomes ``bf16`` on a GPU that has it in hardware, and ``fp32`` elsewhere. On the same GPUs
    (Ampere and later) ``fp32`` becomes ``tf32``: what goes into a matrix product is rounded to 11 significant
    bits, its sums are float32. With ``NVIDIA_TF32_OVERRIDE=0`` in the environment it stays ``fp32``.
    """
    is_recent = _has_bf16(device)
    if precision == "auto":
        precision = "bf16" if is_recent else "fp32"
    has_tf32 = is_recent and os.environ.get(TF32_SWITCH) != "0"
    return "tf32" if precision == "fp32" and has_tf32 else precision


def allow_tf32(precision: str) -> None:
    """Let the float32 products of this process be those that `resolve_precision` names."""
    import torch

    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def _has_bf16(device: "str | torch.device") -> bool:
    import torch

    if torch.device(device).type != "cuda":
        return False
    with torch.cuda.device(device):  # PyTorch asks the current device
        return torch.cuda.is_bf16_supported(including_emulation=False)
