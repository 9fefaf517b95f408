"""The commands around the workflow: ``brain2image run``, ``check``, ``status``, ``report`` and so on."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Commands that call Snakemake: what follows `--` are options of its own.
CALLING = ("run", "check", "report", "fetch")


def _console() -> "Console":
    """Return where tables are printed, 80 columns where no terminal says; square brackets are themselves."""
    from rich.console import Console

    return Console(markup=False)


def _call(options: argparse.Namespace, targets: Sequence[str], *further: str, cores: str = "1") -> None:
    """Make a call of Snakemake with the options of a command; what a dry run says is its purpose."""
    from brain2image.commands.snakemake_calls import call_snakemake, snakemake_arguments

    call_snakemake(
        snakemake_arguments(
            targets,
            configfile=options.configfile,
            cores=cores,
            is_short=not (options.verbose or "--dry-run" in further),
            further=[*further, *options.further],
        )
    )


def run_workflow(options: argparse.Namespace) -> None:
    """Run the workflow, or some of its targets."""
    _call(options, options.targets, *(["--dry-run"] if options.dry_run else []), cores=options.cores)


def check_data(options: argparse.Namespace) -> None:
    """Print what data and weights were found, and what is missing."""
    _call(options, ["check_data"])


def write_report(options: argparse.Namespace) -> None:
    """Write the report of the results that are there, or Snakemake's own."""
    from brain2image.commands.snakemake_calls import (
        call_snakemake,
        provenance_arguments,
        report_arguments,
        report_folder,
    )

    if options.provenance:
        call_snakemake(provenance_arguments(options.configfile, options.provenance, options.further))
        return
    arguments = report_arguments(options.configfile, options.further, is_short=not options.verbose)
    try:
        call_snakemake(arguments)
    except SystemExit as end:
        if end.code:
            raise
    print(f"Report: {report_folder(options.configfile)}/index.html")


def fetch_weights(options: argparse.Namespace) -> None:
    """Download the weights that the config needs; with ``--refresh`` ask for those again that are there."""
    from brain2image.weights.download import REFRESH

    if options.refresh:
        os.environ[REFRESH] = "1"  # read by the jobs
    # all jobs of that target, which has no others
    _call(options, ["fetch_weights"], *(["--forceall"] if options.refresh else []))


def print_status(options: argparse.Namespace) -> None:
    """Print what the results in this folder were made with, and what the next run would make again."""
    from brain2image.commands.snakemake_calls import check_folder
    from brain2image.config import check_config_file
    from brain2image.core.status import status_table, take_status

    check_folder()
    configfile = ["--configfile", options.configfile] if options.configfile else []
    for file in configfile[1:]:
        check_config_file(file)
    _console().print(status_table(take_status(*configfile)))


def print_summary(options: argparse.Namespace) -> None:
    """Print the table of each pair of brains."""
    from brain2image.commands.scores_table import summary_table
    from brain2image.formats.tables import COMPARISONS, SUMMARY, read_table

    path = Path(options.file or _summary_of(options.configfile))
    summary = read_table(path, SUMMARY, remedy="give a summary.csv, which the workflow writes")
    comparisons = read_table(path.with_name("comparisons.csv"), COMPARISONS, may_be_empty=True)
    console = _console()
    for brains in dict.fromkeys(summary["brains"]):
        console.print(summary_table(summary, comparisons, brains, width=console.width))


def _summary_of(configfile: str | None) -> str:
    from brain2image.commands.snakemake_calls import read_config

    return f"{read_config(configfile).results}/summary.csv"


def _cores(text: str) -> str:
    """Check a number of cores, or all."""
    if text != "all" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number of cores, or all, got {text!r}")
    return text


def add_workflow(commands: argparse._SubParsersAction) -> None:
    """Add the commands that stand before calls of Snakemake."""
    last = "Options of Snakemake itself come last, after --: brain2image {} -- {}."
    run = commands.add_parser(
        "run", help="run the workflow", epilog=last.format("run", "--keep-going --set-threads train=2")
    )
    run.add_argument("targets", nargs="*", metavar="TARGET", help="rules or files (everything)")
    run.add_argument("--cores", type=_cores, default="all", metavar="N", help="that jobs share (all)")
    run.add_argument("--dry-run", action="store_true", help="only list what would run, and why")
    run.set_defaults(call=run_workflow)
    check = commands.add_parser("check", help="print which data and weights are there, and what is missing")
    check.set_defaults(call=check_data)
    report = commands.add_parser("report", help="write the report, a folder of pages for any browser")
    report.add_argument(
        "--provenance",
        metavar="FILE",
        help="write Snakemake's own report instead (rules, jobs, code): .html, or .zip of large results",
    )
    report.set_defaults(call=write_report)
    fetch = commands.add_parser("fetch", help="download the weights that the config needs")
    fetch.add_argument("--refresh", action="store_true", help="ask for them again where they are there")
    fetch.set_defaults(call=fetch_weights)
    status = commands.add_parser("status", help="print which results are stale, why, and how long they took")
    status.set_defaults(call=print_status)
    summary = commands.add_parser("summary", help="print the scores of all runs as a table")
    summary.add_argument("file", nargs="?", help="results/summary.csv, or that of other results")
    summary.set_defaults(call=print_summary)
    for command in (run, check, fetch, report):
        command.add_argument("--verbose", action="store_true", help="print all that Snakemake says")
    for command in (run, check, report, fetch, status, summary):
        command.add_argument("--configfile", metavar="FILE", help="instead of config/config.yaml")
