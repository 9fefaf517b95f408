"""Pairs of pictures: examples, and a map of all of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brain2image.datasets.picture_sets import PictureSet
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import unit_rows
from brain2image.report.figures.style import PALETTE

SIDES = ("eeg_image", "fmri_image")
# Of the pictures on the map: share of the map's width and height, number at most, and pixels.
PICTURE_SHARE, MOST_PICTURES, THUMBNAIL = np.array([0.075, 0.1]), 30, 96

if TYPE_CHECKING:
    from PIL.Image import Image


def choose_examples(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose the best, the middle and the worst pairs, ``n`` of each, with their ``rank`` and ``group``."""
    ranked = pairs.assign(rank=np.arange(1, len(pairs) + 1))
    middle = max(0, len(ranked) // 2 - n // 2)
    groups = {"best": ranked[:n], "middle": ranked[middle : middle + n], "worst": ranked[-n:]}
    return pd.concat([own.assign(group=name) for name, own in groups.items()]).drop_duplicates("rank")


def plot_pairs(pairs: pd.DataFrame, sets: Sequence[PictureSet], *, n: int) -> Figure:
    """Draw the best, the middle and the worst pairs, ``n`` of each.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, similarity, best first.
    sets : the pictures of the EEG and of the fMRI.
    """
    examples = choose_examples(pairs, n)
    eeg, fmri = (own.read(examples[side]) for own, side in zip(sets, SIDES, strict=True))
    return draw_pairs(examples, eeg, fmri, titles=[own.title for own in sets])


def draw_pairs(
    pairs: pd.DataFrame, eeg: Sequence["Image"], fmri: Sequence["Image"], *, titles: Sequence[str]
) -> Figure:
    """Draw picture pairs, a row a group, that of the EEG above that of the fMRI, with their similarity.

    Parameters
    ----------
    pairs : the pairs shown: ``similarity``, ``rank`` (1 the best of all) and ``group``.
    eeg, fmri : pictures of the pairs, in the order of ``pairs``.
    titles : names of the two sets of pictures.
    """
    places = pairs.groupby("group", sort=False).cumcount().to_numpy()
    groups = list(dict.fromkeys(pairs["group"]))
    n_columns = places.max() + 1
    # the first column holds the names of the sets
    figure = plt.figure(figsize=(0.6 + 1.4 * n_columns, 2.9 * len(groups)))
    grid = figure.add_gridspec(len(groups), 1 + n_columns, width_ratios=[0.4, *[1] * n_columns])
    for row, place, *images in zip(pairs.itertuples(), places, eeg, fmri, strict=True):
        cell = grid[groups.index(str(row.group)), 1 + place]
        panels = cell.subgridspec(2, 1, hspace=0.02).subplots(squeeze=False)[:, 0]
        for panel, image, title in zip(panels, images, titles, strict=True):
            panel.imshow(image)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if place == 0:
                options = {"fontsize": 8, "ha": "right", "va": "center", "transform": panel.transAxes}
                name = panel.text(-0.05, 0.5, title, **options)
                name.set_in_layout(False)  # else the first pictures are smaller than the others
        named = f"{row.group}: " if place == 0 else ""
        panels[0].set_title(f"{named}pair {row.rank}\ncosine {row.similarity:.2f}", fontsize=7)
    return figure


def plot_clusters(
    pairs: pd.DataFrame, eeg: Embeddings, fmri: Embeddings, sets: Sequence[PictureSet]
) -> Figure:
    """Draw both pictures of each pair on the first two principal axes that the two sets have in common.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, cluster.
    eeg, fmri : embeddings of the pictures of both sets.
    sets : the pictures of both; of the EEG's, as many are shown as find room.
    """
    from sklearn.decomposition import PCA  # a second of every job that draws, and used here alone

    rows = eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"])
    both = np.concatenate([unit_rows(own) for own in rows])
    axes = PCA(n_components=2, random_state=0).fit(both)
    eeg_points, fmri_points = np.split(axes.transform(both), 2)
    figure, panel = plt.subplots(figsize=(9.5, 6))
    for start, end in zip(eeg_points, fmri_points, strict=True):
        panel.plot(*zip(start, end, strict=True), color="0.85", linewidth=0.5, zorder=0)
    for cluster in sorted(pairs["cluster"].unique()):
        chosen = (pairs["cluster"] == cluster).to_numpy()
        style: dict[str, Any] = {"color": _colour(cluster), "s": 16}
        panel.scatter(
            *eeg_points[chosen].T, marker="o", label=f"cluster {cluster} ({chosen.sum()} pairs)", **style
        )
        panel.scatter(*fmri_points[chosen].T, marker="^", **style)
    for marker, own in zip("o^", sets, strict=True):
        panel.scatter([], [], marker=marker, color="0.3", s=16, label=f"picture of {own.title}")
    share = 100 * axes.explained_variance_ratio_
    panel.set(
        xlabel=f"axis 1 ({share[0]:.0f} % of variance)", ylabel=f"axis 2 ({share[1]:.0f} % of variance)"
    )
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _show_pictures(panel, eeg_points, pairs, sets[0])
    return figure


def _colour(cluster: int) -> str:
    return PALETTE[cluster % len(PALETTE)]


def _show_pictures(panel: Axes, points: np.ndarray, pairs: pd.DataFrame, own: PictureSet) -> None:
    """Put pictures over their points where no other one lies, best pairs first, framed by cluster."""
    limits = np.array([panel.get_xlim(), panel.get_ylim()])
    size = np.ptp(limits, axis=1) * PICTURE_SHARE
    chosen: list[int] = []
    for row, point in enumerate(points):
        is_free = all((np.abs(point - points[other]) > 1.1 * size).any() for other in chosen)
        if is_free and len(chosen) < MOST_PICTURES:
            chosen.append(row)
    images = own.read(pairs["eeg_image"].to_numpy()[chosen])
    for row, image in zip(chosen, images, strict=True):
        corner = points[row] - size / 2
        inset = panel.inset_axes((*corner, *size), transform=panel.transData)
        # without interpolation the SVG holds these pixels and not the fewer of the screen at 72 dpi
        inset.imshow(image.resize((THUMBNAIL, THUMBNAIL)), interpolation="none", aspect="auto")
        inset.set(xticks=[], yticks=[])
        inset.spines[:].set(visible=True, color=_colour(pairs["cluster"].iloc[row]), linewidth=2)
    panel.set(xlim=limits[0], ylim=limits[1])
