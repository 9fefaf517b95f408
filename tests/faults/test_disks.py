"""Real disks: full ones, a read-only one, and results on another file system below odd names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.checkouts import copy_checkout
from helpers.full_disk import KINDS
from helpers.tiny_run import CONFIG, assert_same, run

FULL = (
    "cannot write this (No space left on device); make room there or allow writing, or change `results` in "
    "the config, and give the same command again"
)
WRITE = """
import json, sys
from pathlib import Path
from helpers.full_disk import KINDS
from brain2image.core.errors import InputError
messages = {}
for kind, write in KINDS.items():
    try:
        write(Path(sys.argv[1], "out"), 2**21)
    except InputError as error:
        messages[kind] = str(error)
print(json.dumps(messages))
"""


def test_every_kind_of_output_on_a_full_disk(mount):
    """In a process of its own, which must end well: HDF5 is known to crash when it could not write."""
    folder = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    result = subprocess.run(
        [sys.executable, "-c", WRITE, folder], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    messages = json.loads(result.stdout)
    assert messages == dict.fromkeys(KINDS, f"{folder}/out: {FULL}")
    assert {path.name for path in folder.iterdir()} <= {"state"}  # TensorBoard's


@pytest.fixture
def odd_checkout(mount, tmp_path):
    """A checkout below odd names; its config has the results on another disk, which is too small."""
    folder = copy_checkout(tmp_path / "Pfad mit Lücken" / "ñandú 1")
    disk = mount("-t", "tmpfs", "-o", "size=20m", "tmpfs")
    content = yaml.safe_load((folder / CONFIG).read_text())
    results = str(disk / "Ergebnisse é 1")
    for block in ("data", "weights"):
        content[block] = {key: path.replace("results", results, 1) for key, path in content[block].items()}
    config = folder / "größer.yaml"
    config.write_text(yaml.safe_dump(content | {"results": results}, allow_unicode=True))
    return folder, config, disk


def test_a_run_in_an_odd_place_that_is_too_small_at_first(undisturbed, odd_checkout, mount):
    folder, config, disk = odd_checkout
    results = disk / "Ergebnisse é 1"
    text = run(folder, "--keep-going", config=config, status=1)
    assert f"simulate_clip: {results}/raw/weights/clip.pt: {FULL}" in text
    assert "Traceback" not in text
    assert not list(results.rglob(".*.partial-*"))
    mount("-o", "remount,size=1g", folder=disk)
    run(folder, config=config)
    assert_same(results, undisturbed / "results")
    assert "Nothing to be done" in run(folder, "--dry-run", config=config.name)


def test_results_that_may_only_be_read(undisturbed, finished, mount):
    results = finished / "results"
    (results / "summary.csv").unlink()
    mount("--bind", "-o", "ro", results, folder=results)
    text = run(finished, status=1)
    assert f"results: {FULL}".replace("No space left on device", "Read-only file system") in text
    assert "Nothing to be done" in run(finished, "results/comparisons.csv")
    mount("-o", "remount,rw,bind", folder=results)
    run(finished)
    assert_same(results, undisturbed / "results")


def test_a_folder_that_takes_no_results(mount, tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    (folder / "results").mkdir()
    mount("-t", "tmpfs", "-o", "ro", "tmpfs", folder=folder / "results")
    text = run(folder, status=1)
    assert f"results: {FULL}".replace("No space left on device", "Read-only file system") in text
    assert "Traceback" not in text
    assert "Finished jobid" not in text
