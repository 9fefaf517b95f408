"""Containers: the files that build them, as far as they can be seen without building."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.settings.types import DeploymentMethod

from brain2image.config import load_config
from brain2image.core.containers import choose_image
from brain2image.core.errors import InputError

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "containers/Dockerfile").read_text()
DEFINITION = (ROOT / "containers/brain2image.def").read_text()
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_both_files_build_the_same():
    (base,) = re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^From: (.+)$", DEFINITION, re.MULTILINE)[1] == base
    packages = re.compile(r"apt-get install --yes --no-install-recommends (.+?)(?: \\)?$", re.MULTILINE)
    assert packages.findall(DOCKERFILE) == packages.findall(DEFINITION)
    copied = {
        path for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for path in line.split()
    }
    files = DEFINITION.partition("%files\n")[2].partition("\n\n")[0]
    assert copied == {line.split()[0] for line in files.splitlines()}
    assert all((ROOT / path).exists() for path in copied)
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert kept == copied
    command = "PYTHONPATH=/opt/brain2image/src", "python", "-m", "brain2image"
    assert re.findall(r'"(.+?)"', DOCKERFILE.partition("ENTRYPOINT")[2])[1:5] == list(command)
    assert f"exec env {' '.join(command)}" in DEFINITION


def test_the_image_has_the_python_that_the_lock_was_made_for():
    found = re.search(r"^FROM python:(\d+\.\d+)\.\d+-slim", DOCKERFILE, re.MULTILINE)[1]
    wanted = re.search(r'^requires-python = ">=(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found == wanted[1]


@pytest.mark.parametrize("device", ["cuda", "cpu", "gpu"])
def test_the_lock_is_installed_for_a_device(tmp_path, device):
    """By a stand-in for pip, which prints what it is asked for."""
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    script = (ROOT / "containers/install.sh").read_text()
    (tmp_path / "install.sh").write_text(script.replace("/opt/brain2image", str(tmp_path)))
    (tmp_path / "pip").write_text('#!/bin/sh\necho "$@"\nfor last; do :; done\ncat "$last"\n')
    (tmp_path / "pip").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PIP_EXTRA_INDEX_URL": "builds"}
    command = ["sh", "install.sh", device]
    if device == "cpu":
        without = environment | {"PIP_EXTRA_INDEX_URL": ""}
        refused = subprocess.run(command, cwd=tmp_path, env=without, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "expected PyTorch's list of builds for CPUs in PIP_EXTRA_INDEX_URL" in refused.stderr
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    if device == "gpu":
        assert result.returncode == 1
        assert result.stderr == "install.sh: expected cuda or cpu, got gpu\n"
        return
    assert result.returncode == 0, result.stderr
    lock = set((ROOT / "requirements.lock").read_text().splitlines())
    called, *installed = result.stdout.splitlines()
    left_out = {line.partition("==")[0] for line in lock - set(installed)}
    assert set(installed) <= lock
    assert "http" not in called
    if device == "cuda":
        assert not left_out
    else:
        assert {"triton", "nvidia-cublas", "cuda-toolkit"} <= left_out
        assert all(re.match("nvidia-|cuda-|triton$", name) for name in left_out)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is installed on Linux on x86-64 alone")
def test_the_dockerfile_passes_its_linter():
    command = [HADOLINT, ROOT / "containers/Dockerfile"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_an_image_is_chosen_only_where_it_is_asked_for(tmp_path):
    methods = {DeploymentMethod.APPTAINER}
    assert choose_image("docker://owner/name", ()) is None
    assert choose_image("", {DeploymentMethod.CONDA}) is None
    assert choose_image("docker://owner/name", methods) == "docker://owner/name"
    (image := tmp_path / "image.sif").touch()
    assert choose_image(str(image), methods) == str(image)
    with pytest.raises(InputError, match="expected an image, for --sdm apptainer, got none"):
        choose_image("", methods)
    with pytest.raises(InputError, match=r"nowhere\.sif: expected an image file, got none"):
        choose_image("nowhere.sif", methods)
    with pytest.raises(InputError, match="container: expected a file or an address without blanks"):
        load_config({"container": "of two words.sif"})
