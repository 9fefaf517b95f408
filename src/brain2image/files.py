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
import pandas as pd

from brain2image.disk import explained_disk_errors, lock, owner
from brain2image.errors import InputError, reason
from brain2image.regular import check_regular

logger = logging.getLogger(__name__)

_UMASK = os.umask(0)  # it can only be read by setting it
os.umask(_UMASK)
FILE_MODE = 0o666 & ~_UMASK
LOCK = ".lock"  # of a scratch folder whose writer lives


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


def read_json(
    path: str | os.PathLike, keys: Sequence[str] = (), *, remedy: str = "copy it again from where it came"
) -> Any:
    """Read a JSON file; one that is missing or damaged is an InputError.

    Parameters
    ----------
    keys : what must stand in it, as in an object; without any it may be of any form.
    remedy : what to do about a damaged one.
    """
    check_regular(path, remedy=remedy)
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot read this JSON file ({reason(error)}); {remedy}") from None
    if keys and not (isinstance(content, dict) and set(keys) <= set(content)):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: expected {', '.join(keys)}, got {found or 'nothing'}; {remedy}")
    return content


def write_parquet(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, atomically."""
    with atomic_path(path) as scratch:
        table.to_parquet(scratch, index=False)


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


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
