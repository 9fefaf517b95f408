"""Snakemake whose scripts run in forks of one process that has imported the libraries.

    python -m helpers.forked_scripts --configfile ... --cores 2

Importing them takes half of the time of a run as small as the tests'. The scripts, their params, logs,
benchmarks and exit codes are Snakemake's own; `make demo` and some tests start each script by itself.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys


def run_script(path: str, environment: dict[str, str]) -> None:
    """Run a script that Snakemake has written, in this process."""
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")


def main() -> None:
    """Run Snakemake with the arguments of this process."""
    from snakemake import benchmark, cli
    from snakemake.script import PythonScript

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["helpers.warm_libraries"])

    def execute(self: PythonScript, fname: str, edit: bool = False) -> None:
        process = context.Process(target=run_script, args=(str(fname), dict(os.environ)))
        process.start()
        with benchmark.benchmarked(process.pid, self.bench_record):
            process.join()
        if process.exitcode:
            raise subprocess.CalledProcessError(process.exitcode, f"python {fname}")

    PythonScript.execute_script = execute
    # A look at a job goes through all its memory, much of which is the server's, 20 ms each.
    benchmark.BENCHMARK_INTERVAL_SHORT = 5
    cli.main(sys.argv[1:])


if __name__ == "__main__":
    main()
