"""The folder ``manifest`` of the results: what made each of them, and which Snakemake is making them now."""

import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from brain2image.core.disk import check_writable, knows_locks, lock, owner, user_name
from brain2image.core.errors import InputError

MANIFEST = "manifest"
DESCRIPTION = "a Snakemake of {user}, process {process} on {host}, since {since}, started in {folder}"


def record_path(folder: str, output: str) -> str:
    """Return the file below a folder that belongs to an output, named by its path below the results."""
    return os.path.join(folder, f"{output}.json")


def job_place(log: str, rule: str) -> tuple[str, str] | None:
    """Return a job's results folder and name, ``train/BRAINS/flatten``; None for other logs."""
    results, found, rest = log.removesuffix(".log").rpartition(f"/logs/{rule}")
    return (results, f"{rule}{rest}") if found else None


def recorded_params(results: str, output: str) -> list[str]:
    """Read what Snakemake noted as the params that made an output, as texts; empty without a note."""
    path = record_path(os.path.join(results, MANIFEST, "outputs"), os.path.relpath(output, results))
    try:
        return json.loads(Path(path).read_text())["params"]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def raw_checksums(results: str) -> dict[str, str]:
    """Read the SHA-256 of the raw files, as Snakemake noted them when a job read them.

    Parameters
    ----------
    results : the results folder.

    Returns
    -------
    By path; of files of the results only those in their folder ``raw``, which are simulated. Folders, and
    files above `max-checksum-file-size` of the profile, have none.
    """
    found: dict[str, str] = {}
    for file in sorted(Path(results, MANIFEST, "outputs").rglob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError):  # a note that is cut short says nothing
            found |= json.loads(file.read_text(encoding="utf-8"))["input_checksums"]
    return {
        path.removeprefix("<results>/"): checksum.removeprefix("sha256:")
        for path, checksum in sorted(found.items())
        if not path.startswith("<results>/") or path.startswith("<results>/raw/")
    }


class Hold:
    """A results folder held by this process against every other Snakemake, until it ends, however that is.

    It is taken at once, so that what is planned afterwards stays true, but only entering it fails where that
    was not possible: whoever makes nothing needs no hold. The file ``running`` says who has it. On file
    systems that know no locks that file alone counts.

    Parameters
    ----------
    results : the results folder.
    is_local : whether jobs run as children of this process, and end with it.
    """

    def __init__(self, results: str, *, is_local: bool):
        self._results, self._path = results, Path(results, MANIFEST, "running")
        self._me = {
            "user": user_name(os.getuid()),
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since": datetime.now().isoformat(" ", "seconds"),
            "folder": os.getcwd(),
            "is_local": is_local,
        }
        self._file: IO | None = None
        self._other: str | None = None
        self._former: dict[str, Any] = {}
        with suppress(OSError):  # entering finds out why
            self._take()

    def _take(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = lock(self._path)
        self._former = _read(self._path)
        if file is None:
            self._other = f"{_describe(self._former)}; wait until it has ended"
        elif not knows_locks(file) and self._may_live(self._former):
            self._other = (
                f"{_describe(self._former)}; wait until it has ended; or, if you are sure that it has (this "
                f"file system knows no locks), delete {self._path}"
            )
        else:
            file.truncate(0)
            os.write(file.fileno(), json.dumps(self._me).encode())
            self._file = file

    def _may_live(self, process: dict[str, Any]) -> bool:
        if not process or process.get("host") != self._me["host"]:
            return bool(process)
        with suppress(PermissionError):  # somebody else's
            try:
                os.kill(process.get("process", 0), 0)
            except ProcessLookupError:
                return False
        return True

    def leaves_nothing_running(self) -> bool:
        """Tell whether the one that had these results before was killed, and its jobs with it."""
        is_here = self._former.get("host") == self._me["host"]
        return self._file is not None and is_here and self._former.get("is_local", False)

    def __enter__(self) -> "Hold":
        if self._other:
            raise InputError(
                f"{self._results}: these results are being made by {self._other}, or name another folder as "
                "`results` in the config"
            )
        check_writable(self._results)
        if self._file is None:
            raise InputError(
                f"{self._path}: expected a file that you may write, got one of {owner(self._path)}; let the "
                "group write it, or delete it when no Snakemake runs there"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let others make these results."""
        if self._file:
            self._file.truncate(0)
            self._file.close()


def _read(path: Path) -> dict[str, Any]:
    """Read who is written down as the one that makes these results; empty where nobody is."""
    try:
        text = path.read_text()
        return dict(json.loads(text)) if text else {}
    except (OSError, ValueError, TypeError):
        return {"host": None}


def _describe(process: dict[str, Any]) -> str:
    try:
        return DESCRIPTION.format(**process)
    except KeyError:
        return "another Snakemake"
