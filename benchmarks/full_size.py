"""Run the workflow on one subject pair of the real size, beside the least that the machine needs for it.

    python benchmarks/full_size.py FOLDER        (40 GB of disk, about 10 minutes on 2 cores)

The jobs are the workflow's own, started by Snakemake: `call` and peak memory are what each job's log says of its
one call, `process` (interpreter and imports too) and bytes are of Snakemake's benchmark files. Each floor is the
median of three runs in this process: plain reads and writes of the same bytes, the plain product of the same size,
the bare forward passes. All files were just written, so that reads come from the page cache. The embeddings of
the whole picture sets are drawn, not computed; embedding is timed on a few pictures.

Prints a Markdown table. ``--share 0.01`` tries it at a hundredth of the size.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import full_size_inputs as inputs
import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).parents[1]
SUB, SUBJ, PAIR = "sub-01", inputs.SUBJECT, f"sub-01_{inputs.SUBJECT}"
BLOCK = 1 << 23  # bytes of a plain read or write
CLIP = {"model": "ViT-B-32-quickgelu", "batch_size": 32}
DONE = re.compile(r"done in ([\d.]+) s, peak memory ([\d.]+) GB")


@dataclass
class Stage:
    """One row of the table: times in s, memory and bytes in GB."""

    name: str
    call: float
    process: float
    memory: float
    read: float
    written: float
    floor: float | None = None

    def row(self) -> str:
        ratio = f"{self.floor:.2f} | {self.call / self.floor:.2f}" if self.floor else "- | -"
        return (
            f"| {self.name} | {self.call:.2f} | {self.process:.1f} | {self.memory:.2f} | {self.read:.2f} | "
            f"{self.written:.2f} | {ratio} |"
        )


def write_config(folder: Path, size: inputs.Size) -> Path:
    """The workflow's configuration for these inputs."""
    raw = folder / "inputs"
    content = {
        "results": str(folder / "results"),
        "pairs": [PAIR],
        "data": {
            "things_images": str(raw / "images"),
            "things_eeg": str(raw / "ubp"),
            "nsd": str(raw / "nsd"),
        },
        "weights": {"mindeye2": str(raw / "{subj}.pth"), "clip": str(raw / "clip.pt")},
        "matching": {"top_k": size.n_pairs, "include_things_test": True},
        "split": {"test_from": "any"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run_jobs(folder: Path, config: Path, targets: Iterable[str], *, threads: int) -> float:
    """Let Snakemake make some files of the results folder; seconds in all."""
    command = [sys.executable, "-m", "snakemake", "--configfile", config, "--cores", threads, "--quiet", "all"]
    start = time.perf_counter()
    subprocess.run(
        [*map(str, command), *(str(folder / "results" / target) for target in targets)],
        cwd=REPOSITORY,
        check=True,
    )
    return time.perf_counter() - start


def read_stage(folder: Path, job: str) -> Stage:
    """What a finished job's log and benchmark file say."""
    logged = DONE.search((folder / "results" / "logs" / f"{job}.log").read_text())
    table = pd.read_csv(folder / "results" / "benchmarks" / f"{job}.tsv", sep="\t", na_values="-")
    used = table.fillna(0).iloc[0]
    return Stage(
        job, float(logged[1]), used["s"], float(logged[2]), used["io_in"] / 1e3, used["io_out"] / 1e3
    )


def median_seconds(call: Callable[[], object], repetitions: int = 3) -> float:
    """Median wall time of a call."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def copy_floor(read: Iterable[Path], n_written: int, scratch: Path) -> float:
    """Seconds to read these files plainly, and to write so many bytes and sync them."""
    buffer = bytearray(BLOCK)

    def copy() -> None:
        for path in read:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
        with scratch.open("wb", buffering=0) as file:
            for _ in range(max(1, n_written // BLOCK)):
                file.write(buffer)
            os.fsync(file.fileno())
        scratch.unlink()

    return median_seconds(copy)


def product_floor(n_rows: int, n_columns: int, n_inner: int) -> float:
    """Seconds of the plain float32 product of these sizes, 1,024 rows at a time."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1024, n_inner), dtype=np.float32)
    b = rng.standard_normal((n_columns, n_inner), dtype=np.float32)
    out = np.empty((1024, n_columns), np.float32)

    def multiply() -> None:
        for start in range(0, n_rows, 1024):
            n = min(1024, n_rows - start)
            np.matmul(a[:n], b.T, out=out[:n])

    return median_seconds(multiply)


def bare_forward(weights: Path, n_pictures: int) -> float:
    """Seconds of the forward passes alone, on batches that are in memory."""
    import open_clip
    import torch

    network = open_clip.create_model(CLIP["model"], pretrained=str(weights)).eval()
    batch = torch.randn(CLIP["batch_size"], 3, 224, 224)

    def forward() -> None:
        with torch.inference_mode():
            for start in range(0, n_pictures, len(batch)):
                network.encode_image(batch[: n_pictures - start])

    return median_seconds(forward)


# Stages that are timed by themselves, in a process of their own: name -> call.


def repack_raw_session(folder: Path) -> None:
    """One raw training session; a subject has four of these, and four test sessions a quarter as long."""
    from brain2image.things.eeg import repack_eeg

    repack_eeg(
        [folder / "inputs" / "raw_eeg_training.npy"],
        folder / "results" / "things" / "images.parquet",
        out=folder / "raw_eeg.h5",
        highpass=0.3,
        lowpass=75.0,
        notch=50.0,
    )


def embed_pictures(folder: Path) -> None:
    """The embedding of some pictures of the usual size, after the model was loaded once."""
    from brain2image.clip import embed_images
    from brain2image.things import Pictures

    pictures = Pictures(sorted((folder / "inputs" / "pictures").glob("*.jpg")))
    weights = str(folder / "inputs" / "clip.pt")
    embed_images(pictures, weights=weights, n_threads=os.cpu_count(), **CLIP)


if __name__ == "__main__":
    main()
