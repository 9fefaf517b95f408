"""The figure that a paper would print: what is found, beside baselines, and by how many trials."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brain2image.evaluation.comparisons import ALL_BRAINS
from brain2image.evaluation.people_scores import PeopleScores
from brain2image.evaluation.summary import headline, kind, over_seeds
from brain2image.report.figures.score_plots import KINDS, RELATIONS, p_beside
from brain2image.report.figures.style import CHANCE
from brain2image.report.verdicts import best_network, best_run, relation

ROW = 0.26  # inches of a method
NAME = 5  # percent of the axis that the name of a line takes


def plot_summary(scores: PeopleScores, summary: pd.DataFrame, comparisons: pd.DataFrame) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    scores : of `people_scores.score_people`.
    summary, comparisons : the tables of all brains.

    Returns
    -------
    Panel A: top-1 of every method with its 95 % interval, over concepts of one pair of brains, over people,
    seeds and concepts of several, which are dots. B: the network with the highest top-1 less each baseline.
    C: its top-1, that of the best baseline and of the ceiling over the number of EEG trials in a query. Where
    no network was compared with a baseline, B is left out.
    """
    network = best_network(summary)
    own = comparisons[(comparisons["run"] == network) & (comparisons["metric"] == "top1")]
    general = own[own["brains"] == ALL_BRAINS]
    own = general if len(general) else own.drop_duplicates("baseline")
    names = ["A", "B", "C"] if len(own) else ["A", "C"]
    figure, panels = plt.subplots(
        1,
        len(names),
        figsize=(9.5, max(2.9, 1.2 + ROW * len(scores.methods))),
        width_ratios=[4.4, 3.2, 3.2][: len(names)],
        squeeze=False,
    )
    figure.set_layout_engine("constrained", wspace=0.08)
    drawn = dict(zip(names, panels[0], strict=True))
    _draw_methods(drawn["A"], scores, summary)
    if "B" in drawn:
        _draw_differences(drawn["B"], own, f"{network} less")
    _draw_trials(drawn["C"], summary, [network, best_run(summary, _baselines(summary)), "ceiling"])
    for name, panel in drawn.items():
        panel.set_title(name, loc="left", fontweight="bold", x=-0.12)
    handles = [Line2D([], [], color=colour, marker="D", label=name) for name, colour in KINDS.items()]
    handles.append(Line2D([], [], label="chance", **CHANCE))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _baselines(summary: pd.DataFrame) -> list[str]:
    return [run for run in dict.fromkeys(summary["run"]) if kind(run) == "baseline"]


def _draw_methods(panel: Axes, scores: PeopleScores, summary: pd.DataFrame) -> None:
    """Draw a row a method: a dot a pair of brains where there are several, the mean and its interval."""
    methods, several = scores.methods, len(scores.brains) > 1
    rows = headline(summary)
    alone = over_seeds(rows[rows["metric"] == "top1"], ["run"]).loc[methods.index]
    bounds = methods if several else alone
    for y, (run, method) in enumerate(methods.iterrows()):
        colour = KINDS[method["kind"]]
        panel.plot(100 * bounds.loc[run, ["low", "high"]].astype(float), [y, y], color=colour, linewidth=1.5)
        panel.scatter(100 * method["mean"], y, color=colour, marker="D", s=26, zorder=3, clip_on=False)
        if several:
            dots: dict[str, Any] = {"color": colour, "s": 12, "alpha": 0.4, "linewidths": 0}
            panel.scatter(100 * scores.top1.loc[run], np.full(len(scores.brains), y), **dots)
        panel.annotate(
            f"{100 * method['mean']:.1f}",
            (1.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
        )
    panel.axvline(100 * scores.brains["chance"].mean(), zorder=0, **CHANCE)
    panel.set(xlim=(0, 100), xlabel="test pictures found first (%)")
    _name_rows(panel, list(methods.index))


def _draw_differences(panel: Axes, rows: pd.DataFrame, title: str) -> None:
    for y, (_, row) in enumerate(rows.iterrows()):
        look: dict[str, Any] = {"color": RELATIONS[relation(row)]}
        panel.plot([100 * row["low"], 100 * row["high"]], [y, y], linewidth=1.5, **look)
        panel.scatter(100 * row["difference"], y, marker="D", s=26, zorder=3, **look)
        panel.annotate(p_beside(row), (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    panel.axvline(0, color="black", linewidth=0.8, zorder=0)
    panel.set_title(title, fontsize=9)
    panel.set_xlabel("difference (percentage points)")
    _name_rows(panel, list(rows["baseline"]))


def _name_rows(panel: Axes, names: list[str]) -> None:
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)


def _draw_trials(panel: Axes, summary: pd.DataFrame, runs: list[str | None]) -> None:
    """Draw top-1 over the number of averaged trials, the mean over the pairs of brains."""
    rows = summary[
        (summary["level"] == "image")
        & (summary["metric"] == "top1")
        & (summary["direction"] == "forward")
        & (summary["n_gallery"] == summary["n_test"])
    ]
    ends = {}
    for run in (run for run in runs if run in set(rows["run"])):
        means = 100 * rows[rows["run"] == run].groupby("n_trials", sort=False)["value"].mean()
        panel.plot(means.index, means, marker="D", markersize=4, color=KINDS[kind(str(run))], label=run)
        ends[str(run)] = means.iloc[-1]
    height = -np.inf
    for run, end in sorted(ends.items(), key=lambda item: item[1]):
        height = max(end, height + NAME)  # names of lines that end at one height stand above each other
        panel.annotate(run, (1.02, height), xycoords=("axes fraction", "data"), fontsize=7, va="center")
    panel.axhline(100 * rows["chance"].mean(), zorder=0, **CHANCE)
    panel.set(ylim=(0, 100), xlabel="EEG trials averaged into a query", ylabel="found first (%)")
