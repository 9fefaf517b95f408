"""Versions of the libraries that compute: noted with what a job made, compared with those installed now."""

import json
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from brain2image.core.atomic import atomic_path
from brain2image.core.fingerprint import NEUTRAL
from brain2image.core.manifest import MANIFEST, record_path

# What a library is called where it is imported, and where it is installed.
LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "mne": "mne",
    "torch": "torch",
    "open_clip": "open_clip_torch",
    "himalaya": "himalaya",
    "sklearn": "scikit-learn",
    "lightning": "lightning",
    "braindecode": "braindecode",
}
# Tells a version from params where Snakemake gives the reason of a rerun.
UPGRADE = "library "
# A parser would take a tenth of a second in every job.
IMPORT = re.compile(rf"^[ \t]*(?:from|import) ({'|'.join(LIBRARIES)})\b", re.MULTILINE)


class Upgrade(NamedTuple):
    """A library that made a result in another version than the one installed now; without their patches."""

    library: str
    before: str
    now: str


@cache
def minor_version(library: str) -> str | None:
    """Return the installed version of a library as ``2.12``; None where it is not installed."""
    try:
        return ".".join(metadata.version(library).split(".")[:2])
    except metadata.PackageNotFoundError:
        return None


def imported_libraries(files: Iterable[str | Path]) -> set[str]:
    """Return those of `LIBRARIES` that source files import, also inside functions, as they are installed."""
    return {LIBRARIES[name] for file in files for name in IMPORT.findall(Path(file).read_text("utf-8"))}


def loaded_sources() -> list[str]:
    """Return the files of this process's script and of the modules that count and that it has imported.

    Among them is what it imports by a name that it is given, like the reader of a data set.
    """
    modules = {name: getattr(module, "__file__", None) for name, module in sys.modules.copy().items()}
    return [
        file
        for name, file in modules.items()
        if file and (name == "__main__" or name.startswith("brain2image")) and not NEUTRAL.fullmatch(name)
    ]


def note_versions(results: str, job: str) -> None:
    """Note the versions of the libraries that a job's source imports, in the process that did the job.

    Parameters
    ----------
    results : the results folder.
    job : the job's name, ``train/BRAINS/flatten``.
    """
    versions = {library: minor_version(library) for library in imported_libraries(loaded_sources())}
    with atomic_path(_note(results, job)) as scratch:
        scratch.write_text(json.dumps(versions, sort_keys=True))


def find_upgrades(results: str, job: str) -> list[Upgrade]:
    """Return the libraries whose noted version is not the installed one, by name; none without a note.

    Parameters
    ----------
    results, job : as for `note_versions`.
    """
    try:
        noted = dict(json.loads(Path(_note(results, job)).read_text()))
    except (OSError, ValueError, TypeError):
        return []
    found = ((library, str(before), minor_version(library)) for library, before in sorted(noted.items()))
    return [Upgrade(library, before, now) for library, before, now in found if now and now != before]


def _note(results: str, job: str) -> str:
    return record_path(os.path.join(results, MANIFEST, "versions"), job)
