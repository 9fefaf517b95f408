"""The SLURM that these tests submit to, and Snakemake on it."""

import signal
import sys
from pathlib import Path

import pytest
from helpers.mini_slurm import MiniSlurm

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A SLURM of three nodes, which is gone with all its jobs when the tests have ended, also badly."""
    root = ROOT / ".slurm"
    if not (root / "installed").exists():
        pytest.exit(f"{root}: expected SLURM's programs, found none; run make test-cluster", returncode=1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C it must not leave daemons behind
    cluster = MiniSlurm(root, tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start_nodes()
        yield cluster
    finally:
        cluster.stop()
