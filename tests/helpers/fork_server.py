"""Processes that are forked from one that has imported a module and done nothing else."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


@contextlib.contextmanager
def fork_server(module: str) -> Iterator[ForkServerContext]:
    """A context whose server has imported the module, and no other.

    Python keeps one a process, with what the first test file asked for; so it is stopped before and after.
    """
    stop = forkserver._forkserver._stop  # there is no public way
    stop()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    try:
        yield context
    finally:
        stop()
