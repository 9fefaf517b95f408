"""Files of an encoder's published weights: reading, and refusing what is none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from brain2image.core.errors import InputError
from brain2image.formats.checkpoints import check_torch_file
from brain2image.weights.sources import check_finite, check_start, is_safetensors


def read_weights(path: str | Path, *, model: str, remedy: str) -> dict[str, Any]:
    """Read the tensors of a PyTorch or ``.safetensors`` file.

    Parameters
    ----------
    path : the file; what kind it is, its name does not tell.
    model, remedy : whose weights are expected and where they are to be had, for the messages.

    Raises
    ------
    InputError
        When the file is missing, cut short, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; {remedy}")
    with path.open("rb") as file:
        start = file.read(64)
    check_start(start, source=path, remedy=remedy)
    try:
        if is_safetensors(start):
            weights = load_file(path)
        else:
            check_torch_file(path, remedy=remedy)
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # both raise many types, by where the damage is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: expected {model}'s weights, but they cannot be read ({reason}); {remedy}"
        ) from None
    if not isinstance(weights, dict):
        raise InputError(f"{path}: expected a dictionary of tensors, got {type(weights).__name__}; {remedy}")
    return {str(name): value for name, value in weights.items()}


def check_weights(
    weights: Mapping[str, Any],
    published: Mapping[str, torch.Size],
    *,
    source: str | Path,
    model: str,
    remedy: str,
) -> None:
    """Raise InputError unless ``weights`` has exactly the published keys and shapes, and finite values."""
    check_shapes(weights, published, source=source, model=model, remedy=remedy)
    check_finite(weights, source=source, remedy=remedy)


def check_shapes(
    weights: Mapping[str, Any],
    published: Mapping[str, torch.Size],
    *,
    source: str | Path,
    model: str,
    remedy: str,
) -> None:
    """Raise InputError unless ``weights``, or what describes them, has the published keys and shapes."""
    missing = sorted(published.keys() - weights.keys())
    unknown = sorted(weights.keys() - published.keys())
    if missing or unknown:
        raise InputError(
            f"{source}: expected {model}'s {len(published)} keys, got {len(weights)} of which {len(unknown)} "
            f"are unknown and {len(missing)} missing (first: {(unknown + missing)[0]}); {remedy}"
        )
    for name, shape in published.items():
        got = getattr(weights[name], "shape", None)
        if got != shape:
            shapes = f"of shape {tuple(shape)}, got {got and tuple(got)}"
            raise InputError(f"{source}: expected {name} {shapes}; {remedy}")
