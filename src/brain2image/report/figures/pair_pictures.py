"""Pairs of pictures: examples, and a map of all of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from brain2image.datasets.picture_sets import PictureSet
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import unit_rows
from brain2image.report.figures.style import PALETTE

SIDES = ("eeg_image", "fmri_image")

if TYPE_CHECKING:
    from PIL.Image import Image


def choose_examples(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose the best, the middle and the last pairs, ``n`` of each, with their ``rank``."""
    ranked = pairs.assign(rank=np.arange(1, len(pairs) + 1))
    middle = max(0, len(ranked) // 2 - n // 2)
    return pd.concat([ranked[:n], ranked[middle : middle + n], ranked[-n:]]).drop_duplicates("rank")


def plot_pairs(pairs: pd.DataFrame, sets: Sequence[PictureSet], *, n: int) -> Figure:
    """Draw the best, the middle and the last pairs, ``n`` of each.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, similarity, best first.
    sets : the pictures of the EEG and of the fMRI.
    """
    examples = choose_examples(pairs, n)
    eeg, fmri = (own.read(examples[side]) for own, side in zip(sets, SIDES, strict=True))
    return draw_pairs(examples, eeg, fmri)


def draw_pairs(pairs: pd.DataFrame, eeg: Sequence["Image"], fmri: Sequence["Image"]) -> Figure:
    """Draw picture pairs, that of the EEG above that of the fMRI, with their cosine similarity.

    Parameters
    ----------
    pairs : the pairs shown: ``similarity`` and ``rank`` (1 the best of all).
    eeg, fmri : pictures of the pairs, in the order of ``pairs``.
    """
    n_columns = min(6, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure = plt.figure(figsize=(1.3 * n_columns, 2.9 * n_rows))
    grid = figure.add_gridspec(n_rows, n_columns)
    for cell, (row, *images) in enumerate(zip(pairs.itertuples(), eeg, fmri, strict=True)):
        panels = grid[cell].subgridspec(2, 1, hspace=0.02).subplots(squeeze=False)[:, 0]
        for panel, image in zip(panels, images, strict=True):
            panel.imshow(image)
            panel.set_axis_off()
        panels[0].set_title(f"pair {row.rank}\ncosine {row.similarity:.2f}", fontsize=7)
    return figure


def plot_clusters(pairs: pd.DataFrame, eeg: Embeddings, fmri: Embeddings) -> Figure:
    """Draw both pictures of each pair on the first two principal axes that the two sets have in common.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, cluster.
    eeg, fmri : embeddings of the pictures of both sets.
    """
    from sklearn.decomposition import PCA  # a second of every job that draws, and used here alone

    rows = eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"])
    both = np.concatenate([unit_rows(own) for own in rows])
    axes = PCA(n_components=2, random_state=0).fit(both)
    eeg_points, fmri_points = np.split(axes.transform(both), 2)
    figure, panel = plt.subplots(figsize=(6.5, 4.5))
    for start, end in zip(eeg_points, fmri_points, strict=True):
        panel.plot(*zip(start, end, strict=True), color="0.85", linewidth=0.5, zorder=0)
    for cluster in sorted(pairs["cluster"].unique()):
        chosen = (pairs["cluster"] == cluster).to_numpy()
        style: dict[str, Any] = {"color": PALETTE[cluster % len(PALETTE)], "s": 16}
        panel.scatter(
            *eeg_points[chosen].T, marker="o", label=f"cluster {cluster} ({chosen.sum()} pairs)", **style
        )
        panel.scatter(*fmri_points[chosen].T, marker="^", **style)
    panel.scatter([], [], marker="o", color="0.3", s=16, label="picture of the EEG")
    panel.scatter([], [], marker="^", color="0.3", s=16, label="picture of the fMRI")
    share = 100 * axes.explained_variance_ratio_
    panel.set(
        xlabel=f"axis 1 ({share[0]:.0f} % of variance)", ylabel=f"axis 2 ({share[1]:.0f} % of variance)"
    )
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
