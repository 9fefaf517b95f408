"""What TensorBoard shows of a training besides its curves."""

from collections.abc import Mapping
from typing import Any

from brain2image.config import RunConfig

# Scores by which TensorBoard's page of hyperparameters compares trainings.
COMPARED = ("loss", "top1")


def hyperparameters(
    run: RunConfig, scores: Mapping[str, float]
) -> tuple[dict[str, str | int | float | bool], dict[str, Any]]:
    """Return the settings of a run, flat, and the scores that they are shown beside.

    Parameters
    ----------
    run : the run's blocks.
    scores : of validation before the first step.

    Returns
    -------
    ``{"training.epochs": 50, ...}``, what is no number as text; and ``{"val/loss": ...}``, curves of which
    TensorBoard takes the last value.
    """
    blocks = run.model_dump()
    flat = {
        f"{block}.{key}": value if isinstance(value, (bool, int, float)) else str(value)
        for block, values in blocks.items()
        if isinstance(values, Mapping)
        for key, value in values.items()
    }
    return flat | {"people": str(blocks["people"])}, {f"val/{name}": scores[name] for name in COMPARED}
