"""What goes wrong with the disk below an output: it is full, read-only, or somebody else writes there."""

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from brain2image.errors import InputError

# Disk full, quota used up, file larger than allowed, file system read-only. What is read raises none of them.
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# What file systems answer that know no locks, such as Lustre without its option `flock`.
WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
# What a folder on a usable disk takes. A library that ran out of space has left less than that.
PROBE_BYTES = 2**20
CANNOT_WRITE = (
    "{}: cannot write this ({}); make room there or allow writing, or change `results` in the config, and "
    "give the same command again"
)


@contextmanager
def explained_disk_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn what libraries raise while they write ``path`` to a disk that takes no more into an InputError.

    Parameters
    ----------
    path : the output that is being written, or the folder that it is written into. It need not exist.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        problem = _disk_problem(error, Path(path))
        if problem is None:
            raise
        raise InputError(CANNOT_WRITE.format(path, problem)) from None


def _disk_problem(error: Exception, path: Path) -> str | None:
    """What the system says about writing beside ``path``; None where that works."""
    # safetensors hands on the number in its text alone
    text = re.search(r"os error (\d+)", str(error))
    number = int(text[1]) if text else getattr(error, "errno", None)
    if number in UNWRITABLE:
        return os.strerror(number)
    # NumPy, LMDB and PyTorch do not hand it on at all
    return _refusal(next(parent for parent in path.absolute().parents if parent.is_dir()))


def check_writable(folder: str | os.PathLike) -> None:
    """Raise an InputError when a folder, or the one that it will be made in, takes no file."""
    path = Path(folder).absolute()
    problem = _refusal(next(place for place in (path, *path.parents) if place.is_dir()))
    if problem:
        raise InputError(CANNOT_WRITE.format(folder, problem))


def _refusal(folder: Path) -> str | None:
    """What the system says about a new file in a folder; None where there is room for one."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(bytes(PROBE_BYTES - 1))
            probe.write(b"\0")  # a write that fits in part succeeds, the next one says why
    except OSError as failed:
        return failed.strerror
    return None


def lock(path: str | os.PathLike) -> IO | None:
    """The open, locked file ``path``; None where another process holds the lock.

    The lock ends when the file is closed, and with the process, however that ends. On network file systems it
    counts on all machines; on those that know no locks everybody gets one.
    """
    file = open(path, "a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    return file
