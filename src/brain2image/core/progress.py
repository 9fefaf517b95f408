"""What a run shows on the terminal: a line for each job that starts, and what is running now.

On a terminal the last line says what is running and since when. Elsewhere, in the log of a server, such a
line is printed after half a minute in which nothing else was.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from typing import TextIO

SECONDS_ON_TERMINAL, SECONDS_ELSEWHERE = 1.0, 30.0  # between two looks at what is running
# What Snakemake says in every run; its log file has it.
KNOWN = re.compile(
    r"(None|Assuming unrestricted|Building DAG|Using shell|Provided |Rules claiming|Select jobs|Execute |"
    r"host:|Conda environments: ignored|Singularity containers: ignored|Activating conda|Job stats|Elapsed)"
    r"|\s*$"
)


class Progress:
    """The display of a run.

    Parameters
    ----------
    stream : where it is written.
    seconds : between two looks at what is running; by default as suits the stream.
    """

    def __init__(self, stream: TextIO, *, seconds: float | None = None):
        self._stream, self._is_terminal = stream, stream.isatty()
        self._seconds = seconds or (SECONDS_ON_TERMINAL if self._is_terminal else SECONDS_ELSEWHERE)
        self._lock, self._is_over = threading.Lock(), threading.Event()
        self._start = self._last = time.monotonic()
        self._running: dict[int, tuple[str, float]] = {}  # what each job does, and when it began
        self._done = self._total = 0
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def plan(self, total: int) -> None:
        """Take the number of all jobs."""
        self._total = total

    def begin(self, job: int, what: str) -> None:
        """Show that a job begins."""
        with self._lock:
            self._running[job] = (what, time.monotonic())
            width = len(str(self._total))
            self._write(f"[{self._done + len(self._running):>{width}}/{self._total}] {what}")

    def end(self, job: int) -> None:
        """Count a job that has ended well."""
        with self._lock:
            self._done += self._running.pop(job, None) is not None
            if self._done == self._total:
                self._write(f"{self._total} jobs done in {_spell(time.monotonic() - self._start)}")

    def drop(self, job: int) -> None:
        """Take a failed job off what is running; it may begin again."""
        with self._lock:
            self._running.pop(job, None)

    def say(self, text: str) -> None:
        """Show a text whole."""
        with self._lock:
            self._write(text)

    def close(self) -> None:
        """Take away the line of what is running."""
        self._is_over.set()
        with self._lock:
            self._write("")

    def _write(self, text: str) -> None:
        clear = "\r\x1b[K" if self._is_terminal else ""
        self._stream.write(f"{clear}{text}\n" if text else clear)
        self._stream.flush()
        self._last = time.monotonic()

    def _look(self) -> None:
        while not self._is_over.wait(self._seconds if self._is_terminal else self._seconds / 10):
            with self._lock:
                if not self._running or self._is_over.is_set():
                    continue
                if self._is_terminal:
                    width = os.get_terminal_size(self._stream.fileno()).columns or 80
                    self._stream.write(f"\r\x1b[K{self._state()[: width - 1]}")
                    self._stream.flush()
                elif time.monotonic() - self._last >= self._seconds:
                    self._write(self._state())

    def _state(self) -> str:
        now = time.monotonic()
        running = ", ".join(f"{what} ({_spell(now - begun)})" for what, begun in self._running.values())
        return f"{self._done} of {self._total} done, {_spell(now - self._start)}; running: {running}"


def show(display: Progress, record: logging.LogRecord, spell: Callable[[logging.LogRecord], str]) -> None:
    """Show a record of Snakemake's log.

    Parameters
    ----------
    display : where.
    record : one of Snakemake's events, or a text.
    spell : Snakemake's own way to write a record.
    """
    from snakemake_interface_logger_plugins.common import LogEvent

    said = vars(record)  # Snakemake adds its own to what a record always has
    event = said.get("event")
    if event == LogEvent.RUN_INFO:
        display.plan(said["stats"]["total"])
    elif event == LogEvent.JOB_INFO:
        display.begin(said["jobid"], said["rule_msg"] or said["rule_name"])
    elif event == LogEvent.JOB_FINISHED:
        display.end(said["job_id"])
    elif record.levelno >= logging.WARNING or event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
        if event == LogEvent.JOB_ERROR:
            display.drop(said["jobid"])
        display.say(spell(record))
    elif event in (None, LogEvent.ERROR) and not KNOWN.match(text := spell(record)):
        display.say(text)


def _spell(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
    )
