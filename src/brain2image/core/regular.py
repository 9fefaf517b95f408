"""What a file from elsewhere must be before anything reads it."""

import os
import stat

from brain2image.core.errors import InputError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_regular(path: str | os.PathLike, *, remedy: str) -> None:
    """Raise InputError unless a path leads, through links too, to a regular file.

    Others have no end: a named pipe waits for ever, and ``/dev/zero`` fills the memory.

    Parameters
    ----------
    remedy : what to do about one that is missing or none.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):  # a name with a null byte
        raise InputError(f"{path}: no such file; {remedy}") from None
    if kind != stat.S_IFREG:
        raise InputError(f"{path}: expected a file, got {KINDS.get(kind, 'none')}; {remedy}")
