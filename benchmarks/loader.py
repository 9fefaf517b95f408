"""How fast batches of training examples come, beside a plain loader of pickled samples.

    python benchmarks/loader.py [--pairs 1000]        (about a minute and 1 GB of disk)

The set has the real sizes: pairs of four EEG trials (63 x 200) and three fMRI embeddings (4,096). Each
example is the mean of up to four trials with the mean embedding. The pickled loader holds every example's
trials and embeddings as one pickle, opens a transaction for each, and averages with NumPy. Every rate is the
best of five epochs.

Prints a Markdown table, and how long a step of 5 ms that asks for batches of 64 has to wait.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from brain2image.formats.hdf5 import write_trials
from brain2image.training_set.batches import AlignmentDataset, Batches
from brain2image.training_set.lmdb_build import write_lmdb
from brain2image.training_set.lmdb_store import LMDBReader

N_TRIALS, N_REPETITIONS, N_CHANNELS, N_TIMES, N_FEATURES = 4, 3, 63, 200, 4096
BATCH, STEP_SECONDS = 64, 0.005


class PickledDataset(Dataset):
    """An LMDB of pickles, one an example, with one transaction for each."""

    def __init__(self, path: Path):
        self.environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return self.environment.stat()["entries"]

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        with self.environment.begin() as transaction:
            sample = pickle.loads(transaction.get(str(number).encode()))
        others = self.rng.permutation(N_TRIALS - 1)[: self.rng.integers(N_TRIALS)]
        eeg = np.mean([sample["eeg"][0], *sample["eeg"][1:][others]], axis=0)
        return {
            "eeg": torch.from_numpy(eeg).unsqueeze(1),
            "target": torch.from_numpy(sample["fmri"].mean(axis=0)),
            "image": torch.tensor(sample["image"]),
            "cluster": torch.tensor(sample["cluster"]),
        }


def write_set(folder: Path, n_pairs: int, *, n_val: int = 0, n_features: int = N_FEATURES) -> Path:
    """Our LMDB of random numbers; the last ``n_val`` pairs are for validation."""
    rng = np.random.default_rng(0)
    for name, n, shape in (
        ("eeg", N_TRIALS, (N_CHANNELS, N_TIMES)),
        ("embedding", N_REPETITIONS, (n_features,)),
    ):
        trials = pd.DataFrame(
            {"image": np.repeat(np.arange(n_pairs), n), "repetition": np.tile(np.arange(n), n_pairs)}
        )
        attributes = {
            "unit": "uV",
            "sfreq": 200.0,
            "t0": 0.0,
            "channels": [str(i) for i in range(N_CHANNELS)],
        }
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file[name] = rng.standard_normal((len(trials), *shape), dtype=np.float32)
            write_trials(file, trials, attributes)
    images = np.arange(n_pairs)
    pairs = pd.DataFrame(
        {
            "eeg_image": images,
            "fmri_image": images,
            "similarity": 1.0,
            "concept": images.astype(str),
            "cluster": images % 5,
        }
    )
    pairs["concept"] = images.astype(str)
    pairs["split"] = np.where(images < n_pairs - n_val, "train", "val")
    out = folder / "ours.lmdb"
    pictures = pd.DataFrame({"image": images, "partition": "train"})
    files = {"eeg": folder / "eeg.h5", "projection": folder / "embedding.h5"}
    write_lmdb(out, **files, pairs=pairs, eeg_pictures=pictures)
    return out


def write_pickles(reader: LMDBReader, path: Path) -> None:
    """One pickle an EEG trial: its picture's trials, itself first, and the repetitions."""
    trials = {
        name: index.groupby("image")["trial"].apply(list)
        for name, index in (("eeg", reader.eeg_index), ("fmri", reader.fmri_index))
    }
    clusters, number = dict(zip(reader.pictures["image"], reader.pictures["cluster"], strict=True)), 0
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 40) as environment:
        for image, own in trials["eeg"].items():
            # the set that is measured has a picture's own number for its partner
            eeg, fmri = reader.read("eeg", own), reader.read("fmri", trials["fmri"][image])
            for shift in range(len(own)):
                sample = {
                    "eeg": np.roll(eeg, shift, axis=0),
                    "fmri": fmri,
                    "image": image,
                    "cluster": clusters[image],
                }
                with environment.begin(write=True) as transaction:
                    transaction.put(str(number).encode(), pickle.dumps(sample))
                number += 1


def rate(batches: Callable[[], Iterable[dict[str, torch.Tensor]]]) -> float:
    """Samples a second, best of five epochs."""
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        n_samples = sum(len(batch["eeg"]) for batch in batches())
        rates.append(n_samples / (time.perf_counter() - start))
    return max(rates)


def waits(batches: Iterable[dict[str, torch.Tensor]]) -> np.ndarray:
    """Seconds that each step of 5 ms waits for its batch after the step before has ended.

    A GPU's step is queued and returns at once, so that the next batch is made while it runs.
    """
    iterator, found = iter(batches), []
    next(iterator)
    while True:
        end = time.perf_counter() + STEP_SECONDS
        if next(iterator, None) is None:
            return np.array(found)
        now = time.perf_counter()
        found.append(max(0.0, now - end))
        time.sleep(max(0.0, end - now))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = write_set(Path(name), options.pairs)
        write_pickles(LMDBReader(path), Path(name, "pickles.lmdb"))
        held = AlignmentDataset(
            path, "train", average_trials=N_TRIALS, memory_limit_gb=1e3, device=options.device
        )
        read = AlignmentDataset(path, "train", average_trials=N_TRIALS)
        pickled = DataLoader(PickledDataset(Path(name, "pickles.lmdb")), BATCH, shuffle=True)
        rates = {
            "pickled samples, one transaction each": rate(lambda: pickled),
            "LMDB, in this process": rate(lambda: Batches(read, BATCH)),
            "LMDB, two workers": rate(lambda: Batches(read, BATCH, n_workers=2)),
            f"in memory ({options.device})": rate(lambda: Batches(held, BATCH)),
        }
        waited = waits(Batches(held, BATCH))
    plain = rates["pickled samples, one transaction each"]
    print("| loader | samples/s | x pickled |\n| --- | --- | --- |")
    for label, value in rates.items():
        print(f"| {label} | {value:,.0f} | {value / plain:.1f} |")
    print(
        f"\nA step of {1e3 * STEP_SECONDS:g} ms waited for {np.mean(waited > 0):.0%} of its batches, "
        f"{1e3 * waited.max(initial=0):.2f} ms at most."
    )


if __name__ == "__main__":
    main()
