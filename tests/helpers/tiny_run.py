"""The tiny run of the whole workflow, started, looked at and compared with another one."""

import filecmp
import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import psutil
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain2image.training_set.lmdb_store import LMDBReader

CONFIG = "tests/tiny.yaml"
# What tells of the running itself, and what a training goes on from.
OF_THE_RUNNING = ("logs", "benchmarks", "state", "manifest")
# Times; paths; the commit; and what the report's folder makes of them.
PAGES_OF_THE_RUNNING = {f"figures/{name}.html" for name in ("resources", "configuration", "versions")}
PAGES_OF_THE_RUNNING |= {"report/how-it-was-made.html"}
TABLES_OF_THE_RUNNING = ("report/tables/resources", "report/tables/configuration", "report/tables/versions")
# The bytes of the checkpoint enter these: torch.save names its records after the file.
OF_THE_PLACE = {"sha256", "size"}
# Every Snakemake that was started; its process group has the same number.
started = []
SCRIPT = re.compile(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py$")


def start(folder, *arguments, config=CONFIG, log="run.log"):
    """Start Snakemake in a checkout, in a process group of its own; what it prints is added to a file."""
    command = [sys.executable, "-m", "snakemake", "--configfile", str(config), "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "HF_HUB_OFFLINE": "1"}
    with (folder / log).open("a") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    started.append(process)
    return process


def run(folder, *arguments, status=0, config=CONFIG):
    """Run Snakemake to its end, which must have this status; what it printed."""
    log = folder / "last.log"
    log.unlink(missing_ok=True)
    process = start(folder, *arguments, config=config, log=log.name)
    assert process.wait() == status, log.read_text()[-5000:]
    return log.read_text()


def running_jobs(process):
    """The rule of every job that a Snakemake runs now, by the job's process."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        commands = {child: " ".join(child.cmdline()) for child in children}
    except psutil.NoSuchProcess:  # ended while we looked
        return {}
    return {child: found[1] for child, command in commands.items() if (found := SCRIPT.search(command))}


def left_processes():
    """Processes of all that was started which still run."""
    groups = {process.pid for process in started}
    return [process for process in psutil.process_iter() if _group(process) in groups]


def _group(process):
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def recorded_seconds(results):
    """How long the longest job of each rule took, in s."""
    seconds = {}
    for file in (results / "benchmarks").rglob("*.tsv"):
        rule = file.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv")
        seconds[rule] = max(seconds.get(rule, 0), pd.read_csv(file, sep="\t")["s"].item())
    return seconds


def outputs(results):
    """Every file that a run promises; for TensorBoard's, which have names of their own, the folder."""
    files = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return {
        path.parent if path.name.startswith("events.out.tfevents") else path
        for path in files
        if path.parts[0] not in OF_THE_RUNNING
    }


def compared(results):
    """The outputs that two runs have in common whenever and wherever they were made."""
    return {
        path
        for path in outputs(results)
        if path.as_posix() not in PAGES_OF_THE_RUNNING
        and not path.as_posix().startswith(TABLES_OF_THE_RUNNING)
    }


def assert_same(results, expected):
    """Assert that two runs have the same outputs, and that nothing else lies beside them."""
    assert outputs(results) == outputs(expected)
    different = [str(path) for path in compared(expected) if not is_same(results / path, expected / path)]
    assert not different, different


def is_same(first, second):
    """Whether two outputs hold the same: bytes, or arrays bit for bit, tables and texts."""
    read = CONTENT.get(first.suffix)
    if first.is_file() and filecmp.cmp(first, second, shallow=False):
        return True
    return read is not None and _equal(read(first), read(second))


def _equal(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return np.array_equal(first, second)


def _plain(content):
    """JSON without what depends on the place of a run."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items() if key not in OF_THE_PLACE}
    return json.dumps(content)


def _read_hdf5(path):
    content = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: content.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None
        )
        attributes = {
            name: np.asarray(value) for name, value in file.attrs.items() if name not in OF_THE_PLACE
        }
    return content | {"attributes": attributes}


def _read_lmdb(path):
    reader = LMDBReader(path)
    parts = ("eeg", "fmri", "predicted")
    names = ("pairs", "pictures", *(f"{part}_index" for part in parts))
    tables = {name: getattr(reader, name).to_csv() for name in names}
    arrays = {part: reader.read(part, range(len(getattr(reader, f"{part}_index")))) for part in parts}
    return {"meta": _plain(reader.meta), **tables, **arrays}


def _read_events(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def _read_torch(path):
    def flat(value):
        if isinstance(value, dict):
            return {key: flat(item) for key, item in value.items()}
        return value if isinstance(value, torch.Tensor) else str(value)

    return flat(torch.load(path, weights_only=True))


CONTENT = {
    "": _read_events,
    ".h5": _read_hdf5,
    ".json": lambda path: _plain(json.loads(path.read_text())),
    ".lmdb": _read_lmdb,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": load_file,
}
