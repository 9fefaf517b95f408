"""What the results were made with, what the next run would make again, and how long that took last time."""

import contextlib
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from brain2image.core.errors import InputError
from brain2image.core.fingerprint import source_fingerprint
from brain2image.core.manifest import recorded_params

SCRIPTS = Path("workflow/scripts")
FINGERPRINT = re.compile(r"'([0-9a-f]{16})'")
# How Snakemake begins a reason, and what that means here.
REASONS = {
    "Missing output files": "missing",
    "Params have changed": "config",
    "Set of input files has changed": "other inputs",
    "Updated input files": "changed inputs",
    "Input files updated by another job": "after another stage",
    "Software environment definition has changed": "environment",
}


class PlannedJob(NamedTuple):
    """A job that Snakemake lists; ``name`` is its log file's: ``train/BRAINS/flatten``."""

    name: str
    rule: str
    results: str
    outputs: list[str]
    benchmark: str | None
    reason: str


class Stage(NamedTuple):
    """The jobs of one rule.

    Attributes
    ----------
    rule : its name.
    n_jobs : how many jobs it has.
    made_with : fingerprints of the sources that made what lies there.
    source : fingerprint of its source now.
    n_stale : how many jobs the next run would do.
    seconds : what these took last time, for those that have run before.
    reasons : why they are stale.
    """

    rule: str
    n_jobs: int
    made_with: set[str]
    source: str
    n_stale: int
    seconds: list[float]
    reasons: list[str]


class _Plan(logging.Handler):
    """Collects the jobs among Snakemake's log records."""

    def __init__(self):
        super().__init__()
        self.jobs: list[PlannedJob] = []

    def emit(self, record: logging.LogRecord) -> None:
        from snakemake_interface_logger_plugins.common import LogEvent

        if getattr(record, "event", None) == LogEvent.JOB_INFO and record.log:
            rule = record.rule_name
            results, _, rest = record.log[0].removesuffix(".log").rpartition(f"/logs/{rule}")
            job = (rule, results, record.output, record.benchmark, record.reason)
            self.jobs.append(PlannedJob(f"{rule}{rest}", *job))


def planned_jobs(*arguments: str) -> list[PlannedJob]:
    """The jobs that ``snakemake --dry-run`` with these arguments lists for the checkout in this folder.

    Raises
    ------
    InputError
        When Snakemake cannot plan, with what it says.
    """
    from snakemake import cli

    plan, output = _Plan(), io.StringIO()
    logging.getLogger().addHandler(plan)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            cli.main(["--dry-run", "--nocolor", *arguments])
    except SystemExit as end:
        if end.code:
            raise InputError(f"snakemake: {' '.join(output.getvalue().split())}") from None
    finally:
        logging.getLogger().removeHandler(plan)
    return plan.jobs


def take_status(*arguments: str) -> list[Stage]:
    """All stages of the checkout in this folder, in the order in which they run.

    Parameters
    ----------
    arguments : of ``snakemake``, for example ``--configfile config/demo.yaml``.

    Raises
    ------
    InputError
        When Snakemake cannot plan.
    """
    jobs = planned_jobs("--forceall", *arguments)
    stale = {job.name: job for job in planned_jobs(*arguments)}
    rules = dict.fromkeys(job.rule for job in jobs)
    return [_stage(rule, [job for job in jobs if job.rule == rule], stale) for rule in rules]


def _stage(rule: str, jobs: Sequence[PlannedJob], stale: dict[str, PlannedJob]) -> Stage:
    source = source_fingerprint(SCRIPTS / f"{rule}.py")
    made_with = {recorded_fingerprint(job.results, job.outputs[0]) for job in jobs} - {None}
    due = [stale[job.name] for job in jobs if job.name in stale]
    reasons = {_explain(job.reason): None for job in due}
    if made_with - {source}:
        reasons.pop("config", None)  # Snakemake compares the source as it does the config
        reasons["older source"] = None
    seconds = [taken for job in due if (taken := last_seconds(job.benchmark)) is not None]
    return Stage(rule, len(jobs), made_with, source, len(due), seconds, list(reasons))


def _explain(reason: str) -> str:
    return next((text for start, text in REASONS.items() if reason.startswith(start)), reason)


def recorded_fingerprint(results: str, output: str) -> str | None:
    """The `source_fingerprint` that was noted with an output below ``results``; None without a note."""
    texts = recorded_params(results, output)
    return next((found[1] for text in texts if (found := FINGERPRINT.fullmatch(text))), None)


def last_seconds(benchmark: str | None) -> float | None:
    """Seconds that a job took when it last ran to its end, from Snakemake's benchmark file."""
    try:
        return float(Path(benchmark).read_text().splitlines()[1].split("\t")[0])
    except (OSError, TypeError, ValueError, IndexError):
        return None


def status_table(stages: Sequence[Stage]) -> Table:
    """The stages of `take_status`, a row each, and below them what the next run would cost."""
    n_stale, seconds = sum(stage.n_stale for stage in stages), sum(sum(stage.seconds) for stage in stages)
    n_new = n_stale - sum(len(stage.seconds) for stage in stages)
    caption = f"{n_stale} of {sum(stage.n_jobs for stage in stages)} jobs would run"
    if n_stale > n_new:
        caption += f"; last time they took {_duration(seconds)}, one after the other"
    if n_new:
        caption += f"; {n_new} have not run before"
    table = Table(caption=caption, box=SIMPLE_HEAD)
    for heading in ("stage", "made with source", "source now"):
        table.add_column(heading, no_wrap=True)
    for heading in ("jobs", "stale", "last time"):
        table.add_column(heading, justify="right")
    table.add_column("why")
    for stage in stages:
        table.add_row(
            stage.rule,
            "\n".join(sorted(stage.made_with)) or "-",
            "same" if stage.made_with == {stage.source} else stage.source,
            str(stage.n_jobs),
            str(stage.n_stale or "-"),
            _duration(sum(stage.seconds)) if stage.seconds else "-",
            ", ".join(stage.reasons),
        )
    return table


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
