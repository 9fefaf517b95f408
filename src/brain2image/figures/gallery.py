"""Test queries with the pictures that were retrieved for them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from brain2image.figures.style import PALETTE

if TYPE_CHECKING:
    from PIL.Image import Image


def choose_queries(similarity: np.ndarray, own_ranks: np.ndarray, n: int) -> list[dict[str, Any]]:
    """Test queries spread evenly from the best to the worst rank, with their five nearest gallery items.

    Parameters
    ----------
    similarity : (n_pairs, n_pairs) float32, queries by gallery.
    own_ranks : (n_pairs,) int64, rank of each query's answer.
    n : number of queries.

    Returns
    -------
    For each query ``pair`` (its row), ``rank`` and ``retrieved`` (five rows, best first).
    """
    order = np.argsort(own_ranks, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(n, len(order))).round().astype(int))]
    return [
        {
            "pair": row,
            "rank": int(own_ranks[row]),
            "retrieved": np.argsort(-similarity[row], kind="stable")[:5],
        }
        for row in chosen
    ]


def plot_gallery(
    queries: Sequence[Mapping[str, Any]], seen: Sequence["Image"], gallery: Sequence["Image"]
) -> Figure:
    """Test queries with the five pictures that were retrieved for them, the right one framed.

    Parameters
    ----------
    queries : what `choose_queries` returned.
    seen : THINGS picture of each test pair.
    gallery : NSD picture of each test pair.
    """
    figure, panels = plt.subplots(len(queries), 7, figsize=(7.5, 1.25 * len(queries)), squeeze=False)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for row, query in zip(panels, queries, strict=True):
        answer = query["pair"]
        shown = (seen[answer], gallery[answer], *(gallery[item] for item in query["retrieved"]))
        for panel, image in zip(row, shown, strict=False):
            panel.imshow(image)
        row[0].set_ylabel(f"rank {query['rank']}", fontsize=8)
        for panel in row[2 : 2 + len(query["retrieved"])][query["retrieved"] == answer]:
            panel.spines[:].set(visible=True, color=PALETTE[2], linewidth=3)
    titles = ("seen\n(THINGS)", "answer\n(NSD)", *(f"retrieved\n{place}" for place in range(1, 6)))
    for panel, title in zip(panels[0], titles, strict=True):
        panel.set_title(title, fontsize=8)
    return figure
