"""How long a whole epoch of `train` takes, against the forward and backward of its batches alone.

    python benchmarks/epoch.py [--pooling multitoken_vit] [--pairs 1000] [--epochs 5]

The set has the real sizes and holds random numbers; nine tenths of the pairs are for training. An epoch is
the time between two of the log's lines: batches, steps, AdamW, validation, TensorBoard, and the state that
is saved. The floor is measured in the same process before and after, on one batch that is in place.
"""

import argparse
import logging
import statistics
import tempfile
from pathlib import Path

import torch
from loader import N_TRIALS, write_set
from train_step import BATCH, DEVICE, LAYOUT, N_CLUSTERS, N_FEATURES, our_steps, random_data, seconds

from brain2image.config import RunConfig
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss
from brain2image.training.train import train


class EpochTimes(logging.Handler):
    """When each epoch's line was logged, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("epoch "):
            self.ends.append(record.created)


def floor_step(run: RunConfig, n_repeats: int) -> float:
    """Median seconds of forward and backward of one batch."""
    model = AlignmentModel(run.model, LAYOUT, N_FEATURES).to(DEVICE)
    loss = AlignmentLoss(run.loss, N_CLUSTERS)
    model.eeg_scale.fill_(0.01)
    steps = our_steps(model.train(), loss.to(DEVICE), run, random_data(), update=False)
    return statistics.median([seconds(lambda: next(steps)) for _ in range(n_repeats + 1)][1:])


def epochs_of(run: RunConfig, lmdb: Path, folder: Path) -> list[float]:
    """Seconds of each epoch of a training but the first, which also starts up."""
    clock, logger = EpochTimes(), logging.getLogger("brain2image.training.task")
    logger.setLevel(logging.INFO)
    logger.addHandler(clock)
    files = {"model": "model.safetensors", "config": "config.json", "history": "h.csv", "tensorboard": "tb"}
    train(
        lmdb,
        run=run,
        weights=None,
        code="",
        state=folder / "state",
        **{name: folder / "run" / file for name, file in files.items()},
    )
    logger.removeHandler(clock)
    return [end - start for start, end in zip(clock.ends, clock.ends[1:], strict=False)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pooling", default="multitoken_vit")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = RunConfig(
        model={"pooling": options.pooling, "pretrained": False},
        training={"epochs": options.epochs + 1, "batch_size": BATCH},
    )
    n_batches = (options.pairs - options.pairs // 10) * N_TRIALS / BATCH  # an example for each EEG trial
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        before = floor_step(run, 6)
        lmdb = write_set(Path(folder), options.pairs, n_val=options.pairs // 10)
        found = epochs_of(run, lmdb, Path(folder))
        floor = n_batches * statistics.mean((before, floor_step(run, 6)))
    epoch = statistics.median(found)
    print(f"Epoch of {n_batches:.1f} batches: {epoch:.2f} s (of {', '.join(f'{x:.2f}' for x in found)})")
    print(
        f"Forward and backward of its batches: {floor:.2f} s; the epoch takes {epoch / floor:.2f} x as long"
    )


if __name__ == "__main__":
    main()
