"""What every workflow script does around its one call: a log file, and errors a person can read."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brain2image.core.disk import explained_disk_errors
from brain2image.core.errors import InputError
from brain2image.core.manifest import job_place
from brain2image.core.versions import note_versions

logger = logging.getLogger("brain2image")

PARENT_SECONDS = 1.0  # between two looks whether Snakemake is still there


class LogFile(logging.FileHandler):
    """A log that a full disk cuts short; the error that the job itself ends with says so."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing of what the disk refuses."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def log_into(path: str | Path, *, mode: str) -> None:
    """Write this process's log into a file, opened in ``mode`` (``w`` or ``a``), and nowhere else."""
    file = LogFile(path, mode=mode)
    file.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[file], force=True)


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Log into the rule's ``log:`` file; end on an InputError with one line, on a defect with a traceback.

    What the job of a workflow made is noted with the versions of the libraries that made it.

    Parameters
    ----------
    snakemake : the object that Snakemake gives to a script.
    """
    try:
        with explained_disk_errors(snakemake.log[0]):
            log_into(snakemake.log[0], mode="w")
    except InputError as error:
        sys.exit(f"{snakemake.rule}: {error}")
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error
    _stop_with_parent()
    start = time.perf_counter()
    logger.info("rule %s, %s threads", snakemake.rule, snakemake.threads)
    try:
        yield logger
        if place := job_place(snakemake.log[0], snakemake.rule):
            note_versions(*place)
    except InputError as error:
        logger.error("%s", error)
        print(f"{snakemake.rule}: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit):  # Lightning makes a SystemExit of Ctrl-C
        logger.error("interrupted after %.1f s; no output was written", time.perf_counter() - start)
        sys.exit(130)
    except Exception:
        logger.exception("unexpected error, please report it")
        raise
    logger.info("done in %.2f s, %s", time.perf_counter() - start, _usage())


def _log_thread_error(error: threading.ExceptHookArgs) -> None:
    """Log what ends a library's thread, TensorBoard's on a full disk; the job ends by itself."""
    logger.error("%s", error.thread, exc_info=error.exc_value)


def _stop_with_parent() -> None:
    """Stop this process when Snakemake is killed, for the next Snakemake starts the same job again."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        logger.error("Snakemake was killed: stopping; the same command goes on from here")
        os.kill(os.getpid(), signal.SIGTERM)  # a training saves its state first

    threading.Thread(target=watch, daemon=True).start()


def _usage() -> str:
    """Say what this process has used, as Linux counts it: peak memory, and bytes of its reads and writes."""
    if not Path("/proc/self/io").exists():
        return "memory and bytes are not counted on this system"
    status, counters = (
        dict(line.split(":", 1) for line in Path("/proc/self", name).read_text().splitlines())
        for name in ("status", "io")
    )
    peak = int(status["VmHWM"].split()[0]) * 1024
    used = (peak, int(counters["rchar"]), int(counters["wchar"]))
    return "peak memory {:.2f} GB, read {:.2f} GB, wrote {:.2f} GB".format(*(n / 1e9 for n in used))
