"""How long one training step takes: a plain version of the model, ours, and the floor, in one run.

    python benchmarks/train_step.py [--pooling multitoken_vit flatten attention] [--repeats 5]

*plain* is what one would write first, with the same weights: nn.MultiheadAttention in both directions of the
criss-cross and in the alignment (whose query and key products then meet a single EEG token), the whole
positional convolution, every token through every layer of the head, an LMDB of pickled samples read one
transaction each, AdamW as it comes, `.item()` in each step. *ours* is the package on data in memory; *floor*
is its forward and backward alone. They take turns, so that a busy machine slows all alike; medians. On a CUDA
device ours runs in bfloat16 and compiled, plain in float32.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from plain_model import PickledSamples, plain_version
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from brain2image.config import RunConfig
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.models.encoders.cbramod import SelfAttention
from brain2image.models.losses import AlignmentLoss
from brain2image.models.pooling import POOLING_HEADS
from brain2image.training.task import parameter_groups

N_CHANNELS, N_FEATURES, N_CLUSTERS, BATCH = 63, 4096, 5, 64
LAYOUT = EEGLayout(tuple(f"E{number}" for number in range(N_CHANNELS)), n_times=200, sfreq=200.0)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def losses_of(model: nn.Module, loss: AlignmentLoss, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    predictions = model(batch["eeg"], query=batch["targets"])
    return loss(predictions, batch["targets"], batch["pairs"], batch["clusters"])


def random_data() -> dict[str, Tensor]:
    pairs = torch.arange(4 * BATCH, device=DEVICE) // 4
    return {
        "eeg": 20 * torch.randn(4 * BATCH, N_CHANNELS, 200, device=DEVICE),
        "targets": torch.randn(4 * BATCH, N_FEATURES, device=DEVICE),
        "pairs": pairs,
        "clusters": pairs % N_CLUSTERS,
    }


def plain_steps(
    model: AlignmentModel, loss: AlignmentLoss, run: RunConfig, samples: Dataset
) -> Iterator[None]:
    """Training steps of the plain version, one each time that it is asked for the next."""
    optimizer = torch.optim.AdamW(model.parameters())
    while True:
        for batch in DataLoader(samples, BATCH, shuffle=True):
            terms = losses_of(model, loss, {name: values.to(DEVICE) for name, values in batch.items()})
            optimizer.zero_grad()
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), run.training.gradient_clip)
            optimizer.step()
            yield {name: term.item() for name, term in terms.items()}


def our_steps(
    model: AlignmentModel, loss: AlignmentLoss, run: RunConfig, data: dict[str, Tensor], *, update: bool
) -> Iterator[None]:
    """Training steps of ours; without ``update`` only their forward and backward."""
    network = torch.compile(model) if DEVICE.type == "cuda" else model
    optimizer = torch.optim.AdamW(parameter_groups(model, loss, run), fused=True)
    while True:
        rows = torch.randint(len(data["pairs"]), (BATCH,), device=DEVICE)
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
            terms = losses_of(network, loss, {name: values[rows] for name, values in data.items()})
        terms["loss"].backward()
        if update:
            nn.utils.clip_grad_norm_(model.parameters(), run.training.gradient_clip)
            optimizer.step()
        yield


def seconds(step: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    step()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(variants: dict[str, Callable[[], object]], n_repeats: int) -> dict[str, float]:
    """Median seconds of each, taking turns, after a first call of each that does not count."""
    times = [{name: seconds(step) for name, step in variants.items()} for _ in range(n_repeats + 1)]
    return {name: statistics.median(row[name] for row in times[1:]) for name in variants}


def compare(pooling: str, n_repeats: int) -> str:
    """One row of the table."""
    torch.manual_seed(0)
    run, data = RunConfig(model={"pooling": pooling}), random_data()
    ours = AlignmentModel(run.model, LAYOUT, N_FEATURES).to(DEVICE)
    loss = AlignmentLoss(run.loss, N_CLUSTERS).to(DEVICE)
    ours.eeg_scale.fill_(0.01)
    plain = plain_version(ours).to(DEVICE)
    batch = {name: values[:BATCH] for name, values in data.items()}
    with torch.no_grad():  # eval, as the two draw their dropout in another order
        at_start = [losses_of(model.eval(), loss, batch)["loss"].item() for model in (plain, ours)]
    with tempfile.TemporaryDirectory() as folder:
        samples = PickledSamples(folder, data)
        steps = {
            "plain": plain_steps(plain.train(), loss, run, samples),
            "ours": our_steps(ours.train(), loss, run, data, update=True),
            "floor": our_steps(ours, loss, run, data, update=False),
        }
        median = medians({name: partial(next, step) for name, step in steps.items()}, n_repeats)
    ratios = (median["ours"] / median["plain"], median["ours"] / median["floor"])
    values = [f"{value:.3f}" for value in (*median.values(), *ratios)]
    return f"| {pooling} | {' | '.join(values)} | {abs(at_start[0] - at_start[1]):.0e} |"


def one_patch(n_repeats: int) -> str:
    """What the temporal attention costs in all 12 layers, by the general path and by that for one patch."""
    attention, x = SelfAttention(100, 4).to(DEVICE), torch.randn(BATCH, N_CHANNELS, 1, 100, device=DEVICE)
    x.requires_grad_()
    paths = {"general": attention._attend, "one": attention._attend_one}
    median = medians(
        {name: lambda path=path: path(x).sum().backward() for name, path in paths.items()}, n_repeats
    )
    return "Temporal attention of 12 layers: general {general:.3f} s, over one patch {one:.3f} s".format(
        **{name: 12 * value for name, value in median.items()}
    )


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pooling", nargs="+", default=list(POOLING_HEADS), choices=POOLING_HEADS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| head | plain, s | ours, s | floor, s | ours / plain | ours / floor | losses differ by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for pooling in arguments.pooling:
        print(compare(pooling, arguments.repeats), flush=True)
    print("\n" + one_patch(arguments.repeats))


if __name__ == "__main__":
    main()
