"""Checkouts of the workflow in a test's folder, and Snakemake in them."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "rules", "workflow", "config", "profiles", "envs", "src", "tests/tiny.yaml"]
TINY = "tests/tiny.yaml"
PASSING = shutil.ignore_patterns("__pycache__", "tmp????????")  # what others leave and take away meanwhile
PAIR = "things-01_subj01"  # that the tiny run makes


def copy_checkout(target):
    """Copy what a run needs of this checkout."""
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target / part, ignore=PASSING)
        else:
            shutil.copy(ROOT / part, target / part)
    return target


def clone(source, target):
    """Copy a checkout with its results and their times; large files are links: replace, do not edit them."""

    def copy(source, target):
        return os.link(source, target) if os.path.getsize(source) > 1e6 else shutil.copy2(source, target)

    return shutil.copytree(source, target, copy_function=copy, ignore=PASSING)


def snakemake(folder, *arguments, config=TINY):
    """Run Snakemake in a checkout, on that checkout's own package; dry_runs.py has a quicker way."""
    command = [sys.executable, "-m", "snakemake", "--configfile", config, "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def planned_jobs(folder, *targets, **options):
    """Number of jobs of each rule that a dry run lists."""
    result = snakemake(folder, "--dry-run", *targets, **options)
    assert result.returncode == 0, result.stderr
    table = re.search(
        r"^Job stats:\njob +count\n-+ +-+\n(.*?)^total",
        result.stderr + result.stdout,
        re.DOTALL | re.MULTILINE,
    )
    if table is None:
        assert "Nothing to be done" in result.stderr + result.stdout
        return Counter()
    return Counter(
        {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE)}
    ) - Counter(["all"])


def changed_config(folder, changes, *, name="changed.yaml"):
    """Write a config file that differs from the tiny one in some keys; its name."""
    content = yaml.safe_load((folder / TINY).read_text())
    for key, value in changes.items():
        *parents, last = key.split(".")
        block = content
        for parent in parents:
            block = block.setdefault(parent, {})
        block[last] = value
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return name


def build_tiny_run(folder, run):
    """A checkout after its tiny run, in a folder that test processes share: the first of them builds it.

    The function `run` gets a checkout, and returns the status of Snakemake there and what it said.
    """
    folder.mkdir(exist_ok=True)
    checkout, mark = folder / "checkout", folder / "is_built"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            shutil.rmtree(checkout, ignore_errors=True)
            status, text = run(copy_checkout(checkout))
            assert status == 0, text[-5000:]
            mark.touch()
    return checkout
