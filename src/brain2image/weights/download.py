"""Pretrained weights, downloaded into one shared cache and verified before they are used.

What comes from the Hub lies in the cache of huggingface_hub, other downloads among its assets. HF_HOME moves
both, HF_ENDPOINT names a mirror of the Hub, HF_TOKEN opens files with terms of use, HF_HUB_OFFLINE=1 forbids
the network. Sources with secrets in them are written down and printed redacted.
"""

import hashlib
import logging
import os
import re
import shutil
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from brain2image.core.atomic import atomic_path
from brain2image.core.disk import explained_disk_errors
from brain2image.core.errors import InputError
from brain2image.formats.files import sha256, write_json
from brain2image.weights.client import BY_HAND, NO_NETWORK, NotFound, http_error
from brain2image.weights.remote import RangesRefused, RemoteFile
from brain2image.weights.sources import (
    COMMIT,
    KNOWN,
    HubFile,
    Known,
    check_start,
    file_name,
    format_age,
    format_size,
    hub_file,
    redact,
)

logger = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")
UNKNOWN = Known(None, "")
REMEDY = "correct the source in the config's weights"
REFRESH = "BRAIN2IMAGE_REFRESH"  # set by `brain2image fetch --refresh`
N_RESTARTS = 3  # of a download that cannot be taken up where it broke


class Fetched(NamedTuple):
    """A verified download.

    ``source`` is redacted; ``commit`` is that of the Hub's repository, None for other servers.
    """

    path: Path
    source: str
    commit: str | None
    size: int
    sha256: str

    def write_record(self, path: str | os.PathLike) -> None:
        """Write down as JSON what was downloaded: source, commit, size in bytes, sha256."""
        write_json(path, {key: value for key, value in self._asdict().items() if key != "path"})


def fetch(*sources: str) -> Fetched:
    """Download a whole file, unless the cache has it, and verify it.

    Size and SHA-256 are compared with what `sources.KNOWN` holds, else with what the server says.

    Parameters
    ----------
    sources : ``https://…``, ``http://…`` or ``hf://…``; the first that exists is taken.

    Raises
    ------
    InputError
        When it cannot be downloaded, the disk is too full, or the content is wrong; a wrong file is removed.
    """
    *preferred, last = sources
    for source in preferred:
        with suppress(NotFound):
            return _fetch(source)
    return _fetch(last)


def fetch_beside(source: str, name: str) -> Path | None:
    """Download a small file from the folder that a source lies in; None where there is none.

    Raises
    ------
    InputError
        When a repository of the Hub has it, but it cannot be downloaded.
    """
    start, _, query = source.partition("?")
    beside = f"{start.rpartition('/')[0]}/{name}{'?' * bool(query)}{query}"
    try:
        return _fetch(beside, is_small=True).path
    except InputError as error:
        # a server that is no Hub may say anything of a file that it does not have
        if hub_file(source) and not isinstance(error, NotFound):
            raise
        logger.info("going on without %s: %s", name, error)
        return None


def _fetch(source: str, *, is_small: bool = False) -> Fetched:
    file = hub_file(source)
    path, commit, stated = _from_hub(file, source, is_small) if file else _from_url(source)
    content = _verify(path, source, stated)
    logger.info("%s: verified, SHA-256 %s", redact(source), content)
    return Fetched(path, redact(source), commit, path.stat().st_size, content)


def open_remote(source: str) -> RemoteFile:
    """Open a file on a server, to read it in parts; what is known of it must be what the server says.

    Raises
    ------
    InputError
        When it is not there, not accessible, or another file than expected.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    if constants.HF_HUB_OFFLINE:
        raise InputError(f"{redact(source)}: HF_HUB_OFFLINE forbids the network; {NO_NETWORK}")
    file = hub_file(source)
    if file:
        url = hf_hub_url(file.repo, file.path, repo_type=file.repo_type, revision=file.revision)
        remote = RemoteFile(url, headers=build_hf_headers(), name=redact(source))
    else:
        remote = RemoteFile(source)
    check_start(remote.start, source=remote.name, remedy=REMEDY)
    _compare("size", KNOWN.get(source, UNKNOWN).size, remote.size, source=source)
    _compare("SHA-256", remote.sha256 and KNOWN.get(source, UNKNOWN).sha256, remote.sha256, source=source)
    return remote


def cache_folder(kind: str, *identity: Any) -> Path:
    """Return the folder of the shared cache for what is made of one version of one file.

    Parameters
    ----------
    kind : ``weights`` or ``ridges``.
    identity : what tells this version from others.
    """
    from huggingface_hub import cached_assets_path

    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
    return cached_assets_path("brain2image", namespace=kind, subfolder=key)


def locked(path: Path) -> AbstractContextManager:
    """Hold a lock file of the cache, so that two workflows do not download the same thing at a time."""
    from huggingface_hub.utils import WeakFileLock

    return WeakFileLock(path)


def announce(source: str, n_bytes: int, folder: Path) -> None:
    """Log how much will be downloaded into a folder; raise InputError if it does not fit."""
    source = redact(source)
    logger.info("%s: downloading %s into %s", source, format_size(n_bytes), folder)
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"{source}: {format_size(n_bytes)} do not fit into {folder}, {format_size(free)} are free; "
            "make room, or set HF_HOME to a folder on another disk"
        )


def copy(cached: Path, out: str | os.PathLike) -> None:
    """Copy a file of the cache, so that a purge of the cache takes nothing away, with a time of its own."""
    with atomic_path(out) as scratch:
        shutil.copyfile(cached, scratch)


def link_or_copy(cached: Path, out: str | os.PathLike) -> None:
    """Give a file of the cache a second name, which needs no space; on another file system, copy it.

    A hard link keeps the download's time, by which Snakemake would take it for older than what was made of
    its predecessor. So this is for files in a folder that is a rule's output: that has a time of its own.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    try:
        os.link(cached.resolve(), out)
    except OSError:
        copy(cached, out)


def _from_hub(file: HubFile, source: str, is_small: bool) -> tuple[Path, str, str | None]:
    """Download into the Hub's cache; return path, commit, and the SHA-256 that it states of large files."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    where: dict[str, Any] = {"filename": file.path, "repo_type": file.repo_type, "revision": file.revision}
    path: str | None = None
    if file.is_pinned or constants.HF_HUB_OFFLINE:  # else the newest file is asked for
        with suppress(LocalEntryNotFoundError):
            path = hf_hub_download(file.repo, **where, local_files_only=True)
    if path is None:
        folder = Path(constants.HF_HUB_CACHE)
        folder.mkdir(parents=True, exist_ok=True)
        if not is_small:
            announce(source, open_remote(source).size, folder)
        try:
            path = hf_hub_download(file.repo, **where)
        except Exception as error:  # of several libraries, by the version of huggingface_hub
            answers = (getattr(cause, "response", None) for cause in (error, error.__cause__))
            status = next((answer.status_code for answer in answers if answer is not None), None)
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise http_error(redact(source), status, reason) from None
    blob = Path(path).resolve().name
    commit = next(part for part in reversed(Path(path).parts) if COMMIT.fullmatch(part))
    return Path(path), commit, blob if SHA256.fullmatch(blob) else None


def _from_url(source: str) -> tuple[Path, None, str | None]:
    """Download into the assets cache; return path, no commit, and the SHA-256 where the ETag is one."""
    remote = open_remote(source)
    folder = cache_folder("weights", source, remote.size, remote.version)
    path = folder / file_name(source, remote.start)
    with locked(folder / ".lock"):
        if not is_current(path, remote):
            partial = folder / f"{path.name}.incomplete"
            announce(source, remote.size, folder)
            with explained_disk_errors(partial):
                _download(remote, partial)
            partial.rename(path)
    return path, None, remote.sha256


def is_current(cached: Path, remote: RemoteFile) -> bool:
    """Tell whether the cache has what was made of this version of a remote file.

    Where the server names no version, an older copy is taken, and a warning tells its age; with `REFRESH` it
    is removed.
    """
    if not cached.exists():
        return False
    if remote.version is None:
        if os.environ.get(REFRESH):
            cached.unlink()
            return False
        logger.warning(
            "%s: the server does not say whether the file has changed (no ETag, no Last-Modified); using the "
            "copy that was downloaded %s ago. `brain2image fetch --refresh` downloads it anew",
            remote.name,
            format_age(time.time() - cached.stat().st_mtime),
        )
    return True


def _download(remote: RemoteFile, partial: Path) -> None:
    """Append what is still missing of a file, or all of it where the server gives no parts, or no version."""
    from huggingface_hub.utils import tqdm

    may_resume = remote.has_ranges and remote.version is not None
    options = {"unit": "B", "unit_scale": True, "desc": partial.stem, "disable": None}  # None: on a terminal
    with partial.open("ab") as file, tqdm(total=remote.size, **options) as bar:
        for _ in range(1 + N_RESTARTS):
            if not may_resume:
                file.truncate(0)
            start = os.path.getsize(partial)
            bar.initial = bar.n = start
            try:
                for chunk in remote.stream(start, remote.size, may_resume=may_resume):
                    bar.update(file.write(chunk))
                return
            except RangesRefused:
                may_resume = False
                logger.warning("%s: it cannot be taken up where it was cut; beginning anew", remote.name)
    raise InputError(
        f"{remote.name}: expected {format_size(remote.size)} in one piece, as the server gives no parts of "
        f"one known version, but the connection was cut {1 + N_RESTARTS} times; {BY_HAND}"
    )


def _verify(path: Path, source: str, stated: str | None) -> str:
    """Return the SHA-256 of a downloaded file; one that is not what it should be is removed."""
    known = KNOWN.get(source, UNKNOWN)
    content = sha256(path)
    try:
        with path.open("rb") as file:
            check_start(file.read(64), source=redact(source), remedy=REMEDY)
        _compare("size", known.size, path.stat().st_size, source=source)
        _compare("SHA-256", known.sha256 or stated, content, source=source)
    except InputError:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise
    return content


def _compare(what: str, expected: Any, got: Any, *, source: str) -> None:
    if expected and expected != got:
        raise InputError(
            f"{redact(source)}: expected {what} {expected}, got {got}; run again, and if it stays so give a "
            "revision (hf://owner/repo@revision/…) or a local file that you trust"
        )
