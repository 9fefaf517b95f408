"""What every workflow script does around its one call: a log file, and errors a person can read."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brain2image.errors import InputError

logger = logging.getLogger("brain2image")


def log_into(path: str | Path, *, mode: str) -> None:
    """Write this process's log into a file, opened in ``mode`` (``w`` or ``a``), and nowhere else."""
    file = logging.FileHandler(path, mode=mode)
    file.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[file], force=True)


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Log into the rule's ``log:`` file; end on an InputError with one line, on a defect with a traceback.

    Parameters
    ----------
    snakemake : the object that Snakemake gives to a script.
    """
    log_into(snakemake.log[0], mode="w")
    logging.captureWarnings(True)
    start = time.perf_counter()
    logger.info("rule %s, %s threads", snakemake.rule, snakemake.threads)
    try:
        yield logger
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


def _usage() -> str:
    """What this process has used: peak memory, and the bytes of its read and write calls."""
    per_unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    usage = f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * per_unit / 1e9:.2f} GB"
    if not (counters := Path("/proc/self/io")).exists():
        return usage
    counts = dict(line.split(": ") for line in counters.read_text().splitlines())
    return f"{usage}, read {int(counts['rchar']) / 1e9:.2f} GB, wrote {int(counts['wchar']) / 1e9:.2f} GB"
