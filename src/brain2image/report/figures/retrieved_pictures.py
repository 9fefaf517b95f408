"""The retrieval gallery: test queries with what was retrieved for them, successes and failures."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from brain2image.datasets.picture_sets import PictureSet
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.evaluation.predictions import Predictions
from brain2image.pairs.picture_examples import group_examples
from brain2image.report.figures.style import GREEN

N_QUERIES, N_RETRIEVED = 3, 5
THUMBNAIL = 112  # pixels, sharp at the size at which the report shows it
RIGHT = GREEN


def choose_queries(similarity: np.ndarray, own_ranks: np.ndarray, n: int) -> list[dict[str, Any]]:
    """Choose the best, middle and worst test queries, ``n`` of each, with their five nearest gallery items.

    Queries are ordered by the rank of their answer, those of equal rank by its similarity.

    Parameters
    ----------
    similarity : (n_pairs, n_pairs) float32, queries by gallery.
    own_ranks : (n_pairs,) int64, rank of each query's answer.
    n : number of queries of each group; no query is taken twice.

    Returns
    -------
    For each query ``group`` (best, middle or worst), ``pair`` (its row), ``rank`` and ``similarity`` of its
    answer, ``retrieved`` (five rows, best first) and their ``similarities``.
    """
    own = np.diag(similarity)
    queries = []
    for row, group in group_examples(np.lexsort((-own, own_ranks)), n).items():
        retrieved = np.argsort(-similarity[row], kind="stable")[:N_RETRIEVED]
        queries.append(
            {
                "group": group,
                "pair": row,
                "rank": int(own_ranks[row]),
                "similarity": float(own[row]),
                "retrieved": retrieved,
                "similarities": similarity[row][retrieved],
            }
        )
    return queries


def plot_gallery(content: Predictions, sets: Sequence[PictureSet]) -> Figure:
    """Draw the best, the middle and the worst test queries of a run.

    Parameters
    ----------
    content : its predictions.
    sets : the pictures of the EEG and of the fMRI.
    """
    similarity = similarity_matrix(
        content.predictions - content.target_mean, content.targets - content.target_mean
    )
    queries = choose_queries(similarity, np.diag(ranks(similarity)), N_QUERIES)
    eeg, fmri = sets
    return draw_gallery(
        queries,
        eeg.read(content.eeg_image),
        fmri.read(content.fmri_image),
        titles=(eeg.title, fmri.title),
    )


def draw_gallery(
    queries: Sequence[Mapping[str, Any]],
    seen: Sequence[Image.Image],
    gallery: Sequence[Image.Image],
    *,
    titles: tuple[str, str],
) -> Figure:
    """Draw test queries with the five pictures that were retrieved for them, the right one framed.

    Parameters
    ----------
    queries : what `choose_queries` returned.
    seen : the EEG's picture of each test pair.
    gallery : the fMRI's picture of each test pair.
    titles : names of the two sets of pictures.
    """
    # The third column is a gap between what is given and what was retrieved.
    figure, panels = plt.subplots(
        len(queries),
        3 + N_RETRIEVED,
        figsize=(8.6, 0.5 + 1.16 * len(queries)),
        squeeze=False,
        width_ratios=(1, 1, 0.25, *[1] * N_RETRIEVED),
    )
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        panel.patch.set_visible(False)
    for row, query in zip(panels, queries, strict=True):
        answer = query["pair"]
        _show(row[0], seen[answer], "")
        label = f"{query['group']}\nrank {query['rank']}\nof {len(gallery)}"
        row[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center", multialignment="left")
        _show(row[1], gallery[answer], f"{query['similarity']:.2f}")
        found = zip(row[3:], query["retrieved"], query["similarities"], strict=False)
        for panel, item, similarity in found:
            _show(panel, gallery[item], f"{similarity:.2f}")
            if item == answer:
                # the picture hides the inner half
                panel.patch.set(visible=True, edgecolor=RIGHT, linewidth=5)
                panel.xaxis.label.set(color=RIGHT, fontweight="bold")
    headings = (
        f"seen\n({titles[0]})",
        f"its partner\n({titles[1]})",
        "",
        *(f"retrieved\n{i + 1}" for i in range(N_RETRIEVED)),
    )
    for panel, title in zip(panels[0], headings, strict=True):
        panel.set_title(title, fontsize=8)
    return figure


def _show(panel: Axes, image: Image.Image, label: str) -> None:
    # Without interpolation the SVG holds these pixels and not the fewer of the screen at 72 dpi.
    panel.imshow(image.resize((THUMBNAIL, THUMBNAIL)), interpolation="none").set_clip_on(False)
    panel.set_xlabel(label, fontsize=7, labelpad=3)
