"""Scores of the runs on the test pairs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from brain2image.figures.style import CHANCE, PALETTE


def plot_retrieval(summary: pd.DataFrame) -> Figure:
    """Top-1, 5 and 10 of each run with 95 % intervals, means over its seeds, and chance.

    Parameters
    ----------
    summary : headline rows of one pair of brains in the summary table.
    """
    metrics = ["top1", "top5", "top10"]
    runs = list(dict.fromkeys(summary["run"]))
    figure, panel = plt.subplots(figsize=(1.6 + 1.2 * len(runs), 3.4))
    width = 0.8 / len(metrics)
    for offset, (metric, colour) in enumerate(zip(metrics, PALETTE, strict=False)):
        rows = summary[summary["metric"] == metric].groupby("run")[["value", "low", "high", "chance"]].mean()
        rows = rows.loc[runs]
        x = np.arange(len(runs)) + (offset - 1) * width
        value = 100 * rows["value"]
        errors = np.abs([value - 100 * rows["low"], 100 * rows["high"] - value])
        panel.bar(x, value, width, color=colour, label=f"top-{metric.removeprefix('top')}")
        panel.errorbar(x, value, errors, fmt="none", color="0.2", capsize=2, linewidth=0.8)
        panel.hlines(100 * rows["chance"], x - width / 2, x + width / 2, **CHANCE)
    panel.hlines([], 0, 0, label="chance", **CHANCE)
    panel.set(xticks=range(len(runs)), ylabel="test pictures found (%)", ylim=(0, 103))
    panel.set_xticklabels(runs, rotation=20, ha="right")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
