"""The command ``brain2image``."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import pandas as pd
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brain2image.config import check_config_file
from brain2image.config.documents import write_config_docs
from brain2image.core.errors import InputError
from brain2image.core.status import status_table, take_status
from brain2image.datasets.units import RMS_RANGES
from brain2image.evaluation.scores import SMALLER_IS_BETTER
from brain2image.evaluation.summary import headline, over_seeds
from brain2image.formats.tables import COMPARISONS, SUMMARY, read_table
from brain2image.report.headings import METRICS, Column
from brain2image.report.verdicts import against_baselines, learned_from, without_network
from brain2image.weights.download import REFRESH

SHOWN = ("top1", "top5", "two_way", "median_rank", "mse", "cosine")  # metrics of the table
NOTE_WIDTH = 98  # characters of the notes below it


def summary_table(summary: pd.DataFrame, comparisons: pd.DataFrame, brains: str) -> Table:
    """Tabulate the headline scores of one pair of brains, a row a run: ``score (chance)``, ± SD over seeds.

    Parameters
    ----------
    summary, comparisons : the tables of ``results/summary.csv`` and ``results/comparisons.csv``.
    brains : an EEG person and an fMRI subject.
    """
    summary = summary[summary["brains"] == brains]
    rows = over_seeds(headline(summary), ["run", "metric"])
    verdicts = against_baselines(summary, comparisons[comparisons["brains"] == brains])
    passed_over = f"; {n} candidates passed over" if (n := summary["n_passed_over"].iloc[0]) else ""
    pictures = f"{rows['n_test'].iloc[0]} test pictures of {rows['n_concepts'].iloc[0]} concepts"
    notes = [
        "* better than chance, p < 0.01 by permutation of concepts",
        learned_from(summary),
        *verdicts,
        *without_network(summary),
    ]
    table = Table(
        title=f"{brains}: {pictures}, score (chance){passed_over}",
        caption="\n".join(text for note in notes for text in wrap(note, NOTE_WIDTH)),
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("run", no_wrap=True)
    for metric in SHOWN:
        table.add_column(METRICS[metric].heading, justify="right")
    for run in dict.fromkeys(rows.index.get_level_values("run")):
        table.add_row(run, *(_cell(rows.loc[(run, metric)], METRICS[metric]) for metric in SHOWN))
    return table


def _cell(score: pd.Series, column: Column) -> str:
    gain = score["value"] - score["chance"]
    is_better = gain < 0 if score.name[1] in SMALLER_IS_BETTER else gain > 0
    mark = "*" if is_better and score["p"] < 0.01 else " "
    spread = "" if pd.isna(score["deviation"]) else f" ± {column.show(score['deviation'])}"
    return f"{column.show(score['value'])}{spread}{mark} ({column.show(score['chance'])})"


def _console() -> Console:
    """Return where tables are printed; square brackets stand for themselves."""
    return Console(width=None if sys.stdout.isatty() else 200, markup=False)


def print_summary(options: argparse.Namespace) -> None:
    """Print the table of each pair of brains."""
    path = Path(options.file)
    summary = read_table(path, SUMMARY, remedy="give a summary.csv, which the workflow writes")
    comparisons = read_table(path.with_name("comparisons.csv"), COMPARISONS, may_be_empty=True)
    console = _console()
    for brains in dict.fromkeys(summary["brains"]):
        console.print(summary_table(summary, comparisons, brains))


def print_status(options: argparse.Namespace) -> None:
    """Print what the results in this folder were made with, and what the next run would make again."""
    configfile = ["--configfile", options.configfile] if options.configfile else []
    for file in configfile[1:]:
        check_config_file(file)
    stages = take_status(*configfile)
    _console().print(status_table(stages))


def fetch_weights(options: argparse.Namespace) -> None:
    """Download the weights that the config needs; with ``--refresh`` ask for those again that are there."""
    from snakemake import cli

    arguments = ["fetch_weights", "--cores", "1"]
    if options.configfile:
        arguments += ["--configfile", options.configfile]
    if options.refresh:
        os.environ[REFRESH] = "1"  # read by the jobs
        arguments += ["--forceall"]  # of that target, which has no other jobs
    cli.main(arguments)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a command that takes EEG, by the names of the function that it calls."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = {name: value for name, value in vars(options).items() if name != "call"}
    return given | {"rename": dict(options.rename or ())}


def translate_file(options: argparse.Namespace) -> None:
    """Write the embeddings of an EEG file."""
    from brain2image.translation.embeddings import write_translation

    write_translation(**_given(options))
    print(f"Embeddings: {options.out}")


def calibrate_run(options: argparse.Namespace) -> None:
    """Fit a run to somebody new, and say how much that helps."""
    from brain2image.translation.calibrating import calibrate
    from brain2image.translation.personal import describe

    found = calibrate(**_given(options))
    print(f"{describe(found)}\nCalibrated run: {options.out}")


def _renaming(text: str) -> tuple[str, str]:
    """Divide ``OLD=NEW`` into its two names; an old name may hold the sign."""
    old, _, new = text.rpartition("=")
    if not old or not new:
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


def _preparation(text: str) -> Any:
    """Read a value of ``clip.preprocess`` as the config's YAML has it."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"expected a value of clip.preprocess, got {text!r}") from None


def _add_eeg(command: argparse.ArgumentParser) -> None:
    """Add the arguments of EEG, which are the same wherever it is taken."""
    add = command.add_argument
    add("--run", required=True, help="folder of a trained run: results/runs/BRAINS/RUN")
    add(
        "--eeg", required=True, help="what MNE reads (BrainVision, EDF, FIF, …epo.fif, BIDS), .npy, or eeg.h5"
    )
    add("--unit", choices=list(RMS_RANGES), help="of the samples; what MNE reads is V")
    add("--channels", nargs="+", metavar="NAME", help="of all channels, in the file's order")
    add("--sfreq", type=float, metavar="HZ", help="rate of a .npy file")
    add("--events", nargs="+", metavar="EVENT", help="take these alone, as they stand in the file")
    add("--event-column", metavar="NAME", help="of a BIDS events.tsv, the column that names the events")
    add("--shift", type=float, default=0.0, metavar="MS", help="from the event to the picture (0)")
    add("--line-freq", type=float, metavar="HZ", help="power line of a recording that does not say so")
    add("--reference", nargs="+", metavar="NAME", help="average, or channels to reference the EEG to")
    add("--rename", nargs="+", type=_renaming, metavar="OLD=NEW", help="names of single channels")
    add("--rename-table", metavar="FILE", help="old and new names, two columns (TSV or CSV)")
    add("--montage", metavar="CAP", help="map a cap by position: biosemi128, GSN-HydroCel-128, … as MNE says")
    add("--interpolate", action="store_true", help="make up for missing, bad and flat channels")
    add("--min-channels", type=int, metavar="N", help="that must have an electrode within 20 mm (half)")


def _add_translate(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("translate", help="predict the fMRI embeddings of new EEG")
    _add_eeg(command)
    add = command.add_argument
    add("--out", required=True, help="file to write: .h5 or .parquet")
    add("--person", metavar="NAME", help="whom a run of several people knows; without it somebody new")
    add("--average", action="store_true", help="one embedding an event, from the mean EEG of its trials")
    add("--gallery", metavar="FILE", help="look up the nearest pictures of results/projection/SUBJ.h5")
    add("--top-k", type=int, default=5, metavar="N", help="number of nearest pictures (5)")
    command.set_defaults(call=translate_file)


def _add_calibrate(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("calibrate", help="fit a run to somebody new, by EEG of pictures they saw")
    _add_eeg(command)
    add = command.add_argument
    add(
        "--pictures",
        required=True,
        metavar="PATH",
        help="folder of pictures called as their events, or table",
    )
    add("--out", required=True, metavar="FOLDER", help="of the calibrated run, to write")
    add("--person", metavar="NAME", help="whose EEG it is (the name of its file)")
    add("--encoder", metavar="FILE", help="results/projection/DATASET_SUBJ.encoder.safetensors of the run")
    add("--clip", metavar="WEIGHTS", help="with which the encoder was fitted: a file or an open_clip tag")
    add(
        "--preprocess",
        type=_preparation,
        default="auto",
        metavar="HOW",
        help="how pictures are prepared for those weights, as in the config's clip.preprocess (auto)",
    )
    command.set_defaults(call=calibrate_run)


def command_line() -> argparse.ArgumentParser:
    """Build the parser of all commands; `call` of what it parses does the work."""
    parser = argparse.ArgumentParser(prog="brain2image", description=__doc__)
    commands = parser.add_subparsers(required=True)
    summary = commands.add_parser("summary", help="print the scores of all runs as a table")
    summary.add_argument("file", help="results/summary.csv or results/demo/summary.csv")
    summary.set_defaults(call=print_summary)
    status = commands.add_parser("status", help="print which results are stale, why, and how long they took")
    status.add_argument("--configfile", help="the config of the results; config/config.yaml by default")
    status.set_defaults(call=print_status)
    fetch = commands.add_parser("fetch", help="download the weights that the config needs")
    fetch.add_argument("--refresh", action="store_true", help="ask for them again where they are there")
    fetch.add_argument("--configfile", help="config/config.yaml by default")
    fetch.set_defaults(call=fetch_weights)
    _add_translate(commands)
    _add_calibrate(commands)
    docs = commands.add_parser("config-docs", help="write the documents of config/ from the config's schema")
    docs.add_argument("folder", type=Path, help="the folder config/ of the checkout")
    docs.set_defaults(call=lambda options: write_config_docs(options.folder))
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = command_line().parse_args(arguments)
    try:
        options.call(options)
    except InputError as error:
        sys.exit(f"brain2image: {error}")


if __name__ == "__main__":
    main()
