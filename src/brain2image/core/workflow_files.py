"""Where the files of the workflow lie: in the checkout, or beside an installed package."""

import sys
import sysconfig
from pathlib import Path

from brain2image.core.errors import InputError

INSTALLED = "share/brain2image"  # below the prefix of Python; pyproject.toml installs the files there


def workflow_root() -> Path:
    """Return the folder that holds the Snakefile, ``rules`` and ``workflow`` of this package.

    Raises
    ------
    InputError
        When they are neither in a checkout of the package nor installed with it.
    """
    package = Path(__file__).parents[1]
    candidates = [package.parents[1], Path(sysconfig.get_path("data"), INSTALLED)]
    candidates += [folder / INSTALLED for folder in package.parents[:4]]  # pip install --target, --user
    for folder in candidates:
        if (folder / "Snakefile").is_file() and (folder / "rules").is_dir():
            return folder
    raise InputError(
        f"{package}: expected the workflow's Snakefile in {candidates[1]}, got none; install the package "
        f"again: {sys.executable} -m pip install --force-reinstall --no-deps brain2image"
    )


def snakefile() -> str:
    """Return the path of the workflow's Snakefile, for the ``include`` of a project folder."""
    return str(workflow_root() / "Snakefile")
