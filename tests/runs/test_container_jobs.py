"""Jobs in a container, by a stand-in for Apptainer."""

import os
import re
import sys
from pathlib import Path

from helpers.checkouts import changed_config, copy_checkout, snakemake

# Apptainer for one that has none: it does here what it should do in the image, and notes how it was called.
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && { echo apptainer version 1.3.0; exit; }
echo "$@" >> calls
while [ "$1" != bash ]; do shift; done
exec "$@"
"""


def test_jobs_run_in_the_image_and_import_the_package_of_the_checkout(tmp_path, monkeypatch):
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "image.sif").touch()
    (tmp_path / "apptainer").write_text(APPTAINER)
    (tmp_path / "apptainer").chmod(0o755)
    # its Python is that of the image
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    config = changed_config(checkout, {"container": "image.sif"})
    made = "results/simulated/latents.npz"
    result = snakemake(checkout, made, "--sdm", "apptainer", config=config)
    assert result.returncode == 0, result.stderr
    (call,) = (checkout / "calls").read_text().splitlines()
    assert re.search(rf"exec .*--home {checkout} .*image\.sif bash -c .*simulate_images", call)
    assert (checkout / made).is_file()
    (checkout / "calls").unlink()
    snakemake(checkout, made, "--forceall", config=config)
    assert not (checkout / "calls").exists()
