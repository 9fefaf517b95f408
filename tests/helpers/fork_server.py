"""Processes that are forked from one that has imported a module and done nothing else."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any
from unittest import mock

SCRIPT_SERVER = "SCRIPT_SERVER"  # variable with the address of the server that forks for scripts
# A process's status can be read once, and whoever starts one reads those of all: two threads that read at
# once would leave one with 255.
STATUS = threading.Lock()


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


@contextlib.contextmanager
def second_server(module: str) -> Iterator[str]:
    """The address of a server beside Python's own, which has imported the module, for `served_by`."""
    server = forkserver.ForkServer()
    server.set_forkserver_preload([module])
    server.ensure_running()
    try:
        yield server._forkserver_address
    finally:
        server._stop()


def served_by(address: str) -> Any:
    """A patch with which the processes that this one starts are forks of another server."""
    # in a fork of Python's own server, a look whether that one runs would start one more
    return mock.patch.multiple(
        forkserver._forkserver, _forkserver_address=address, ensure_running=lambda: None
    )


def start(process: BaseProcess) -> None:
    """Start a process, beside other threads that do."""
    with STATUS:
        process.start()


def wait_for(process: BaseProcess) -> int | None:
    """The status with which a process ends that `start` started."""
    connection.wait([process.sentinel])
    with STATUS:
        process.join()
    return process.exitcode


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
