"""Figures of the report: one function a figure, tables and arrays in, a matplotlib figure out."""

import base64
import io
import os
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from brain2image.matching import unit_rows

# Okabe & Ito's palette, which people with colour-blindness can tell apart (jfly.uni-koeln.de/color).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
JPEG_QUALITY = 80
CHANCE = {"color": "black", "linestyles": "--", "linewidth": 1.2}
plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "brain2image",  # the same figure is the same file
    }
)


def plot_pairs(pairs: pd.DataFrame, things: Sequence[Image.Image], nsd: Sequence[Image.Image]) -> Figure:
    """Picture pairs, THINGS above NSD, with their cosine similarity.

    Parameters
    ----------
    pairs : the pairs shown: ``similarity`` and ``rank`` (1 the best of all).
    things, nsd : pictures of the pairs, in the order of ``pairs``.
    """
    n_columns = min(6, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure = plt.figure(figsize=(1.3 * n_columns, 2.9 * n_rows))
    grid = figure.add_gridspec(n_rows, n_columns)
    for cell, (row, *images) in zip(grid, zip(pairs.itertuples(), things, nsd, strict=True), strict=False):
        panels = cell.subgridspec(2, 1, hspace=0.02).subplots()
        for panel, image in zip(panels, images, strict=True):
            panel.imshow(image)
            panel.set_axis_off()
        panels[0].set_title(f"pair {row.rank}\ncosine {row.similarity:.2f}", fontsize=7)
    return figure


def choose_examples(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """The best, the middle and the last pairs, ``n`` of each, with their ``rank``."""
    ranked = pairs.assign(rank=np.arange(1, len(pairs) + 1))
    middle = max(0, len(ranked) // 2 - n // 2)
    return pd.concat([ranked[:n], ranked[middle : middle + n], ranked[-n:]]).drop_duplicates("rank")


def plot_clusters(pairs: pd.DataFrame, things: np.ndarray, nsd: np.ndarray) -> Figure:
    """Both pictures of each pair on the first two principal axes that the two sets have in common.

    Parameters
    ----------
    pairs : ``cluster`` and ``split`` of each pair.
    things, nsd : (n_pairs, n_features) float32 embeddings of the pairs' pictures.
    """
    from sklearn.decomposition import PCA  # a second of every job that draws, and used here alone

    both = np.concatenate([unit_rows(things), unit_rows(nsd)])
    axes = PCA(n_components=2, random_state=0).fit(both)
    things_points, nsd_points = np.split(axes.transform(both), 2)
    figure, panel = plt.subplots(figsize=(6.5, 4.5))
    for start, end in zip(things_points, nsd_points, strict=True):
        panel.plot(*zip(start, end, strict=True), color="0.85", linewidth=0.5, zorder=0)
    for cluster in sorted(pairs["cluster"].unique()):
        chosen = (pairs["cluster"] == cluster).to_numpy()
        style = {"color": PALETTE[cluster % len(PALETTE)], "s": 16}
        panel.scatter(
            *things_points[chosen].T, marker="o", label=f"cluster {cluster} ({chosen.sum()} pairs)", **style
        )
        panel.scatter(*nsd_points[chosen].T, marker="^", **style)
    panel.scatter([], [], marker="o", color="0.3", s=16, label="THINGS picture")
    panel.scatter([], [], marker="^", color="0.3", s=16, label="NSD picture")
    share = 100 * axes.explained_variance_ratio_
    panel.set(
        xlabel=f"axis 1 ({share[0]:.0f} % of variance)", ylabel=f"axis 2 ({share[1]:.0f} % of variance)"
    )
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss and validation retrieval over epochs, a colour a run.

    Parameters
    ----------
    histories : of each run: ``epoch, train_loss, val_loss, val_top1``.
    """
    figure, (losses, retrieval) = plt.subplots(1, 2, figsize=(8, 3.2))
    for colour, (run, history) in zip(cycle(PALETTE), histories.items(), strict=False):
        losses.plot(
            history["epoch"], history["train_loss"], color=colour, linestyle=":", label=f"{run}, training"
        )
        losses.plot(history["epoch"], history["val_loss"], color=colour, label=f"{run}, validation")
        best = history["val_loss"].idxmin()
        losses.plot(history["epoch"][best], history["val_loss"][best], "o", color=colour)
        retrieval.plot(history["epoch"], 100 * history["val_top1"], color=colour, label=run)
        retrieval.plot(history["epoch"][best], 100 * history["val_top1"][best], "o", color=colour)
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    retrieval.set(xlabel="epoch", ylabel="validation top-1 (%)", ylim=(0, None))
    losses.legend(fontsize=7)
    return figure


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


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as SVG, photographs in it as JPEG, without a date: the same figure is the same file."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    Path(path).write_text(re.sub(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)", _smaller, text.getvalue()))


def _smaller(embedded: re.Match[str]) -> str:
    """An embedded PNG, as JPEG where that takes less than half, which is so for photographs alone."""
    png = base64.b64decode(embedded[1])
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=JPEG_QUALITY)
    if 2 * jpeg.tell() > len(png):
        return embedded[0]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
