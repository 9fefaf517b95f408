"""Run the workflow on one subject pair of the real size, beside the least that the machine needs for it.

    python benchmarks/full_size.py FOLDER        (40 GB of disk, about 10 minutes on 2 cores)

The jobs are the workflow's own, started by Snakemake. What a job's log says of its one call, imports aside,
are `call`, peak memory and the bytes of its read and write calls; `process` counts interpreter and imports.
Each floor is the median of three runs: plain reads and writes of the same bytes, the plain product of the
same size, the bare forward passes. Where writing is the floor, both count until the disk has the bytes. All
files were just written, so that reads come from the page cache. The embeddings of the whole picture sets are
drawn, not computed; embedding is timed on a few pictures.

Prints a Markdown table. ``--share 0.01`` tries it at a hundredth of the size.
"""

import argparse
import functools
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import full_size_inputs as inputs
import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).parents[1]
PERSON, SUB, SUBJ = "things-01", "sub-01", inputs.SUBJECT
BRAINS, PAIRS = f"{PERSON}_{SUBJ}", f"things_{SUBJ}"
BLOCK = 1 << 23  # bytes of a plain read or write
CLIP = {"model": "ViT-L-14-quickgelu", "preprocess": "openai", "batch_size": 8}
N_PICTURES = 24  # to embed
DONE = re.compile(r"done in ([\d.]+) s, peak memory ([\d.]+) GB, read ([\d.]+) GB, wrote ([\d.]+) GB")
COLUMNS = ("call, s", "process, s", "peak, GB", "read, GB", "written, GB", "floor, s", "ratio")


@dataclass
class Stage:
    """One row of the table."""

    name: str
    call: float
    memory: float
    read: float
    written: float
    process: float
    floor: float | None = None

    def row(self) -> str:
        ratio = f"{self.floor:.2f} | {self.call / self.floor:.2f}" if self.floor else " | "
        return (
            f"| {self.name} | {self.call:.2f} | {self.process:.1f} | {self.memory:.2f} | {self.read:.2f} | "
            f"{self.written:.2f} | {ratio} |"
        )


def write_config(folder: Path, size: inputs.Size) -> Path:
    """The workflow's configuration for these inputs."""
    raw = folder / "inputs"
    content = {
        "results": str(folder / "results"),
        "brains": [BRAINS],
        "data": {
            "things_images": str(raw / "images"),
            "things_eeg": str(raw / "eeg"),
            "nsd": str(raw / "nsd"),
        },
        "weights": {"mindeye2": str(raw / "{subj}.pth"), "clip": str(raw / "clip.pt")},
        "matching": {"top_k": size.n_pairs, "include_test": True},
        "split": {"test_from": "any"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run_jobs(folder: Path, config: Path, targets: Iterable[str], *, threads: int) -> None:
    """Let Snakemake make some files of the results folder."""
    options = ["--quiet", "all", "--configfile", config, "--cores", threads, "--"]
    command = [sys.executable, "-m", "snakemake", *options, *(folder / "results" / path for path in targets)]
    subprocess.run(list(map(str, command)), cwd=REPOSITORY, check=True)


def read_stage(results: Path, job: str, *, process: float | None = None) -> Stage:
    """What a finished job's log says, and the time of its process."""
    logged = DONE.search((results / "logs" / f"{job}.log").read_text())
    if process is None:
        process = pd.read_csv(results / "benchmarks" / f"{job}.tsv", sep="\t")["s"].item()
    return Stage(job, *map(float, logged.groups()), process)


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_seconds(call: Callable[[], object], repetitions: int = 3) -> float:
    """Median wall time of a call."""
    return statistics.median(seconds(call) for _ in range(repetitions))


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

    os.sync()
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


# These are called directly: the workflow would run them on more than is needed to time them.


def repack_raw_session(folder: Path) -> None:
    """One raw training session; a subject has four of these, and four test sessions a quarter as long."""
    from brain2image.datasets.things_eeg2.things_eeg import repack_eeg

    repack_eeg(
        [folder / "inputs" / "ses-01" / "raw_eeg_training.npy"],
        folder / "results" / "pictures" / "things.parquet",
        out=folder / "raw_eeg.h5",
        highpass=0.3,
        lowpass=75.0,
        notch=50.0,
    )


def embed_pictures(folder: Path) -> None:
    """The embedding of some pictures of the usual size, and the loading of the model."""
    from brain2image.datasets.things_eeg2.things_images import read_images
    from brain2image.pairs.clip import embed_images

    files = sorted((folder / "inputs" / "pictures").iterdir())
    pictures = read_images(pd.DataFrame({"path": [path.name for path in files]}), files[0].parent)
    embed_images(pictures, weights=str(folder / "inputs" / "clip.pt"), n_threads=os.cpu_count(), **CLIP)


def embed_with_loaded_model(folder: Path) -> float:
    """Seconds of `embed_pictures` where the model is in memory, as it is after the first of many batches."""
    from brain2image.pairs import clip

    clip._load = functools.cache(clip._load)
    embed_pictures(folder)
    return median_seconds(lambda: embed_pictures(folder))


DIRECT = {call.__name__: call for call in (repack_raw_session, embed_pictures)}


def run_directly(name: str, folder: Path) -> Stage:
    """Call one of `DIRECT` in a process of its own, under the frame that every job has."""
    log = folder / "results" / "logs" / f"{name}.log"
    code = (
        "import sys; from types import SimpleNamespace; from pathlib import Path\n"
        "import full_size; from brain2image.core.jobs import job\n"
        f"with job(SimpleNamespace(log=[{str(log)!r}], rule={name!r}, threads=1)):\n"
        f"    full_size.DIRECT[{name!r}](Path({str(folder)!r}))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)
    return read_stage(folder / "results", name, process=time.perf_counter() - start)


def measure(folder: Path, size: inputs.Size, *, threads: int) -> Iterator[Stage]:
    """Write the inputs, run the stages in turn, and measure the floor of each right after it."""
    raw, results = folder / "inputs", folder / "results"
    config = write_config(folder, size)
    inputs.write_things_images(raw / "images", size)
    inputs.write_clip(raw / "clip.pt", CLIP["model"])
    run_jobs(folder, config, ["pictures/things.parquet"], threads=threads)
    yield read_stage(results, "repack_images/things")

    inputs.write_ubp_subject(raw / "eeg" / SUB, results / "pictures" / "things.parquet", size)
    eeg = results / "eeg" / f"{PERSON}.h5"
    os.sync()
    run_jobs(folder, config, [f"eeg/{PERSON}.h5"], threads=threads)
    stage = read_stage(results, f"repack_eeg/{PERSON}")
    stage.call += seconds(os.sync)
    stage.floor = copy_floor((raw / "eeg" / SUB).iterdir(), eeg.stat().st_size, folder / "floor.bin")
    yield stage

    inputs.write_nsd(raw / "nsd", size)
    inputs.write_checkpoint(raw / f"{SUBJ}.pth", size)
    run_jobs(folder, config, [f"fmri/{SUBJ}.h5", "pictures/nsd.parquet"], threads=threads)
    yield read_stage(results, "repack_images/nsd")
    yield read_stage(results, f"repack_fmri/{SUBJ}")

    inputs.write_embeddings(results)
    lmdb = results / "lmdb" / f"{BRAINS}.lmdb"
    run_jobs(folder, config, [f"lmdb/{BRAINS}.lmdb", f"pairs/{BRAINS}.audit.json"], threads=threads)
    stage = read_stage(results, f"match_images/{PAIRS}")
    stage.floor = product_floor(size.n_training + size.n_test, 250 * size.n_sessions, inputs.CLIP_WIDTH)
    yield stage
    yield read_stage(results, f"split_pairs/{PAIRS}")
    yield read_stage(results, f"cluster_pairs/{PAIRS}")
    yield read_stage(results, f"audit_split/{BRAINS}")
    yield read_stage(results, f"extract_ridge/{SUBJ}")
    stage = read_stage(results, f"project_fmri/{SUBJ}")
    stage.floor = product_floor(750 * size.n_sessions, size.n_features, size.n_voxels)
    yield stage
    stage = read_stage(results, f"build_lmdb/{BRAINS}")
    stage.floor = copy_floor([], lmdb.stat().st_size, folder / "floor.bin")
    yield stage

    run_jobs(folder, config, [f"quality/{who}.json" for who in (PERSON, SUBJ)], threads=threads)
    yield read_stage(results, f"inspect_eeg/{PERSON}")
    yield read_stage(results, f"inspect_fmri/{SUBJ}")

    files = [raw / "ses-01" / "raw_eeg_training.npy"]
    inputs.write_raw_session(files[0], size)
    os.sync()
    stage = run_directly("repack_raw_session", folder)
    stage.call += seconds(os.sync)
    stage.floor = copy_floor(files, (folder / "raw_eeg.h5").stat().st_size, folder / "floor.bin")
    yield stage

    inputs.write_pictures(raw / "pictures", N_PICTURES)
    stage = run_directly("embed_pictures", folder)
    stage.name += f", {N_PICTURES} once the model is loaded"
    stage.call = embed_with_loaded_model(folder)
    stage.floor = bare_forward(raw / "clip.pt", N_PICTURES)
    yield stage


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path, help="an empty folder for inputs and results")
    arguments.add_argument("--share", type=float, default=1.0, help="share of the real size, for a trial")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    options = arguments.parse_args()
    folder, size = options.folder.resolve(), inputs.Size(options.share)
    print(f"| stage | {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * len(COLUMNS)}")
    for stage in measure(folder, size, threads=options.threads):
        print(stage.row(), flush=True)
    used = sum(path.stat().st_size for path in (folder / "results").rglob("*") if path.is_file())
    print(f"\nAll results: {used / 1e9:.2f} GB.")


if __name__ == "__main__":
    main()
