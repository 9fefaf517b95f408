"""Outputs that appear whole or not at all."""

import glob
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from brain2image.core.disk import explained_disk_errors, lock, owner

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
        with explained_disk_errors(path), ExitStack() as held:
            file = lock(folder / LOCK)
            assert file is not None  # nobody else knows this folder
            held.enter_context(file)
            yield scratch
            if scratch.is_dir() and path.exists():
                path.rename(folder / "replaced")  # a folder cannot be renamed over another
            if scratch.is_file():
                scratch.chmod(FILE_MODE)  # safetensors writes files that only their owner may read
            os.replace(scratch, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scratch_folder(path: Path) -> Path:
    """Make a new folder beside ``path``; those that killed processes left there are removed."""
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
