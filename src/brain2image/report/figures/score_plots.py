"""Scores of the runs on the test pairs, each with its 95 % interval and with chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brain2image.constants.brain_names import has_fmri
from brain2image.evaluation.comparisons import ALL_BRAINS
from brain2image.evaluation.scores import DIRECTIONS
from brain2image.evaluation.summary import claims, headline, over_seeds
from brain2image.report.figures.style import BLACK, BLUE, CHANCE, GREEN, ORANGE, PALETTE, PINK, RED, looks
from brain2image.report.verdicts import ABOVE, BELOW, UNCLEAR, cannot_be_small, relation

DIRECTION_NAMES = {"forward": "EEG finds {}", "backward": "{} finds EEG"}
KINDS = {"network": BLUE, "baseline": ORANGE, "oracle": BLACK}
# Label and factor of the metrics that are compared picture by picture.
COMPARED = {
    "top1": ("difference in top-1 (percentage points)", 100),
    "mrr": ("difference in mean reciprocal rank", 1),
}
RELATIONS = {ABOVE: GREEN, BELOW: RED, UNCLEAR: "0.45"}


def plot_scores(
    summary: pd.DataFrame, comparisons: pd.DataFrame, *, brains: str, rsa_bound: float | None
) -> dict[str, Figure]:
    """Draw the scores of all runs on one pair of brains, and the comparisons between them.

    Parameters
    ----------
    summary, comparisons : the tables of all brains.
    brains : those to draw.
    rsa_bound : see `plot_retrieval`.

    Returns
    -------
    The figures ``retrieval``, ``curves`` and ``comparisons``.
    """
    own = summary[summary["brains"] == brains]
    return {
        "retrieval": plot_retrieval(own, rsa_bound=rsa_bound),
        "curves": plot_curves(own),
        "comparisons": plot_comparisons(comparisons[comparisons["brains"].isin([brains, ALL_BRAINS])]),
    }


def _ranges(
    panel: Axes, rows: pd.DataFrame, y: np.ndarray, colours: Sequence[str], factor: float = 100
) -> None:
    """Draw horizontal points with their intervals as lines and, of several seeds, ± SD as a broad band."""
    rows = factor * rows[["value", "low", "high", "deviation"]]
    for place, colour, row in zip(y, colours, rows.itertuples(), strict=True):
        panel.plot([row.low, row.high], [place, place], color=colour, linewidth=1.4)
        band = [row.value - row.deviation, row.value + row.deviation]
        panel.plot(band, [place, place], color=colour, linewidth=7, alpha=0.3, solid_capstyle="butt")
    panel.scatter(rows["value"], y, c=colours, s=28, zorder=3, clip_on=False)


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    handles: list[Artist] = [
        Line2D([], [], color=colour, marker="o", label=name) for name, colour in colours.items()
    ]
    handles.append(Line2D([], [], label="chance", **CHANCE))
    handles += [line for panel in figure.axes for line in panel.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def plot_retrieval(summary: pd.DataFrame, *, rsa_bound: float | None) -> Figure:
    """Draw top-1, 5 and 10 of each run, and the correlation of its RDM with the measured one.

    Parameters
    ----------
    summary : rows of one pair of brains in the summary table.
    rsa_bound : the correlation that noise-free embeddings would reach; None: unknown.
    """
    rows = headline(summary)
    runs = list(dict.fromkeys(rows["run"]))
    figure, (retrieval, rsa) = plt.subplots(
        1, 2, figsize=(9.5, 1.5 + 0.45 * len(runs)), sharey=True, width_ratios=(3, 2)
    )
    colours = dict(zip(("top1", "top5", "top10"), PALETTE, strict=False))
    for offset, (metric, colour) in zip((-0.25, 0, 0.25), colours.items(), strict=True):
        own = over_seeds(rows[rows["metric"] == metric], ["run"])
        _ranges(retrieval, own, np.arange(len(runs)) + offset, [colour] * len(runs))
        retrieval.axvline(100 * own["chance"].iloc[0], **(CHANCE | {"color": colour}))
    retrieval.set(yticks=range(len(runs)), xlim=(0, 101), xlabel="test pictures found (%)")
    retrieval.set_yticklabels(runs)
    retrieval.set_ylim(len(runs) - 0.5, -0.5)
    own = over_seeds(rows[rows["metric"] == "rsa"], ["run"])
    _ranges(rsa, own, np.arange(len(runs)), [BLACK] * len(runs), factor=1)
    rsa.axvline(0, **CHANCE)
    rsa.set(xlabel="RSA (Spearman's ρ of the RDMs)")
    if rsa_bound is not None:
        rsa.axvline(rsa_bound, color=PINK, label="bound by the noise of fMRI")
    _legend(figure, {metric.replace("top", "top-"): colour for metric, colour in colours.items()})
    return figure


def plot_curves(summary: pd.DataFrame) -> Figure:
    """Draw top-1 over the number of EEG trials in a query and, where there are several, over gallery sizes.

    Parameters
    ----------
    summary : rows of one pair of brains in the summary table.
    """
    rows = summary[claims(summary) & (summary["metric"] == "top1")]
    partner = "fMRI" if all(map(has_fmri, summary["brains"])) else "CLIP features"
    whole, all_trials = rows["n_gallery"] == rows["n_test"], rows["n_trials"] == "all"
    axes = {"n_trials": ("EEG trials averaged into a query", rows[whole])}
    if rows["n_gallery"].nunique() > 1:
        axes["n_gallery"] = ("pictures in the gallery", rows[all_trials].sort_values("n_gallery"))
    style = looks(rows["run"])
    figure, panels = plt.subplots(len(axes), 2, figsize=(9.5, 3.4 * len(axes)), squeeze=False, sharey="row")
    for row, (column, (label, shown)) in zip(panels, axes.items(), strict=True):
        for panel, direction in zip(row, DIRECTIONS, strict=True):
            _curves(panel, shown[shown["direction"] == direction], column, style)
            panel.set(xlabel=label, ylim=(0, 101), title=DIRECTION_NAMES[direction].format(partner))
        row[0].set_ylabel("top-1 (%)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure


def _curves(panel: Axes, rows: pd.DataFrame, column: str, style: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw one line a run over the values of a column, side by side so that intervals hide no other."""
    places = list(dict.fromkeys(rows[column]))
    width = 0.3 / len(style)
    for number, (run, look) in enumerate(style.items()):
        own = 100 * over_seeds(rows[rows["run"] == run], [column]).loc[places]
        x = np.arange(len(places)) + (number - (len(style) - 1) / 2) * width
        errors = np.maximum(0, [own["value"] - own["low"], own["high"] - own["value"]])
        panel.errorbar(
            x, own["value"], errors, label=run, markersize=4, linewidth=1.2, elinewidth=0.8, **look
        )
    chance = 100 * over_seeds(rows, [column]).loc[places]["chance"]
    panel.plot(range(len(places)), chance, label="chance", **CHANCE)
    panel.set_xticks(range(len(places)), places)


def plot_comparisons(comparisons: pd.DataFrame) -> Figure:
    """Draw each network less each baseline, by picture, with its interval and Holm's p.

    Parameters
    ----------
    comparisons : rows of one pair of brains, and those of brains ``all``, in the table of comparisons.
    """
    if comparisons.empty:
        figure, panel = plt.subplots(figsize=(6, 1))
        panel.set_axis_off()
        panel.text(0.5, 0.5, "no network and baseline to compare", ha="center")
        return figure
    names = (comparisons["run"] + " − " + comparisons["baseline"]).to_numpy()
    several = comparisons["brains"].nunique() > 1
    names = names + np.where(several, " (" + comparisons["brains"] + ")", "")
    rows = comparisons.assign(name=names)
    places = list(dict.fromkeys(names))
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 1.3 + 0.36 * len(places)), sharey=True)
    for panel, (metric, (label, factor)) in zip(panels, COMPARED.items(), strict=True):
        own = rows[rows["metric"] == metric].set_index("name").loc[places]
        colours = [RELATIONS[relation(row)] for _, row in own.iterrows()]
        own = own.rename(columns={"difference": "value"}).assign(deviation=np.nan)
        _ranges(panel, own, np.arange(len(places)), colours, factor)
        for y, (_, row) in enumerate(own.iterrows()):
            panel.annotate(p_beside(row), (1.01, y), xycoords=("axes fraction", "data"), va="center")
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set(yticks=range(len(places)), xlabel=label)
        panel.set_yticklabels(places)
    panels[0].set_ylim(len(places) - 0.5, -0.5)
    return figure


def p_beside(comparison: pd.Series) -> str:
    """Return the p of a row of the comparisons as it stands beside its line."""
    return (
        f"p ≥ {comparison['p_floor']:.2g}"
        if cannot_be_small(comparison)
        else f"p = {comparison['p_holm']:.3f}"
    )
