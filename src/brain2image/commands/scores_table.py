"""The scores of all runs as a table of the terminal."""

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from brain2image.evaluation.scores import SMALLER_IS_BETTER
from brain2image.evaluation.summary import headline, over_seeds
from brain2image.report.headings import METRICS, Column
from brain2image.report.verdicts import against_baselines, learned_from, without_network

SHOWN = ("top1", "top5", "two_way", "median_rank", "mse", "cosine")  # metrics of the table
WIDE = 120  # columns of a terminal on which a score, its deviation and chance share a line


def summary_table(summary: pd.DataFrame, comparisons: pd.DataFrame, brains: str, *, width: int) -> Table:
    """Tabulate the headline scores of one pair of brains, a row a run: ``score (chance)``, ± SD over seeds.

    Parameters
    ----------
    summary, comparisons : the tables of ``results/summary.csv`` and ``results/comparisons.csv``.
    brains : an EEG person and an fMRI subject.
    width : columns of the terminal; on a narrow one deviation and chance stand below the score.
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
        caption="\n".join(notes),  # Rich wraps it to the table's width
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("run", overflow="fold")
    between = " " if width >= WIDE else "\n"
    for metric in SHOWN:
        table.add_column(METRICS[metric].heading.replace(" ", between), justify="right")
    for run in dict.fromkeys(rows.index.get_level_values("run")):
        table.add_row(
            run, *(between.join(_cell(rows.loc[(run, metric)], METRICS[metric])) for metric in SHOWN)
        )
    return table


def _cell(score: pd.Series, column: Column) -> list[str]:
    """Spell a score, its deviation over seeds where there is one, and chance."""
    gain = score["value"] - score["chance"]
    is_better = gain < 0 if score.name[1] in SMALLER_IS_BETTER else gain > 0
    mark = "*" if is_better and score["p"] < 0.01 else " "
    chance = f"({column.show(score['chance'])})"
    if pd.isna(score["deviation"]):
        return [f"{column.show(score['value'])}{mark}", chance]
    return [column.show(score["value"]), f"± {column.show(score['deviation'])}{mark}", chance]
