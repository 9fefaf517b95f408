"""Runs in forks of one process that has imported Snakemake: a dry run takes a third of a new process's time.

The process must not import brain2image: every fork takes it from the checkout of its own dry run.
"""

import contextlib
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

# imported here once, as Snakemake and the rules import them late
import jsonschema  # noqa: F401
import nbformat  # noqa: F401
import pandas  # noqa: F401
import pydantic  # noqa: F401
import pytest  # noqa: F401
import smart_open  # noqa: F401
from snakemake import cli, parser, storage  # noqa: F401
from snakemake.api import SnakemakeApi
from snakemake.settings import types
from snakemake.settings.enums import Quietness

from helpers.checkouts import TINY, changed_config, clone
from helpers.fork_server import SCRIPT_SERVER, fork_server, in_fork, second_server
from helpers.forked_scripts import fork_scripts

cli.get_argument_parser()  # loads the plugins


class JobParams(NamedTuple):
    """What a job gets as params, and the texts of it that Snakemake keeps and compares."""

    rule: str
    wildcards: dict[str, str]
    params: dict[str, Any]
    recorded: list[str]


def enter(folder: Path) -> None:
    """Make a checkout the one that this process works in."""
    assert "brain2image" not in sys.modules
    sys.path.insert(0, f"{folder}/src")
    os.environ["PYTHONPATH"] = f"{folder}/src"
    os.chdir(folder)
    import brain2image

    assert brain2image.__file__ == f"{folder}/src/brain2image/__init__.py"
    from brain2image.core import fingerprint
    from helpers.warm_sources import recall

    recall(fingerprint)


def dry_run(folder: Path, *arguments: str) -> set[str]:
    """What `snakemake --dry-run` would run in a checkout: ``train/things-01_subj01/flatten`` and so on."""
    enter(folder)
    return plan_here(*arguments)


def plan_here(*arguments: str) -> set[str]:
    """The same for the checkout that this process has entered."""
    from brain2image.core.status import planned_jobs

    return {job.name for job in planned_jobs(*arguments)}


def with_version(library: str, version: str) -> Any:
    """Context in which a library seems to be installed in another version."""
    real = metadata.version
    return mock.patch.object(metadata, "version", lambda name: version if name == library else real(name))


def plan_upgraded(folder: Path, library: str, version: str, *arguments: str) -> set[str]:
    """What `dry_run` would run with another version of a library."""
    with with_version(library, version):
        return dry_run(folder, *arguments)


def status_upgraded(
    folder: Path, library: str, version: str, *arguments: str
) -> dict[str, tuple[list[tuple[str, ...]], list[str]]]:
    """Upgrades and reasons of what is stale, as `brain2image status` has them for each rule."""
    enter(folder)
    from brain2image.core.status import take_status

    with with_version(library, version):
        stages = take_status(*arguments)
    return {stage.rule: (list(map(tuple, stage.upgrades)), stage.reasons) for stage in stages}


def run_snakemake(
    folder: Path,
    *arguments: str,
    config: str = TINY,
    environment: Mapping[str, str] | None = None,
    are_forked: bool = True,
) -> tuple[int, str]:
    """Run Snakemake in a checkout, its scripts in forks if that will do; its status and all that was said."""
    os.environ.update(environment or {})
    enter(folder)
    if are_forked:
        fork_scripts(os.environ[SCRIPT_SERVER])
    return _call(cli.main, ["--configfile", config, "--cores", "2", *arguments])


def run_command(folder: Path, *arguments: str, columns: int = 80) -> tuple[int, str]:
    """Run the `brain2image` command in a checkout, in lines of so many columns; the same is returned."""
    os.environ["COLUMNS"] = str(columns)
    enter(folder)
    from brain2image.__main__ import main

    return _call(main, list(arguments))


def _call(program: Callable[[list[str]], Any], arguments: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())  # for good: this process ends with its task
        status = 0
        try:
            program(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):  # which Python prints
                print(end.code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        file.seek(0)
        return status, file.read().decode()


def job_params(folder: Path, config: str, *targets: str) -> list[JobParams]:
    """The params of all jobs of a checkout, from Snakemake's own objects."""
    with planned_workflow(folder, config, *targets) as workflow:
        return [
            JobParams(
                job.rule.name,
                dict(job.wildcards_dict),
                dict(job.params.items()),
                workflow.persistence._params(job),
            )
            for job in workflow.dag.jobs
        ]


def job_inputs(folder: Path, config: str, *targets: str) -> list[list[str]]:
    """The input files of all jobs of a checkout, from Snakemake's own objects."""
    with planned_workflow(folder, config, *targets) as workflow:
        return [list(map(str, job.input)) for job in workflow.dag.jobs]


def note_start(folder: Path, config: str, target: str) -> None:
    """Note that the job that makes a file has started, and do no more."""
    with planned_workflow(folder, config, target) as workflow:
        workflow.persistence.started(next(job for job in workflow.dag.jobs if target in job.output))


class PlannedSource(NamedTuple):
    """What a job's fingerprint is made of, its script first, and the jobs whose files make it stale."""

    roots: list[str]
    dependencies: set[str]


def job_sources(folder: Path, config: str) -> dict[str, PlannedSource]:
    """The sources of all jobs of a checkout, by the jobs' names."""
    enter(folder)
    from brain2image.core import fingerprint
    from brain2image.core.manifest import job_place

    roots, real = {}, fingerprint.source_fingerprint

    def remember(*given: str | Path) -> str:
        digest = real(*given)
        roots[digest] = [str(root) for root in given]
        return digest

    fingerprint.source_fingerprint = remember  # before the workflow imports it
    with planned_here(folder, config) as workflow:
        dag = workflow.dag
        names = {job: job_place(job.log[0], job.rule.name)[1] for job in dag.jobs if job.log}
        return {
            name: PlannedSource(
                roots[job.params.code],
                {
                    names[other]
                    for other, files in dag.dependencies[job].items()
                    if other in names and not all(file.is_ancient for file in files)
                },
            )
            for job, name in names.items()
        }


def planned_workflow(folder: Path, config: str, *targets: str) -> contextlib.AbstractContextManager[Any]:
    """Snakemake's own objects for a checkout, after a dry run of all jobs."""
    enter(folder)
    return planned_here(folder, config, *targets)


@contextlib.contextmanager
def planned_here(folder: Path, config: str, *targets: str) -> Iterator[Any]:
    """The same for the checkout that this process has entered."""
    with SnakemakeApi(types.OutputSettings(quiet={Quietness.ALL}, dryrun=True)) as api:
        workflow = api.workflow(
            types.ResourceSettings(cores=1), types.ConfigSettings(configfiles=[folder / config])
        )
        workflow.dag(types.DAGSettings(targets=set(targets), forceall=True)).execute_workflow("dryrun")
        yield workflow._workflow  # there is no public way to the jobs


class Change(NamedTuple):
    """A change of a finished checkout.

    Attributes
    ----------
    config : keys with a new value.
    appended : files, and what is added at their ends; new ones hold nothing else.
    """

    config: Mapping[str, Any] = {}
    appended: Mapping[str, str] = {}


@contextlib.contextmanager
def appended_to(folder: Path, appended: Mapping[str, str]) -> Iterator[None]:
    """Add texts to the ends of files, and put the old ones back in the end, with their folders' times."""
    with tempfile.TemporaryDirectory(dir=folder) as aside, contextlib.ExitStack() as undone:
        for number, (file, text) in enumerate(appended.items()):
            path, old = folder / file, Path(aside, str(number))
            times = path.parent.stat()
            undone.callback(os.utime, path.parent, ns=(times.st_atime_ns, times.st_mtime_ns))
            if path.exists():
                content = path.rename(old).read_bytes()
                undone.callback(old.rename, path)
            else:
                content = b""
                undone.callback(path.unlink)
            path.write_bytes(content + text.encode())
        yield


def plan_changed_source(source: Path, target: Path, change: Change) -> set[str]:
    """What a change of modules or scripts makes stale.

    Parameters
    ----------
    source : the finished checkout, which stays as it is.
    target : its changed copy, which is removed.
    """
    clone(source, target)
    try:
        with appended_to(target, change.appended):
            return dry_run(target, "--configfile", changed_config(target, change.config))
    finally:
        shutil.rmtree(target)


def plan_changes(
    checkout: Path,
    changes: Mapping[str, Change],
    *,
    arguments: Sequence[str] = (),
    search_path: str | None = None,
) -> dict[str, set[str] | Exception]:
    """What each of several changes makes stale, of the config or of files that are no source, or the error.

    Each is planned in a fork of a process that has planned the unchanged checkout: the package, what the
    fingerprint reads and the parsed rules take two thirds of the time of a dry run.

    Parameters
    ----------
    checkout : a finished one, as it is again in the end.
    changes : by names of their own.
    arguments : further ones of Snakemake.
    search_path : where programs are looked for, if not along this process's own.
    """
    os.environ["PATH"] = search_path or os.environ["PATH"]
    name = f"changed{os.getpid()}.yaml"  # another process may plan for the same checkout

    def plan(change: Change) -> set[str]:
        with appended_to(checkout, change.appended):
            return plan_here("--configfile", changed_config(checkout, change.config, name=name), *arguments)

    with parsed_once():
        dry_run(checkout, "--configfile", TINY, *arguments)
        gc.freeze()  # else every fork would go through, and so copy, all that it shares with this process
        return {name: in_fork(plan, change) for name, change in changes.items()}


def parsed_once() -> contextlib.AbstractContextManager[Any]:
    """Context in which Snakemake parses each file of rules once."""
    known = {}

    def parse(path: Any, workflow: Any, linemap: dict[int, int], rulecount: int) -> tuple[str, int]:
        key = path.get_path_or_uri(secret_free=True), rulecount
        if key not in known:
            lines: dict[int, int] = {}
            known[key] = (parser.parse(path, workflow, lines, rulecount=rulecount), lines)
        result, lines = known[key]
        linemap.update(lines)
        return result

    return mock.patch("snakemake.workflow.parse", parse)


@contextlib.contextmanager
def warm_processes(n_processes: int = 2) -> Iterator[Pool]:
    """A pool that runs every task in a fork of its own of a process that has imported all that it needs."""
    # the servers look for the modules along their own path
    with (
        mock.patch.dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1])),
        second_server("helpers.warm_libraries") as address,
        mock.patch.dict(os.environ, {SCRIPT_SERVER: address}),
        fork_server("helpers.warm_sources") as context,
        context.Pool(n_processes, maxtasksperchild=1) as pool,
    ):
        yield pool
