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
from brain2image.core.manifest import job_place, recorded_params
from brain2image.core.versions import UPGRADE, Upgrade, find_upgrades

FINGERPRINT = re.compile(r"'([0-9a-f]{16})'")
SHOWN_DIGITS = 8  # of a fingerprint, in the table
# What the rules say of an error that the user can mend: a line below its kind and above the frames.
SAID = re.compile(r"^ *WorkflowError(?: in file .*)?:\n *(.+)$", re.MULTILINE)
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
    """A job that Snakemake lists.

    Attributes
    ----------
    name : of its log file: ``train/BRAINS/flatten``.
    rule, results, outputs, benchmark, reason : what Snakemake says of it.
    source : fingerprint of its source now.
    """

    name: str
    rule: str
    results: str
    outputs: list[str]
    benchmark: str | None
    reason: str
    source: str = ""


class Stage(NamedTuple):
    """The jobs of one rule.

    Attributes
    ----------
    rule : its name.
    n_jobs : how many jobs it has.
    made_with : fingerprints of the sources that made what lies there.
    source : fingerprints of their sources now; they differ where jobs read by modules of their own.
    upgrades : libraries that made what lies there in another minor version than the one installed now.
    n_stale : how many jobs the next run would do.
    seconds : what these took last time, for those that have run before.
    reasons : why they are stale.
    """

    rule: str
    n_jobs: int
    made_with: set[str]
    source: set[str]
    upgrades: list[Upgrade]
    n_stale: int
    seconds: list[float]
    reasons: list[str]


class _Plan(logging.Handler):
    """Collects the jobs and the errors among Snakemake's log records."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[PlannedJob] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        from snakemake_interface_logger_plugins.common import LogEvent

        said = vars(record)  # Snakemake adds its own to what a record always has
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())
        if said.get("event") == LogEvent.JOB_INFO and said["log"]:
            rule = said["rule_name"]
            if place := job_place(said["log"][0], rule):
                results, name = place
                job = (rule, results, said["output"], said["benchmark"], said["reason"])
                self.jobs.append(PlannedJob(name, *job))


def planned_jobs(*arguments: str) -> list[PlannedJob]:
    """List the jobs that ``snakemake --dry-run`` with these arguments plans for the checkout in this folder.

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
            raise InputError(_one_line("\n".join(plan.errors) or output.getvalue())) from None
    finally:
        logging.getLogger().removeHandler(plan)
    sources = _sources()
    return [job._replace(source=sources[job.name]) for job in plan.jobs]


def _one_line(said: str) -> str:
    """Return what is wrong, out of what Snakemake says of an error."""
    line = SAID.search(said)
    return line[1] if line else f"snakemake: {' '.join(said.split())}"


def _sources() -> dict[str, str]:
    """Return the fingerprint that every job of the plan has among its params, by the job's name."""
    from brain2image.core.records import ResultsPersistence

    planned = ResultsPersistence.planned
    assert planned is not None  # by the dry run
    jobs = [job for job in planned.dag.jobs if job.log]
    places = {job: job_place(job.log[0], job.rule.name) for job in jobs}
    return {place[1]: job.params.code for job, place in places.items() if place}


def take_status(*arguments: str) -> list[Stage]:
    """List all stages of the checkout in this folder, in the order in which they run.

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
    pairs = {(recorded_fingerprint(job.results, job.outputs[0]), job.source) for job in jobs}
    made_with, source = {found for found, _ in pairs if found}, {now for _, now in pairs}
    upgrades = {upgrade for job in jobs for upgrade in find_upgrades(job.results, job.name)}
    due = [stale[job.name] for job in jobs if job.name in stale]
    reasons = {_explain(job.reason): None for job in due}
    if any(found not in (None, now) for found, now in pairs):
        reasons.pop("config", None)  # Snakemake compares the source as it does the config
        reasons["older source"] = None
    seconds = [taken for job in due if (taken := last_seconds(job.benchmark)) is not None]
    return Stage(rule, len(jobs), made_with, source, sorted(upgrades), len(due), seconds, list(reasons))


def _explain(reason: str) -> str:
    if UPGRADE in reason:
        return "other versions"
    return next((text for start, text in REASONS.items() if reason.startswith(start)), reason)


def recorded_fingerprint(results: str, output: str) -> str | None:
    """Read the `source_fingerprint` noted with an output below ``results``; None without a note."""
    texts = recorded_params(results, output)
    return next((found[1] for text in texts if (found := FINGERPRINT.fullmatch(text))), None)


def last_seconds(benchmark: str | None) -> float | None:
    """Read how many seconds a job took when it last ran to its end, from Snakemake's benchmark file."""
    if benchmark is None:
        return None
    try:
        return float(Path(benchmark).read_text().splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def status_table(stages: Sequence[Stage]) -> Table:
    """Tabulate the stages of `take_status`, a row each, and below them what the next run would cost."""
    n_stale, seconds = sum(stage.n_stale for stage in stages), sum(sum(stage.seconds) for stage in stages)
    n_new = n_stale - sum(len(stage.seconds) for stage in stages)
    caption = f"{n_stale} of {sum(stage.n_jobs for stage in stages)} jobs would run"
    if n_stale > n_new:
        caption += f"; last time they took {_duration(seconds)}, one after the other"
    if n_new:
        caption += f"; {n_new} have not run before"
    upgraded = [
        f"{stage.rule}: made with {_spell(upgrade)}" for stage in stages for upgrade in stage.upgrades
    ]
    caption = "\n".join([caption, *upgraded])
    table = Table(caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    for heading in ("made with source", "source now"):
        table.add_column(heading, min_width=SHOWN_DIGITS)
    for heading in ("jobs", "stale", "last time"):
        table.add_column(heading, justify="right")
    table.add_column("why")
    for stage in stages:
        table.add_row(
            stage.rule,
            _shorten(stage.made_with) or "-",
            "same" if stage.made_with == stage.source else _shorten(stage.source),
            str(stage.n_jobs),
            str(stage.n_stale or "-"),
            _duration(sum(stage.seconds)) if stage.seconds else "-",
            ", ".join(stage.reasons),
        )
    return table


def _shorten(fingerprints: set[str]) -> str:
    return "\n".join(sorted(fingerprint[:SHOWN_DIGITS] for fingerprint in fingerprints))


def _spell(upgrade: Upgrade) -> str:
    return f"{upgrade.library} {upgrade.before}, now {upgrade.now}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
