"""The methods side by side on all people, and how many pictures a new person must see."""

from itertools import groupby
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brain2image.evaluation.people_scores import PeopleScores, calibration_curves, own_runs
from brain2image.report.figures.style import BLUE, CHANCE, GREEN, ORANGE, PINK

COLOURS = {"network": BLUE, "baseline": ORANGE}
OWN, PERSON = GREEN, "0.6"
CEILING: dict[str, Any] = {"color": PINK, "linewidth": 1.2}
METHOD_WIDTH, AMOUNT_WIDTH, LEGEND_WIDTH = 0.5, 0.75, 1.8  # inches
SPREAD = 0.5  # of the people's dots at most, where methods are 1 apart
HEADROOM = 1.06


def plot_people(scores: PeopleScores) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    scores : of `people_scores.score_people`.

    Returns
    -------
    Panel A: each method's top-1 on each pair of brains, mean and interval; oracles and calibrations are left
    out. Then, for each run of other people that was calibrated, a panel with its top-1 over the number of
    pictures.
    """
    methods = scores.methods
    sides = methods[methods["kind"].isin(COLOURS) & (methods["whose"] != "calibrated")]
    curves = calibration_curves(methods)
    widths = [max(3.6, 0.8 + METHOD_WIDTH * len(sides))]
    widths += [0.4 + AMOUNT_WIDTH * len(names) for names in curves.values()]
    figure, panels = plt.subplots(
        1, len(widths), figsize=(sum(widths), 4.4), squeeze=False, sharey=True, width_ratios=widths
    )
    _methods(panels[0, 0], sides, scores)
    for panel, names in zip(panels[0, 1:], curves.values(), strict=True):
        _calibrations(panel, names, scores)
    for letter, panel in zip("ABCDEFGH", panels[0], strict=False):
        _levels(panel, scores)
        if curves:
            panel.set_title(letter, loc="left", fontweight="bold")
    panels[0, 0].set(ylabel="test pictures found first (%)", ylim=(0, _top(scores)))
    handles = _handles(scores)
    n_columns = min(len(handles), int(sum(widths) / LEGEND_WIDTH))
    figure.legend(handles=handles, loc="outside lower center", ncols=n_columns)
    return figure


def _methods(panel: Axes, sides: pd.DataFrame, scores: PeopleScores) -> None:
    """Draw a column a method: the people as dots, mean and interval right of them."""
    x = np.arange(len(sides))
    top1 = 100 * scores.top1.loc[sides.index].to_numpy()
    # a person has the same place in all columns
    half = min(SPREAD, 0.1 * top1.shape[1]) / 2
    spread = np.linspace(-half, half, top1.shape[1]) - 0.05
    colours = [COLOURS[kind] for kind in sides["kind"]]
    for place, own, colour in zip(x, top1, colours, strict=True):
        panel.scatter(place + spread, own, s=14, color=colour, alpha=0.45, linewidths=0, clip_on=False)
    _means(panel, x + half + 0.1, sides, colours)
    panel.set_xticks(x, sides.index, rotation=40, ha="right", rotation_mode="anchor")
    panel.set_xlim(-0.6, len(sides) - 0.4)
    columns = zip(sides["kind"], sides["whose"], x, strict=True)
    for (_, whose), group in groupby(columns, key=lambda column: column[:2]):
        places = [place for *_, place in group]
        panel.annotate(
            whose,
            (float(np.mean(places)), 1),
            (0, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=8,
            ha="center",
        )
        if places[-1] < len(sides) - 1:
            panel.axvline(places[-1] + 0.5, color="0.85", linewidth=0.8)


def _means(panel: Axes, x: np.ndarray, methods: pd.DataFrame, colours: list[str]) -> None:
    rows = 100 * methods[["mean", "low", "high"]]
    for place, colour, row in zip(x, colours, rows.itertuples(), strict=True):
        panel.plot([place, place], [row.low, row.high], color=colour, linewidth=1.6)
    panel.scatter(x, rows["mean"], s=34, marker="D", c=colours, zorder=3)


def _calibrations(panel: Axes, names: list[str], scores: PeopleScores) -> None:
    """Draw top-1 over the pictures of a calibration, a thin line a person, and the line to reach."""
    x = np.arange(len(names))
    for person in scores.top1:
        panel.plot(x, 100 * scores.top1.loc[names, person], color=PERSON, linewidth=0.7)
    rows = scores.methods.loc[names]
    panel.plot(x, 100 * rows["mean"], color=BLUE, linewidth=2)
    _means(panel, x, rows, [BLUE] * len(names))
    panel.set_xticks(x, [_amount(row) for _, row in rows.iterrows()], fontsize=8)
    panel.set_xlim(-0.4, len(names) - 0.6)
    panel.set_xlabel(f"of the person's own, added to\n{names[0]}")
    own = own_runs(scores.methods, names[0])
    if own:
        reached = 100 * scores.methods.loc[own, "mean"].mean()
        panel.axhline(reached, color=OWN, linewidth=1.6)
        name = own[0] if len(own) == 1 else f"mean of {len(own)} networks"
        panel.annotate(f"own: {name}", (0, reached), (0, 3), color=OWN, textcoords="offset points")


def _amount(row: pd.Series) -> str:
    """Return ``8 pictures`` above ``32 trials``, or above ``30–32 trials`` where people differ."""
    if pd.isna(row["n_calibration"]):
        return "0 pictures"
    fewest, most = int(row["fewest"]), int(row["most"])
    trials = f"{fewest}" if fewest == most else f"{fewest}–{most}"
    return f"{int(row['n_calibration'])} pictures\n{trials}\ntrials"


def _levels(panel: Axes, scores: PeopleScores) -> None:
    """Draw chance and, of simulated data, the ceiling, means over the pairs of brains."""
    panel.axhline(100 * scores.brains["chance"].mean(), **CHANCE, zorder=1)
    if "ceiling" in scores.methods.index:
        panel.axhline(100 * scores.methods.loc["ceiling", "mean"], **CEILING, zorder=1)


def _top(scores: PeopleScores) -> float:
    """Return the upper end of the axis in percent: above all that is drawn."""
    drawn = scores.methods[(scores.methods["kind"] != "oracle") | (scores.methods.index == "ceiling")]
    most = np.nanmax([scores.top1.loc[drawn.index].to_numpy().max(), drawn["high"].max()])
    return min(102, 100 * HEADROOM * most)


def _handles(scores: PeopleScores) -> list[Line2D]:
    kinds = [kind for kind in COLOURS if kind in set(scores.methods["kind"])]
    marks: dict[str, Any] = {"linestyle": "", "alpha": 0.45, "markersize": 4}
    return [
        *(Line2D([], [], color=COLOURS[kind], marker="D", label=f"{kind}, mean") for kind in kinds),
        Line2D([], [], color="black", marker="o", label="one pair of brains", **marks),
        Line2D([], [], label="chance", **CHANCE),
        *([Line2D([], [], label="ceiling", **CEILING)] if "ceiling" in scores.methods.index else []),
    ]
