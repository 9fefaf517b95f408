"""Files that appear whole or not at all, and the trial tables inside HDF5 files."""

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

_UMASK = os.umask(0)  # it can only be read by setting it
os.umask(_UMASK)
FILE_MODE = 0o666 & ~_UMASK


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a scratch path beside ``path`` and rename it to ``path`` when the block ends without an error.

    The scratch path does not exist yet; the block makes a file or a folder there. After an error it is
    removed and an older ``path`` stays as it was. What a killed process left behind is removed by the next
    one that writes ``path``; Snakemake sees to it that there are never two at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    scratch = folder / path.name
    try:
        yield scratch
        if scratch.is_dir() and path.exists():
            path.rename(folder / "replaced")  # a folder cannot be renamed over another
        if scratch.is_file():
            scratch.chmod(FILE_MODE)  # safetensors writes files that only their owner may read
        os.replace(scratch, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write ``content`` as indented UTF-8 JSON, atomically."""
    with atomic_path(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def write_parquet(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, atomically."""
    with atomic_path(path) as scratch:
        table.to_parquet(scratch, index=False)


def write_trials(file: h5py.File, trials: pd.DataFrame, attributes: Mapping[str, Any] | None = None) -> None:
    """Store a table of integer columns as the group ``trials`` of an open HDF5 file, a dataset a column."""
    group = file.create_group("trials")
    for name in trials.columns:
        group.create_dataset(name, data=trials[name].to_numpy())
    group.attrs["columns"] = list(trials.columns)
    for name, value in (attributes or {}).items():
        file.attrs[name] = value


def read_trials(file: h5py.File) -> pd.DataFrame:
    """Read the table that `write_trials` stored, columns in their order."""
    group = file["trials"]
    return pd.DataFrame({name: group[name][:] for name in group.attrs["columns"]})


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
