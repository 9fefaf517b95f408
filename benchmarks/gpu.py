"""What the heavy stages reach on a GPU, in one table: CLIP, projection, training steps and epochs, saving.

    python benchmarks/gpu.py [--compile]          (needs a GPU with CUDA; some 3 minutes and 6 GB of disk)
    python benchmarks/gpu.py --device cpu --toy   (the same code at a size that says nothing, to try it)

Sizes are the real ones: ViT-L/14 on pictures of 224 x 224, a ridge from 15,724 voxels to 4,096 features, the
default model of 63 channels and 12 layers on batches of 64. Weights and data are random, at the same cost.
--compile measures compiled steps too, after minutes of compiling.
`of bare` compares with the same products and nothing around them; `idle` is the share of the time in which no
kernel ran; `peak` is the most memory that PyTorch held on the device.
"""

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

NO_GPU = "benchmarks/gpu.py: PyTorch finds no CUDA device here, so nothing was measured"
# ViT-L/14 (quickgelu) at 224 in half precision, pictures a second: timm's benchmark-infer-amp-nchw-*.csv in
# https://github.com/huggingface/pytorch-image-models/tree/aa4b5850c1543fa488abf260f18390eda46cf85d/results
PUBLISHED = {"RTX 3090": 326, "RTX 4090": 657, "RTX 5090": 743, "RTX PRO 6000 Max-Q": 942}


class Sizes(NamedTuple):
    """How much is computed."""

    clip: str = "ViT-L-14-quickgelu"
    n_images: int = 1024
    n_trials: int = 8192
    n_voxels: int = 15_724
    n_features: int = 4096
    n_pairs: int = 1000
    n_steps: int = 50
    epochs: int = 4
    model: dict[str, Any] = {"pretrained": False}  # noqa: RUF012 (nobody changes it)
    compiled: bool = False


TOY = Sizes(
    clip="ViT-S-32-alt",
    n_images=4,
    n_trials=64,
    n_voxels=50,
    n_features=64,
    n_pairs=20,
    n_steps=2,
    epochs=1,
    model={"pretrained": False, "pooling": "flatten", "n_layers": 1, "hidden_size": 16, "linear_axes": 2},
)


class Row(NamedTuple):
    """A row of the table; None was not measured."""

    what: str
    setting: str
    value: float
    unit: str
    of_bare: float | None = None
    idle: float | None = None
    peak: float | None = None  # bytes

    def __str__(self) -> str:
        share, idle = ("" if x is None else f"{x:.0%}" for x in (self.of_bare, self.idle))
        peak = "" if self.peak is None else f"{self.peak / 1e9:.2f}"
        return f"| {self.what} | {self.setting} | {self.value:.4g} {self.unit} | {share} | {idle} | {peak} |"


class Measured(NamedTuple):
    """What some work took."""

    seconds: float
    idle: float | None
    peak: float | None


def measure(work: Callable[[], object], device: str) -> Measured:
    """Time some work until the device has done it all; then again under the profiler, for the idle share."""
    import torch

    if device == "cpu":
        return Measured(_seconds(work, device), None, None)
    torch.cuda.reset_peak_memory_stats(device)
    seconds, peak = _seconds(work, device), torch.cuda.max_memory_allocated(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        watched = _seconds(work, device)
    busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return Measured(seconds, max(0.0, 1 - busy / watched), peak)


def _seconds(work: Callable[[], object], device: str) -> float:
    import torch

    wait = torch.cuda.synchronize if device != "cpu" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def clip_rows(sizes: Sizes, device: str, folder: Path) -> Iterator[Row]:
    """CLIP on pictures in memory, and from JPEGs; both against the bare forward pass."""
    import open_clip
    from pictures import BATCH, rate, things_pictures

    from brain2image.formats.precision import allow_tf32
    from brain2image.pairs.clip import encode_batches, shaped_batches

    network = open_clip.create_model(sizes.clip, pretrained=None).eval().to(device)
    size, n_threads, on_gpu = network.visual.image_size[0], os.cpu_count(), device != "cpu"
    images = things_pictures(folder, sizes.n_images)
    decoded = rate(images, size=size, n_threads=n_threads)
    yield Row("pictures decoded", "one core", decoded.per_processor_second, "/s")
    yield Row("pictures decoded", f"{n_threads} threads", decoded.per_second, "/s")

    *shaping, _, _ = open_clip.image_transform(size, is_train=False).transforms
    shape = {"batch_size": BATCH, "n_threads": n_threads, "pinned": on_gpu}
    first = [images[number] for number in range(min(BATCH, len(images)))]
    (pixels,) = shaped_batches(first, shaping, **shape)
    n_batches = -(-sizes.n_images // BATCH)
    colours = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    for precision in ("bf16", "tf32") if on_gpu else ("fp32",):
        allow_tf32(precision)
        encode = partial(encode_batches, network.encode_image, **colours, device=device, precision=precision)
        forward = partial(bare_forward, network, pixels.to(device), precision, n_batches)
        encode([pixels]), forward()
        bare = len(pixels) * n_batches / _seconds(forward, device)
        yield Row("CLIP, bare forward", precision, bare, "pictures/s")
        work = measure(partial(encode, [pixels] * n_batches), device)
        reached = len(pixels) * n_batches / work.seconds
        yield Row("CLIP, pictures in memory", precision, reached, "pictures/s", reached / bare, *work[1:])
        work = measure(lambda encode=encode: encode(shaped_batches(images, shaping, **shape)), device)
        reached = len(images) / work.seconds
        yield Row("CLIP, from JPEGs", precision, reached, "pictures/s", reached / bare, *work[1:])


def bare_forward(network: Any, pixels: Any, precision: str, n_batches: int) -> None:
    """The forward pass of one batch, again and again; what it gives is thrown away."""
    import torch

    batch = pixels.permute(0, 3, 1, 2) / 255
    short = torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), short:
        for _ in range(n_batches):
            network.encode_image(batch)


def projection_rows(sizes: Sizes, device: str) -> Iterator[Row]:
    """Betas in memory through the ridge, against the product on the device."""
    import numpy as np
    import torch

    from brain2image.projection.projecting import BLOCK_TRIALS, project

    rng = np.random.default_rng(0)
    weight = rng.standard_normal((sizes.n_features, sizes.n_voxels), np.float32)
    bias = np.zeros(sizes.n_features, np.float32)
    block = rng.standard_normal((min(BLOCK_TRIALS, sizes.n_trials), sizes.n_voxels), np.float32)
    n_blocks = sizes.n_trials // len(block)
    there = torch.from_numpy(weight).to(device), torch.from_numpy(block).to(device)

    def bare() -> None:
        for _ in range(n_blocks):
            there[1] @ there[0].T

    def whole() -> None:
        for _ in project([block] * n_blocks, weight, bias):
            pass

    bare(), whole()
    floor, work = _seconds(bare, device), measure(whole, device)
    yield Row(
        "projection",
        "fp32",
        len(block) * n_blocks / work.seconds,
        "trials/s",
        floor / work.seconds,
        *work[1:],
    )


@contextmanager
def number_format(setting: str) -> Iterator[dict[str, Any]]:
    """The options of a training in one of the settings; plain fp32 is what no GPU does by itself any more."""
    import torch

    from brain2image.formats.precision import TF32_SWITCH

    before = os.environ.get(TF32_SWITCH), torch.backends.cudnn.allow_tf32
    if setting == "fp32":
        os.environ[TF32_SWITCH], torch.backends.cudnn.allow_tf32 = "0", False
    try:
        precision = "bf16" if setting.startswith("bf16") else "fp32"
        yield {"precision": precision, "compile": setting.endswith("compile")}
    finally:
        os.environ.pop(TF32_SWITCH, None)
        if before[0] is not None:
            os.environ[TF32_SWITCH] = before[0]
        torch.backends.cudnn.allow_tf32 = before[1]


def training_rows(sizes: Sizes, device: str, folder: Path) -> Iterator[Row]:
    """A step and an epoch of the training in each number format, and the state that is saved."""
    from epoch import epochs_of
    from loader import N_TRIALS, write_set
    from train_step import BATCH

    from brain2image.config import RunConfig
    from brain2image.training.resume import StateFile

    n_val = max(2, sizes.n_pairs // 10)
    lmdb = write_set(folder, sizes.n_pairs, n_val=n_val, n_features=sizes.n_features)
    n_batches = (sizes.n_pairs - n_val) * N_TRIALS // BATCH
    settings = ["fp32", *(["tf32", "bf16"] if device != "cpu" else []), *["bf16 + compile"] * sizes.compiled]
    state = None
    for setting in settings:
        with number_format(setting) as options:
            learned = {"targets": "measured", "pictures": "paired"}
            training = {"epochs": sizes.epochs + 1, "batch_size": BATCH} | learned | options
            run = RunConfig(model=sizes.model, training=training)
            steps, state = training_steps(lmdb, run, device, sizes.n_steps)
            steps()
            work = measure(steps, device)
            yield Row("training step", setting, 1e3 * work.seconds / sizes.n_steps, "ms", None, *work[1:])
            place = folder / setting.replace(" ", "")
            epoch = statistics.median(epochs_of(run, lmdb, place))
            floor = n_batches * work.seconds / sizes.n_steps
            yield Row(f"epoch of {n_batches} steps", setting, epoch, "s", floor / epoch)
    content, file = state(), folder / "state.ckpt"
    copied = _seconds(lambda: copy.deepcopy(content), device)
    written = _seconds(lambda: StateFile().save_checkpoint(content, file), device)
    yield Row("saving, copy in memory", "", copied, "s")
    yield Row(f"saving, {file.stat().st_size / 1e9:.2f} GB to disk", "", written, "s")


def training_steps(
    lmdb: Path, run: Any, device: str, n_steps: int
) -> tuple[Callable[[], None], Callable[[], dict[str, Any]]]:
    """Steps as Lightning makes them, and the state after them."""
    import torch

    from brain2image.formats.precision import allow_tf32, resolve_precision
    from brain2image.training.start import build_model, start_linearly
    from brain2image.training.task import AlignmentTask
    from brain2image.training_set.batches import AlignmentDataset, Batches
    from brain2image.training_set.lmdb_store import LMDBReader

    reader, options = LMDBReader(lmdb), run.training
    model = build_model(reader, run=run, weights=None)
    coordinates = start_linearly(model, reader, run) if run.model.linear_axes else None
    where = {"memory_limit_gb": options.memory_limit_gb, "device": device}
    data = AlignmentDataset(lmdb, "train", average_trials=4, coordinates=coordinates, **where)
    batches = Batches(data, options.batch_size)
    task = AlignmentTask(model, run=run, batches=batches, identity={}).to(device)
    allow_tf32(resolve_precision(options.precision, device))
    if device != "cpu":  # as in `train`
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
    if options.compile:
        task.model.compile()
    optimizer = task.configure_optimizers()["optimizer"]
    short = torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=options.precision == "bf16")

    def steps() -> None:
        task.train()
        done = 0
        while done < n_steps:
            for number, batch in zip(range(n_steps - done), batches, strict=False):
                with short:
                    loss = task.training_step(batch, number)
                optimizer.zero_grad()
                loss.backward()
                task.configure_gradient_clipping(optimizer, gradient_clip_val=options.gradient_clip)
                optimizer.step()
                done += 1

    return steps, lambda: {"model": task.state_dict(), "optimizer": optimizer.state_dict()}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--toy", action="store_true", help="sizes that say nothing about speed")
    parser.add_argument("--compile", action="store_true", help="compiled training steps too")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    from brain2image.core.devices import compute_device

    if options.device == "cuda" and not torch.cuda.is_available():
        print(NO_GPU)
        return
    device, sizes = compute_device(), (TOY if options.toy else Sizes())._replace(compiled=options.compile)
    name = torch.cuda.get_device_name(device) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    note = "; toy sizes, which say nothing about speed" if options.toy else ""
    print(f"{name}, PyTorch {torch.__version__}{note}\n")
    print(
        "| what | setting | reached | of bare | idle | peak, GB |\n| --- | --- | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for rows in (
            clip_rows(sizes, device, Path(folder)),
            projection_rows(sizes, device),
            training_rows(sizes, device, Path(folder)),
        ):
            for row in rows:
                print(row, flush=True)
    published = ", ".join(f"{rate} ({card})" for card, rate in PUBLISHED.items())
    print(f"\nPublished for ViT-L/14 in half precision, pictures/s (timm): {published}")


if __name__ == "__main__":
    main()
