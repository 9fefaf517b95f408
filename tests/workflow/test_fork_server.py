"""Threads that start processes side by side, as those of Snakemake do for the tests' scripts."""

import os
from concurrent.futures import ThreadPoolExecutor

from helpers.fork_server import fork_server, start, wait_for


def test_no_thread_takes_the_status_of_another_ones_process():
    with fork_server("json") as context, ThreadPoolExecutor(4) as threads:

        def run(_):
            process = context.Process(target=os.getpid)
            start(process)
            return wait_for(process)

        assert set(threads.map(run, range(100))) == {0}
