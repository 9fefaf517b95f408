"""The workflow of an installed package: in a project folder of its own, and as a module of another one."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from helpers.checkouts import TINY, copy_checkout

ROOT = Path(__file__).parents[2]
DATA_FILES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]


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
    """By the lines of docs/running.md."""
    (lines,) = re.findall(
        r"^```smk\n(.*?)^```", (ROOT / "docs/running.md").read_text(), re.DOTALL | re.MULTILINE
    )
    changed = "use rule train from brain2image with:\n    message:\n        'Mine trains {wildcards.run}'\n"
    (tmp_path / "Snakefile").write_text(f"{lines}\n\n{changed}")
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / TINY, tmp_path / "config/config.yaml")
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--dry-run"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Job 1: Mine trains flatten" in re.sub(r"Job \d+", "Job 1", result.stdout + result.stderr)
