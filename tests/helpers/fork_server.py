"""Processes that are forked from one that has imported a module and done nothing else."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any


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


def in_fork(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a fork of this process, or the error that it raises there."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            writer.send(function(*arguments))
        except Exception as error:
            writer.send(error)
        finally:
            os._exit(0)
    writer.close()
    with reader:
        try:
            return reader.recv()
        finally:
            os.waitpid(child, 0)
