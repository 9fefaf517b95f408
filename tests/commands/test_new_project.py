"""A project folder beside a package: what it holds."""

import tomllib
from pathlib import Path

import pytest

from brain2image.commands.new_project import make_project
from brain2image.core import workflow_files
from brain2image.core.errors import InputError

ROOT = Path(__file__).parents[2]
DATA_FILES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]


def test_what_an_installed_package_lacks_is_nothing():
    """All files of the workflow are named for the wheel."""
    installed = {file for globs in DATA_FILES.values() for glob in globs for file in ROOT.glob(glob)}
    folders = ("rules", "workflow", "envs", "config", "profiles")
    files = {file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()}
    assert installed == {ROOT / "Snakefile", *(file for file in files if file.suffix != ".pyc")}
    for folder, globs in DATA_FILES.items():
        place = Path(folder).relative_to(workflow_files.INSTALLED)
        assert all(Path(glob).parent == place for glob in globs)


def test_a_folder_with_files_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="expected a new or an empty folder, got one that holds files"):
        make_project(tmp_path)
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        make_project(tmp_path / "mine.txt")
    with pytest.raises(InputError, match=r"cannot write a project there \(Not a directory\)"):
        make_project(tmp_path / "mine.txt" / "inside")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_package_without_its_workflow_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        workflow_files, "__file__", str(tmp_path / "a/b/c/brain2image/core/workflow_files.py")
    )
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match=r"expected the workflow's Snakefile in .*, got none; install"):
        workflow_files.workflow_root()
