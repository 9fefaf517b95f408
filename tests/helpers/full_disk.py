"""Functions that write each kind of output, by kind: ``(out, n_bytes)``, with the writers of the package."""

import lmdb
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib import pyplot as plt
from safetensors.torch import save_file

from brain2image.core.atomic import atomic_path
from brain2image.core.disk import explained_disk_errors
from brain2image.formats.files import write_json, write_parquet
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.report.figures.style import save
from brain2image.training.resume import StateFile
from brain2image.training_set.lmdb_build import _put


def numbers(n_bytes):
    """Noise, which no format can compress."""
    return np.random.default_rng(0).standard_normal(n_bytes // 8)


def write_h5(out, n_bytes):
    rows = numbers(n_bytes).reshape(-1, 64)
    with atomic_hdf5(out) as file:
        dataset = file.create_dataset("eeg", rows.shape, rows.dtype, chunks=(1, 64))
        for row, values in enumerate(rows):
            dataset[row] = values


def write_npy(out, n_bytes):
    with atomic_path(out) as scratch:
        np.save(scratch.with_suffix(".npy"), numbers(n_bytes))


def write_npz(out, n_bytes):
    with atomic_path(out) as scratch, scratch.open("wb") as file:
        np.savez(file, array=numbers(n_bytes))


def write_lmdb(out, n_bytes):
    options = {"subdir": False, "lock": False, "sync": False, "map_size": 8 * n_bytes}
    with atomic_path(out) as scratch, lmdb.open(str(scratch), **options) as environment:
        for row, values in enumerate(numbers(n_bytes).reshape(16, -1)):
            _put(environment, {str(row).encode(): values.tobytes()})
        environment.sync(True)


def write_safetensors(out, n_bytes):
    with atomic_path(out) as scratch:
        save_file({"weight": torch.from_numpy(numbers(n_bytes))}, scratch)


def write_state(out, n_bytes):
    StateFile().save_checkpoint({"weight": torch.from_numpy(numbers(n_bytes))}, out)


def write_csv(out, n_bytes):
    with atomic_path(out) as scratch:
        pd.DataFrame({"value": numbers(n_bytes)}).to_csv(scratch, index=False)


def write_svg(out, n_bytes):
    figure, axes = plt.subplots()
    axes.plot(numbers(n_bytes)[: n_bytes // 32], ".")
    save(figure, out)


def write_events(out, n_bytes):
    """The folder appears whole once it is copied; here, the events of a running training."""
    with explained_disk_errors(out):
        writer = TensorBoardLogger(out.parent / "state").experiment
        writer.add_text("noise", numbers(n_bytes).tobytes().hex())
        writer.flush()


KINDS = {
    "h5": write_h5,
    "npy": write_npy,
    "npz": write_npz,
    "parquet": lambda out, n_bytes: write_parquet(out, pd.DataFrame({"value": numbers(n_bytes)})),
    "json": lambda out, n_bytes: write_json(out, numbers(n_bytes).tolist()),
    "lmdb": write_lmdb,
    "safetensors": write_safetensors,
    "resume state": write_state,
    "TensorBoard events": write_events,
    "csv": write_csv,
    "svg": write_svg,
}
