"""Fixtures of the fault tests: the undisturbed run, and disks of a chosen size."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from helpers.checkouts import copy_checkout
from helpers.tiny_run import left_processes, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A checkout after a tiny run that nothing disturbed; to be looked at alone."""
    folder = copy_checkout(tmp_path_factory.mktemp("undisturbed") / "checkout")
    run(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    for process in left_processes():
        process.kill()


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of the undisturbed run, to be disturbed."""
    return Path(shutil.copytree(undisturbed, tmp_path / "finished"))


@pytest.fixture
def mount():
    """Function that mounts a file system and returns its folder; all go when the test ends. Needs root."""
    folders = []

    def mount(*arguments, folder=None):
        folder = folder or Path(tempfile.mkdtemp())
        result = subprocess.run(["mount", *arguments, folder], capture_output=True, text=True)
        if result.returncode:
            pytest.skip(f"cannot mount here: {result.stderr.strip()}")
        if folder not in folders:
            folders.append(folder)
        return folder

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", "--lazy", folder], check=True)
