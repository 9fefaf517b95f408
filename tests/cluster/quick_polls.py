"""Snakemake that asks SLURM about its jobs every second; its plugin would wait longer and longer."""

import signal

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda executor: 1, lambda executor, seconds: None)

if __name__ == "__main__":
    # what a script starts in the background ignores interrupts, and hands that on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
