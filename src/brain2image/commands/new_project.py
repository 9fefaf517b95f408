"""A folder of one's own for config and results, beside an installed package."""

import shutil
from pathlib import Path

from brain2image.core.errors import InputError
from brain2image.core.workflow_files import workflow_root

# What a project folder gets of the workflow's files: what its user edits, and what profiles name.
COPIED = ("config", "profiles", "workflow/report/style.css")
SNAKEFILE = """\
# Brain2Image's workflow, as it is installed here; config/config.yaml says what it computes.
# Rules of your own may follow.
from brain2image.core.workflow_files import snakefile


include: snakefile()


rule everything:  # as Snakemake does not take the default target of a file that is included
    default_target: True
    input:
        rules.all.input,
"""
IGNORED = ".snakemake/\n/results/\n/data/\n"


def make_project(folder: str | Path) -> list[str]:
    """Make a project folder: a Snakefile that includes the workflow, config, profiles and a .gitignore.

    Parameters
    ----------
    folder : to make; it may exist where it is empty.

    Returns
    -------
    What was written, relative to ``folder``.

    Raises
    ------
    InputError
        When there is something in the folder, or it cannot be written.
    """
    folder, root = Path(folder), workflow_root()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder}: expected a new or an empty folder, got one that holds files; name another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            _copy(root / name, folder / name)
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / ".gitignore").write_text(IGNORED)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot write a project there ({error.strerror}); name another folder"
        ) from None
    return ["Snakefile", ".gitignore", *COPIED]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
