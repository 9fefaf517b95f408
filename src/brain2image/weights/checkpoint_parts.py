"""Parts of a checkpoint, here or on a server, that are read and kept without the rest of it."""

import io
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from brain2image.formats.checkpoints import Checkpoint
from brain2image.formats.files import sha256
from brain2image.weights.download import cache_folder, copy, fetch, is_current, locked, open_remote
from brain2image.weights.remote import RangesRefused
from brain2image.weights.sources import check_file, format_size, hub_file, is_remote, redact, source_name

logger = logging.getLogger(__name__)

Part = TypeVar("Part")


def read_parts(
    checkpoint: str,
    read: Callable[[Checkpoint, Mapping[str, str]], Part],
    *,
    what: str,
    state: str = "model_state_dict",
    is_hashed: bool = False,
) -> Part:
    """Read parts of a checkpoint; on a server that gives parts of files, nothing else is downloaded.

    Parameters
    ----------
    checkpoint : file, ``https://…`` or ``hf://…``.
    read : gets the open checkpoint and its source: ``checkpoint`` (its name or address, see
        `sources.source_name`), ``sha256``, ``size`` in bytes and, of one on a server, ``commit``. It is
        called again, with the whole file, where the server turns out to give no parts.
    what : what is read, for the log: ``the ridge``.
    state : what the state dict is called in the file, see `formats.checkpoints.Checkpoint`.
    is_hashed : whether a file on this machine is read as a whole first, for its ``sha256`` and ``size``. Of
        one on a server the hash is what the server states, and empty where it states none.

    Returns
    -------
    What ``read`` returns.

    Raises
    ------
    InputError
        When the file is missing, no checkpoint, or damaged.
    """
    name, source = redact(checkpoint), {"checkpoint": source_name(checkpoint)}
    if not is_remote(checkpoint):
        check_file(checkpoint)
        return _read(checkpoint, read, source, state, name=name, is_hashed=is_hashed)
    try:
        with open_remote(checkpoint) as remote:
            if not remote.has_ranges:
                raise RangesRefused
            logger.info("%s: reading %s alone out of %s", remote.name, what, format_size(remote.size))
            stated = {"sha256": remote.sha256 or "", "size": str(remote.size), "commit": remote.commit or ""}
            content = Checkpoint(io.BufferedReader(remote), name=name, state=state)
            return read(content, source | stated)
    except RangesRefused:
        logger.warning("%s: the server gives no parts of files; downloading all of it", redact(checkpoint))
        fetched = fetch(checkpoint)
        known = {"sha256": fetched.sha256, "size": str(fetched.size), "commit": fetched.commit or ""}
        return _read(fetched.path, read, source | known, state, name=name)


def _read(
    path: str | Path,
    read: Callable[[Checkpoint, Mapping[str, str]], Part],
    source: dict[str, str],
    state: str,
    *,
    name: str,
    is_hashed: bool = False,
) -> Part:
    with open(path, "rb") as file:
        content = Checkpoint(file, name=name, state=state)
        if is_hashed:  # only now: what is no checkpoint is refused at once
            source |= {"sha256": sha256(path), "size": str(os.path.getsize(path))}
        return read(content, source)


def keep_parts(
    checkpoint: str,
    write: Callable[[str | Path], None],
    *,
    kind: str,
    identity: tuple,
    name: str,
    out: str | Path,
) -> None:
    """Write parts of a checkpoint; those of one on a server are kept in the shared cache, for all workflows.

    Parameters
    ----------
    checkpoint : file, ``https://…`` or ``hf://…``.
    write : writes a file of the parts.
    kind, identity, name : where that lies in the cache: folder, what tells it from others of the checkpoint,
        and the file's name.
    out : where a copy of it is wanted.
    """
    if not is_remote(checkpoint):
        write(out)
        return
    file = hub_file(checkpoint)
    remote = None
    if not (file and file.is_pinned):  # then the content behind this address may change
        remote = open_remote(checkpoint)
    version = remote and (remote.size, remote.version)
    cached = cache_folder(kind, checkpoint, *identity, version) / name
    with locked(cached.with_suffix(".lock")):
        if not (is_current(cached, remote) if remote else cached.exists()):
            write(cached)
    copy(cached, out)
