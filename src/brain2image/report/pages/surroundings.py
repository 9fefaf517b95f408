"""Where and when pages are written: by which commit, on which processor."""

import platform
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from brain2image.core.processors import processor_name

PACKAGE = Path(__file__).resolve().parents[2]


def git_commit(package: Path = PACKAGE) -> str:
    """Return the commit of the checkout that a package lies in, and whether files of it were changed since.

    Parameters
    ----------
    package : ``src/brain2image`` of a checkout; of an installed one there is no commit.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) / "src" / package.name != package:
        return "unknown: this package lies in no git checkout"
    commit = _git(package, "log", "-1", "--format=%H, of %cs")
    if commit is None:
        return "unknown: git says none"
    changed = _git(package, "-C", top, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with changes that are not committed" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says of a folder; None where it says an error, or is not there."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    return None


def describe_place() -> dict[str, str]:
    """Describe when, by which commit and on what these pages are written."""
    return {
        "this page was written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "commit of the code": git_commit(),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": processor_name(),
    }
