"""The command ``brain2image``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from brain2image.config_docs import write_config_docs
from brain2image.errors import InputError

# Column heading and number format of each metric.
METRICS = {
    "top1": ("top-1 %", "{:.1%}"),
    "top5": ("top-5 %", "{:.1%}"),
    "top10": ("top-10 %", "{:.1%}"),
    "median_rank": ("median rank", "{:.1f}"),
    "mse": ("MSE", "{:.3g}"),
    "cosine": ("cosine", "{:.3f}"),
}


def summary_table(summary: pd.DataFrame, pair: str) -> Table:
    """The scores of one pair of brains: a row a run, then chance; ``*`` marks p < 0.01 by permutation.

    Parameters
    ----------
    summary : the table of ``results/summary.csv``.
    pair : pair of brains, for example ``sub-01_subj01``.
    """
    rows = summary[summary["pair"] == pair].set_index(["run", "metric"])
    table = Table(
        title=f"{pair}: {rows['n_test'].iloc[0]} test pictures", caption="* p < 0.01 by permutation"
    )
    table.add_column("")
    for heading, _ in METRICS.values():
        table.add_column(heading, justify="right")
    runs = list(dict.fromkeys(rows.index.get_level_values("run")))
    for run in runs:
        scores = [rows.loc[(run, metric)] for metric in METRICS]
        table.add_row(
            run, *(_cell(score, style) for score, (_, style) in zip(scores, METRICS.values(), strict=True))
        )
    return table


def _cell(score: pd.Series, style: str) -> str:
    mark = "*" if score["p"] < 0.01 else " "
    return f"{style.format(score['value'])}{mark} ({style.format(score['chance'])})"


def print_summary(options: argparse.Namespace) -> None:
    """Print the table of each pair of brains."""
    try:
        content = pd.read_csv(options.file)
    except FileNotFoundError:
        raise InputError(f"{options.file}: no such file; run the workflow first") from None
    console = Console()
    for pair in dict.fromkeys(content["pair"]):
        console.print(summary_table(content, pair))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="brain2image", description=__doc__)
    commands = parser.add_subparsers(required=True)
    summary = commands.add_parser("summary", help="print the scores of all runs as a table")
    summary.add_argument("file", help="results/summary.csv or results/demo/summary.csv")
    summary.set_defaults(run=print_summary)
    docs = commands.add_parser("config-docs", help="write config.yaml and README.md from the config's schema")
    docs.add_argument("folder", type=Path, help="the folder config/ of the checkout")
    docs.set_defaults(run=lambda options: write_config_docs(options.folder))
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        sys.exit(f"brain2image: {error}")


if __name__ == "__main__":
    main()
