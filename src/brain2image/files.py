"""Files that appear whole or not at all, and the trial tables inside HDF5 files."""

import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.disk import explained_disk_errors, lock, lock_remedy, owner
from brain2image.errors import InputError, reason

logger = logging.getLogger(__name__)

_UMASK = os.umask(0)  # it can only be read by setting it
os.umask(_UMASK)
FILE_MODE = 0o666 & ~_UMASK
LOCK = ".lock"  # of a scratch folder whose writer lives

# What h5py raises on a missing or damaged file, whichever part is.
HDF5_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError)
HDF5_REMEDY = "download it again; if it is a result, delete it and run again"


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a scratch path beside ``path`` and rename it to ``path`` when the block ends without an error.

    The scratch path does not exist yet; the block makes a file or a folder there. After an error it is
    removed and an older ``path`` stays as it was. What a killed process left behind is removed by the next
    one that writes ``path``. What another process is still writing there stays: a job of a cluster goes on
    when its Snakemake was killed, and may meet the one that a second Snakemake submits; the last one counts.

    Raises
    ------
    InputError
        When the disk is full or may not be written.
    """
    path = Path(path)
    with explained_disk_errors(path):
        folder = _scratch_folder(path)
    scratch = folder / path.name
    try:
        # inside, as there is room again once the scratch folder is removed
        with explained_disk_errors(path), lock(folder / LOCK):
            yield scratch
            if scratch.is_dir() and path.exists():
                path.rename(folder / "replaced")  # a folder cannot be renamed over another
            if scratch.is_file():
                scratch.chmod(FILE_MODE)  # safetensors writes files that only their owner may read
            os.replace(scratch, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch_folder(path: Path) -> Path:
    """A new folder beside ``path``; those that killed processes left there are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial-"
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        _remove_abandoned(left)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folder of a process that is no more; another user's stays, and the log says so."""
    try:
        file = lock(folder / LOCK)
    except FileNotFoundError:  # its writer has just ended
        return
    except PermissionError:
        logger.warning(
            "%s: scratch folder of %s, who may be writing here now; if not, only they can delete it",
            *(folder, owner(folder)),
        )
        return
    if file:
        with file:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that becomes ``path`` as with `atomic_path` when the block ends well."""
    with atomic_path(path) as scratch:
        file = h5py.File(scratch, "w")
        try:
            yield file
            file.flush()
        except BaseException:
            # The library would try again to write what a full disk did not take, and crash at the end.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, file.id.get_vfd_handle())
            os.close(nowhere)
            with suppress(OSError, RuntimeError):
                file.close()
            raise
        file.close()


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write ``content`` as indented UTF-8 JSON, atomically."""
    with atomic_path(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file; one that is missing or damaged is an InputError."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: cannot read this JSON file ({reason(error)}); copy it again from where it came"
        ) from None


def write_parquet(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, atomically."""
    with atomic_path(path) as scratch:
        table.to_parquet(scratch, index=False)


@contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; one that is missing or damaged is an InputError."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; {HDF5_REMEDY}")
    with _hdf5_damage(path):
        file = h5py.File(path, "r")
    with file:
        yield file


@contextmanager
def open_dataset(path: str | os.PathLike, key: str) -> Iterator[h5py.Dataset]:
    """Open one dataset of an HDF5 file for reading; what is missing or broken is an InputError."""
    with open_hdf5(path) as file:
        yield get_dataset(file, key)


@contextmanager
def open_trials(
    path: str | os.PathLike, key: str, axes: Sequence[str]
) -> Iterator[tuple[h5py.Dataset, pd.DataFrame]]:
    """Open a dataset of one row a trial, and read the table of its trials.

    Parameters
    ----------
    path : an HDF5 file that this workflow made.
    key : of the dataset, which must be float32.
    axes : their names, for example ``n_trials, n_features``.

    Raises
    ------
    InputError
        When one of the two is missing or broken, has another form, or they differ in length.
    """
    with open_hdf5(path) as file:
        dataset, trials = get_dataset(file, key), read_trials(file)
        has_form = dataset.ndim == len(axes) and 0 not in dataset.shape and dataset.dtype == np.float32
        if not has_form or len(dataset) != len(trials):
            raise InputError(
                f"{path}: expected {key} float32 ({', '.join(axes)}) with as many trials as its table, "
                f"{len(trials)}, got {dataset.dtype} {dataset.shape}; delete it and run again"
            )
        yield dataset, trials


def dataset_names(path: str | os.PathLike) -> list[str]:
    """The names at the top of an HDF5 file."""
    with open_hdf5(path) as file, _hdf5_damage(path):
        return list(file)


def get_dataset(file: h5py.File, key: str) -> h5py.Dataset:
    """One dataset of an open HDF5 file; what is missing or broken is an InputError."""
    path = file.filename
    with _hdf5_damage(path):
        found = list(file)
        try:
            dataset = file[key] if key in found else None
        except (OSError, KeyError):
            link = file.get(key, getlink=True)
            if not isinstance(link, h5py.ExternalLink):
                raise
            target = os.path.normpath(Path(path).resolve().parent / link.filename)
            raise InputError(
                f"{path}: expected its {key} in {target}, but that cannot be read; put that file back, or "
                f"delete {path} and run again"
            ) from None
        if isinstance(dataset, h5py.Dataset):
            _ = dataset.shape, dataset.dtype  # damage shows here, not when they are used
            return dataset
    raise InputError(
        f"{path}: expected a dataset {key!r}, got {', '.join(found) or 'an empty file'}; {HDF5_REMEDY}"
    )


def read_rows(dataset: h5py.Dataset, rows: int | slice | tuple[slice, ...]) -> np.ndarray:
    """A row, some rows or a part of them; what is damaged is an InputError."""
    try:
        return dataset[rows]
    except HDF5_DAMAGE as error:  # asked for its name here alone, as that takes longer than to read a row
        raise InputError(
            f"{dataset.file.filename}: cannot read this HDF5 file ({reason(error)}); {HDF5_REMEDY}"
        ) from None


@contextmanager
def _hdf5_damage(path: str | os.PathLike) -> Iterator[None]:
    """Turn what h5py raises on a missing or damaged file, whichever part is, into an InputError."""
    try:
        yield
    except InputError:
        raise
    except HDF5_DAMAGE as error:
        raise InputError(
            f"{path}: cannot read this HDF5 file ({reason(error)}); {lock_remedy(error) or HDF5_REMEDY}"
        ) from None


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
    """Read the table that `write_trials` stored, columns in their order.

    Raises
    ------
    InputError
        When there is none, or it is damaged.
    """
    with _hdf5_damage(file.filename):
        if "trials" not in file:
            found = ", ".join(file) or "an empty file"
            raise InputError(f"{file.filename}: expected a table of trials, got {found}; {HDF5_REMEDY}")
        group = file["trials"]
        return pd.DataFrame({name: group[name][:] for name in group.attrs["columns"]})


def read_attributes(file: h5py.File, expected: Sequence[str]) -> dict[str, Any]:
    """All attributes of an open HDF5 file; it is an InputError if one of ``expected`` is missing."""
    with _hdf5_damage(file.filename):
        found = dict(file.attrs)
    if not set(expected) <= set(found):
        raise InputError(
            f"{file.filename}: expected the attributes {', '.join(expected)}, got "
            f"{', '.join(found) or 'none'}; {HDF5_REMEDY}"
        )
    return found


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
