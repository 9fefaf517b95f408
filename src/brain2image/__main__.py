"""The command ``brain2image``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brain2image.config import check_config_file
from brain2image.config.docs import write_config_docs
from brain2image.errors import InputError
from brain2image.evaluation import SMALLER_IS_BETTER, headline
from brain2image.status import status_table, take_status
from brain2image.summary import best, over_seeds
from brain2image.units import RMS_RANGES

# Column heading, factor and number format of each metric.
METRICS = {
    "top1": ("top-1 %", 100, "{:.1f}"),
    "top5": ("top-5 %", 100, "{:.1f}"),
    "two_way": ("2-way %", 100, "{:.1f}"),
    "median_rank": ("median rank", 1, "{:.1f}"),
    "mse": ("MSE", 1, "{:.3f}"),
    "cosine": ("cosine", 1, "{:.3f}"),
}


def summary_table(summary: pd.DataFrame, pair: str) -> Table:
    """The headline scores of one pair of brains, a row a run: ``score (chance)``, ± SD over seeds.

    Parameters
    ----------
    summary : the table of ``results/summary.csv``.
    pair : pair of brains, for example ``sub-01_subj01``.
    """
    rows = headline(summary[summary["pair"] == pair])
    rows = over_seeds(rows, ["run", "metric"])
    verdict = _verdict(rows["value"].xs("top1", level="metric"), best(summary[summary["pair"] == pair]))
    table = Table(
        title=f"{pair}: {rows['n_test'].iloc[0]} test pictures, score (chance)",
        caption=f"* better than chance, p < 0.01 by permutation\n{verdict}",
        box=SIMPLE_HEAD,
    )
    table.add_column("run", no_wrap=True)
    for heading, _, _ in METRICS.values():
        table.add_column(heading, justify="right")
    for run in dict.fromkeys(rows.index.get_level_values("run")):
        table.add_row(run, *(_cell(rows.loc[(run, metric)], *METRICS[metric][1:]) for metric in METRICS))
    return table


def _verdict(top1: pd.Series, best: dict[str, str]) -> str:
    """Which of the networks and the baselines finds more pictures."""
    network, baseline = best["network"], best["baseline"]
    if top1[network] > top1[baseline]:
        return f"{network} has a higher top-1 than every baseline (best: {baseline})"
    return f"no network has a higher top-1 than the best baseline, {baseline} (best network: {network})"


def _cell(score: pd.Series, factor: float, style: str) -> str:
    gain = score["value"] - score["chance"]
    is_better = gain < 0 if score.name[1] in SMALLER_IS_BETTER else gain > 0
    mark = "*" if is_better and score["p"] < 0.01 else " "
    spread = "" if pd.isna(score["deviation"]) else f" ± {style.format(factor * score['deviation'])}"
    return f"{style.format(factor * score['value'])}{spread}{mark} ({style.format(factor * score['chance'])})"


def _console() -> Console:
    """Where tables are printed; square brackets stand for themselves."""
    return Console(width=None if sys.stdout.isatty() else 200, markup=False)


def print_summary(options: argparse.Namespace) -> None:
    """Print the table of each pair of brains."""
    try:
        content = pd.read_csv(options.file)
    except FileNotFoundError:
        raise InputError(f"{options.file}: no such file; run the workflow first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{options.file}: expected a summary.csv, but {error}") from None
    if not {"pair", "run", "level", "metric", "value", "chance", "p", "low", "high"} <= set(content):
        raise InputError(f"{options.file}: expected a summary.csv, got columns {', '.join(content)}")
    console = _console()
    for pair in dict.fromkeys(content["pair"]):
        console.print(summary_table(content, pair))


def print_status(options: argparse.Namespace) -> None:
    """Print what the results in this folder were made with, and what the next run would make again."""
    configfile = ["--configfile", options.configfile] if options.configfile else []
    for file in configfile[1:]:
        check_config_file(file)
    stages = take_status(*configfile)
    _console().print(status_table(stages))


def translate_file(options: argparse.Namespace) -> None:
    """Write the embeddings of an EEG file."""
    from brain2image.translation import write_translation

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_translation(**{name: value for name, value in vars(options).items() if name != "call"})
    print(f"Embeddings: {options.out}")


def _add_translate(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("translate", help="predict the fMRI embeddings of new EEG")
    add = command.add_argument
    add("--run", required=True, help="folder of a trained run: results/runs/PAIR/RUN")
    add(
        "--eeg", required=True, help="what MNE reads (BrainVision, EDF, FIF, …epo.fif, BIDS), .npy, or eeg.h5"
    )
    add("--out", required=True, help="file to write: .h5 or .parquet")
    add("--unit", choices=list(RMS_RANGES), help="of the samples; what MNE reads is V")
    add("--channels", nargs="+", metavar="NAME", help="of all channels, in the file's order")
    add("--sfreq", type=float, metavar="HZ", help="rate of a .npy file")
    add("--events", nargs="+", metavar="EVENT", help="take these alone, as they stand in the file")
    add("--interpolate", action="store_true", help="make up for missing and bad channels")
    add("--average", action="store_true", help="one embedding an event, from the mean EEG of its trials")
    add("--gallery", metavar="FILE", help="look up the nearest pictures of results/projection/SUBJ.h5")
    add("--top-k", type=int, default=5, metavar="N", help="number of nearest pictures (5)")
    command.set_defaults(call=translate_file)


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands; `call` of what it parses does the work."""
    parser = argparse.ArgumentParser(prog="brain2image", description=__doc__)
    commands = parser.add_subparsers(required=True)
    summary = commands.add_parser("summary", help="print the scores of all runs as a table")
    summary.add_argument("file", help="results/summary.csv or results/demo/summary.csv")
    summary.set_defaults(call=print_summary)
    status = commands.add_parser("status", help="print which results are stale, why, and how long they took")
    status.add_argument("--configfile", help="the config of the results; config/config.yaml by default")
    status.set_defaults(call=print_status)
    _add_translate(commands)
    docs = commands.add_parser("config-docs", help="write config.yaml and README.md from the config's schema")
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
