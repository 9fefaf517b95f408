"""What goes wrong with the disk below an output: it is full, read-only, or somebody else writes there."""

import errno
import fcntl
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from brain2image.core.errors import InputError

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
        if remedy := lock_remedy(error):
            raise InputError(f"{path}: cannot write this ({error}); {remedy}") from None
        problem = _disk_problem(error, Path(path))
        if problem is None:
            raise
        raise InputError(CANNOT_WRITE.format(path, problem)) from None


def _disk_problem(error: Exception, path: Path) -> str | None:
    """Return what the system says about writing beside ``path``; None where that works."""
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
    """Return what the system says about a new file in a folder; None where there is room for one."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(bytes(PROBE_BYTES - 1))
            probe.write(b"\0")  # a write that fits in part succeeds, the next one says why
    except OSError as failed:
        return failed.strerror
    return None


def lock(path: str | os.PathLike) -> IO | None:
    """Open and lock the file ``path``; return None where another process holds the lock.

    The lock ends when the file is closed, and with the process, however that ends. On network file systems it
    counts on all machines; on those that know no locks everybody gets one (`knows_locks`).

    Raises
    ------
    InputError
        When ``path`` is a symbolic link, which would make or lock a file elsewhere.
    """
    try:
        file = open(path, "a+", opener=_open_no_link)  # noqa: SIM115
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(f"{path}: expected a lock file, got a link; remove it") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    return file


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def knows_locks(file: IO) -> bool:
    """Tell whether the file system of an open file has locks, so that `lock` holds it alone."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            return False
        raise
    return True


def lock_remedy(error: Exception) -> str | None:
    """Say what to do where the HDF5 library could not lock a file; None for other errors."""
    number = getattr(error, "errno", None)
    if "unable to lock file" not in str(error):
        return None
    if number in WITHOUT_LOCKS:
        return (
            "this file system knows no locks: set the environment variable HDF5_USE_FILE_LOCKING=FALSE and "
            "give the same command again"
        )
    return "another process has it open: give the same command again when that has ended"


def user_name(number: int) -> str:
    """Return the name of a user of this system; the number itself where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def owner(path: str | os.PathLike) -> str:
    """Return the name of the user to whom a file, folder or link belongs."""
    return user_name(os.lstat(path).st_uid)
