"""What TensorBoard shows of a training: its settings, its curves, and what is retrieved."""

import io
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from PIL.Image import Image

from brain2image.config import RunConfig

# Scores by which TensorBoard's page of hyperparameters compares trainings.
COMPARED = ("loss", "top1")
QUALITY = 85  # of JPEGs


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


def log_epoch(
    events: TensorBoardLogger, epoch: int, row: Mapping[str, float], run: RunConfig, sheet: Image | None
) -> None:
    """Write what one epoch gave, so that a process that is killed after it does not lose it.

    Parameters
    ----------
    events : the training's.
    epoch : its number, the step of all points; 0 is the start, at which the run's settings are written.
    row : of `AlignmentTask.history`: ``val_loss`` is drawn as ``val/loss``, and so on.
    run : the run's blocks.
    sheet : of `BoardPictures.draw`, shown as ``val/retrieved``; None: none.
    """
    points = {name.replace("_", "/", 1): value for name, value in row.items()}
    if epoch == 0:
        scores = {name.removeprefix("val_"): value for name, value in row.items()}
        settings, compared = hyperparameters(run, scores)
        events.log_hyperparams(settings, compared)  # which draws the first points of these
        points = {name: value for name, value in points.items() if name not in compared}
    events.log_metrics(points, step=epoch)
    writer = events.experiment
    if sheet is not None:
        writer.file_writer.add_summary(_image_summary("val/retrieved", sheet), epoch)
    writer.flush()


def _image_summary(tag: str, picture: Image) -> Any:
    """Make what `SummaryWriter.add_image` makes, as JPEG: as PNG photographs take five times as much."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    size = {"height": picture.height, "width": picture.width}
    image = Summary.Image(**size, colorspace=3, encoded_image_string=file.getvalue())
    return Summary(value=[Summary.Value(tag=tag, image=image)])
