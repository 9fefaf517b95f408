"""Snakemake whose scripts run in forks of a process that has imported the libraries.

Importing them takes half of the time of a run as small as the tests'. The scripts, their params, logs,
benchmarks and exit codes are Snakemake's own; `make demo` and some tests start each script by itself.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from multiprocessing import process, reduction

from snakemake import benchmark
from snakemake.script import PythonScript

from helpers.fork_server import served_by, start, wait_for

CONTEXT = multiprocessing.get_context("forkserver")


class Stream:
    """An open file that a process shares with the one that it starts."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __getstate__(self) -> object:
        return reduction.DupFd(self.number)

    def __setstate__(self, handed: reduction.DupFd) -> None:
        self.number = handed.detach()


def run_script(path: str, environment: dict[str, str], *streams: Stream) -> None:
    """Run a script that Snakemake has written, in this process; the streams are its output and its errors."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.number, number)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")


def execute(self: PythonScript, fname: str, edit: bool = False) -> None:
    """Stand for Snakemake's method that starts a script."""
    given = str(fname), dict(os.environ), Stream(1), Stream(2)
    started = CONTEXT.Process(target=run_script, args=given)
    start(started)
    with benchmark.benchmarked(started.pid, self.bench_record):
        status = wait_for(started)
    if status:
        raise subprocess.CalledProcessError(status, f"python {fname}")


def fork_scripts(address: str) -> None:
    """Let the Snakemake of this process, a task of a pool, have a server fork for its scripts."""
    served_by(address).start()
    process.current_process()._config["daemon"] = False  # the processes of a pool may start none else
    PythonScript.execute_script = execute
    # A look at a job goes through all its memory, much of which is the server's, 20 ms each.
    benchmark.BENCHMARK_INTERVAL_SHORT = 5
