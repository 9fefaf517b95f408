"""The training set of all pictures at full size: its LMDB, and the linear path that is fitted to it.

    python benchmarks/training_set.py FOLDER [--share 0.1] [--eeg-dtype float16]    (9 GB of disk)

THINGS-EEG2's 16,540 training pictures x 4 trials of 63 channels x 200 samples, 4096 features, 1,000 pairs,
drawn at random with a part that EEG and embedding have in common. Each step is a process of its own, so that
its peak memory is its own. The floor of writing is a plain write of the same bytes; both count until the disk
has them.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from brain2image.formats.hdf5 import write_trials

N_PICTURES, N_TRIALS, N_CHANNELS, N_TIMES, N_FEATURES = 16_540, 4, 63, 200, 4096
N_PAIRS, N_PER_CONCEPT, N_LATENTS = 1000, 10, 16
BLOCK = 256


def write_inputs(folder: Path, share: float) -> None:
    """Write EEG, measured and predicted embeddings, and the tables of pairs and pictures."""
    rng = np.random.default_rng(0)
    n_pictures, n_pairs = round(N_PICTURES * share), round(N_PAIRS * share)
    latents = rng.standard_normal((n_pictures, N_LATENTS), dtype=np.float32)
    fields = rng.standard_normal((N_LATENTS, N_CHANNELS * N_TIMES), dtype=np.float32)
    spread = rng.standard_normal((N_LATENTS, N_FEATURES), dtype=np.float32)
    images = rng.permutation(np.repeat(np.arange(n_pictures), N_TRIALS))
    with h5py.File(folder / "eeg.h5", "w") as file:
        shape = (N_CHANNELS, N_TIMES)
        eeg = file.create_dataset("eeg", (len(images), *shape), np.float32, chunks=(1, *shape))
        for start in range(0, len(images), BLOCK):
            shown = images[start : start + BLOCK]
            noise = rng.standard_normal((len(shown), N_CHANNELS * N_TIMES), dtype=np.float32)
            eeg[start : start + len(shown)] = (0.05 * latents[shown] @ fields + noise).reshape(-1, *shape)
        trials = pd.DataFrame({"image": images, "session": 0, "onset": -1})
        trials["repetition"] = trials.groupby("image").cumcount()
        attributes = {"unit": "whitened", "sfreq": 200.0, "t0": 0.0}
        attributes["channels"] = [f"E{channel:02d}" for channel in range(N_CHANNELS)]
        write_trials(file, trials, attributes)
    embedding = latents @ spread
    with h5py.File(folder / "predicted.h5", "w") as file:
        file["predicted_embedding"] = embedding
        write_trials(file, pd.DataFrame({"image": range(n_pictures)}), {"predicted": True})
    with h5py.File(folder / "projection.h5", "w") as file:
        measured = np.repeat(np.arange(n_pairs), 3)
        file["embedding"] = embedding[measured] + rng.standard_normal(
            (len(measured), N_FEATURES), dtype=np.float32
        )
        write_trials(file, pd.DataFrame({"image": measured, "repetition": 0}), {"checkpoint": "made up"})
    pictures = pd.DataFrame({"image": range(n_pictures), "partition": "train", "cluster": 0})
    pictures["concept"] = [f"{image // N_PER_CONCEPT:05d}" for image in pictures["image"]]
    pictures.to_parquet(folder / "pictures.parquet")
    counts = [round(0.8 * n_pairs), round(0.1 * n_pairs), round(0.1 * n_pairs)]
    split = np.repeat(["train", "val", "test"], counts)
    pairs = pictures.head(len(split)).rename(columns={"image": "eeg_image"}).drop(columns="partition")
    pairs.assign(fmri_image=pairs["eeg_image"], similarity=1.0, split=split).to_parquet(
        folder / "pairs.parquet"
    )


def build(folder: Path, eeg_dtype: str) -> None:
    """Write the LMDB as the rule does."""
    from brain2image.training_set.lmdb_build import write_lmdb

    pairs, pictures = (pd.read_parquet(folder / f"{name}.parquet") for name in ("pairs", "pictures"))
    tested = pairs.loc[pairs["split"] != "train", "concept"]
    write_lmdb(
        folder / "data.lmdb",
        eeg=folder / "eeg.h5",
        projection=folder / "projection.h5",
        pairs=pairs,
        eeg_pictures=pictures,
        predicted=folder / "predicted.h5",
        learnable=pictures[~pictures["concept"].isin(tested)],
        eeg_dtype=eeg_dtype,
    )


def fit_path(folder: Path, _: str) -> None:
    """Fit the linear path to all pictures, as a training does before its first step."""
    from brain2image.config import RunConfig
    from brain2image.training.start import build_model, start_linearly
    from brain2image.training_set.lmdb_store import LMDBReader

    reader, run = LMDBReader(folder / "data.lmdb"), RunConfig(model={"pooling": "none"})
    start_linearly(build_model(reader, run=run, weights=None), reader, run)


STEPS = {"build": build, "fit_path": fit_path}


def run_step(name: str, folder: Path, eeg_dtype: str) -> None:
    """Run a step in this process, and print its seconds, imports aside, and its peak memory."""
    import brain2image.training.start  # noqa: F401

    start = time.perf_counter()
    STEPS[name](folder, eeg_dtype)
    taken = time.perf_counter() - start
    print(f"{taken:.1f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def plain_write(path: Path, n_bytes: int) -> float:
    """Return the seconds that it takes to write and sync so many bytes, the median of three."""
    block, seconds = os.urandom(1 << 23), []
    for _ in range(3):
        start = time.perf_counter()
        with path.open("wb") as file:
            for _ in range(n_bytes // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        seconds.append(time.perf_counter() - start)
        path.unlink()
    return statistics.median(seconds)


def main() -> None:
    """Write the inputs where they are missing, and run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--eeg-dtype", default="float32", choices=("float32", "float16"))
    parser.add_argument("--step", choices=STEPS, help="in this process; for the benchmark itself")
    arguments = parser.parse_args()
    folder = arguments.folder
    if arguments.step:
        run_step(arguments.step, folder, arguments.eeg_dtype)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pairs.parquet").exists():
        write_inputs(folder, arguments.share)
    for name in STEPS:
        command = [sys.executable, __file__, str(folder), "--step", name, "--eeg-dtype", arguments.eeg_dtype]
        print(
            name,
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(),
            flush=True,
        )
    size = (folder / "data.lmdb").stat().st_size
    width = 4 if arguments.eeg_dtype == "float32" else 2
    with h5py.File(folder / "eeg.h5") as file:
        arrays = file["eeg"].size * width
    for name, key in (("predicted", "predicted_embedding"), ("projection", "embedding")):
        with h5py.File(folder / f"{name}.h5") as file:
            arrays += 4 * file[key].size
    floor = plain_write(folder / "floor.bin", size)
    print(f"LMDB {size / 1e9:.2f} GB, {size / arrays:.3f} x the arrays; a plain write of it {floor:.1f} s")


if __name__ == "__main__":
    main()
