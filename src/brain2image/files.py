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

from brain2image.errors import InputError

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


@contextmanager
def open_dataset(path: str | os.PathLike, key: str) -> Iterator[h5py.Dataset]:
    """Open one dataset of an HDF5 file for reading; what is missing or broken is an InputError."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: cannot open this HDF5 file ({error}); download it again") from None
    with file:
        try:
            dataset = file.get(key)
        except OSError:  # the file behind a link is damaged
            dataset = None
        link = file.get(key, getlink=True)
        if dataset is None and isinstance(link, h5py.ExternalLink):
            target = os.path.normpath(Path(path).resolve().parent / link.filename)
            raise InputError(
                f"{path}: its {key} lie in {target}, which cannot be opened; put that file back, or delete "
                f"{path} and run again"
            )
        if not isinstance(dataset, h5py.Dataset):
            raise InputError(f"{path}: expected a dataset {key!r}, got {', '.join(file) or 'an empty file'}")
        yield dataset


def link_dataset(file: h5py.File, key: str, source: str | os.PathLike, *, out: str | os.PathLike) -> None:
    """Make a dataset of another HDF5 file appear in an open one, without a copy of its bytes.

    The link is relative to the folder of ``out``, where ``file`` will lie: both can be moved together.
    """
    folder = os.path.realpath(Path(out).parent)  # the system goes up from the real folder, not from a symlink
    file[key] = h5py.ExternalLink(os.path.relpath(source, folder), key)


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
