"""A project folder beside a package: what it holds, and that the workflow runs there."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.checkouts import TINY, copy_checkout

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


def test_the_workflow_of_an_installed_package_runs_in_a_project(tmp_path, monkeypatch):
    """The package as a wheel unpacks it, without a checkout around it."""
    checkout, site = copy_checkout(tmp_path / "checkout"), tmp_path / "site"
    shutil.move(checkout / "src", site)
    for folder, globs in DATA_FILES.items():
        (site / folder).mkdir(parents=True)
        for file in (file for glob in globs for file in checkout.glob(glob)):
            shutil.copy(file, site / folder)
    shutil.rmtree(checkout)
    monkeypatch.setenv("PYTHONPATH", str(site))

    def brain2image(*arguments, folder):
        command = [sys.executable, "-m", "brain2image", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    made = brain2image("new", "project", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "Next: cd project" in made.stdout
    planned = brain2image("run", "--dry-run", "--configfile", "config/demo.yaml", folder=tmp_path / "project")
    assert planned.returncode == 0, planned.stderr
    assert "rule everything" in planned.stderr + planned.stdout
    assert "train" in planned.stderr + planned.stdout


def test_the_workflow_is_a_module_of_another_one(tmp_path):
    """By the lines of README.md."""
    (lines,) = re.findall(r"^```smk\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    changed = "use rule train from brain2image with:\n    message:\n        'Mine trains {wildcards.run}'\n"
    (tmp_path / "Snakefile").write_text(f"{lines}\n\n{changed}")
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / TINY, tmp_path / "config/config.yaml")
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--dry-run"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Job 1: Mine trains flatten" in re.sub(r"Job \d+", "Job 1", result.stdout + result.stderr)


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
