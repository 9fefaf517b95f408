"""Drawn pictures on the page of pictures from EEG: beside what chance draws, and how they are scored."""

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from brain2image.constants.predictors import MEASURED
from brain2image.decoding.drawn_files import LEVEL, MEAN, drawn_runs, read_drawn, shuffled_pairs
from brain2image.evaluation.summary import over_seeds
from brain2image.formats.hdf5 import open_hdf5
from brain2image.report.headings import Column
from brain2image.report.pages.html import heading, note, table
from brain2image.report.pages.score_pages import score_cell

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL, SIZE = 112, 64  # pixels that a picture has, and that it takes on the page, sharp on any screen
ALPHA = 0.05
WAYS = {"linear": "by a ridge", "unclip": "by MindEye2's unCLIP"}
COLUMNS = ("drawn from EEG", "from measured fMRI", "from shuffled EEG", "from the mean")
METRICS = {
    "pixcorr": Column("PixCorr ↑", 1, "{:.2f}"),
    "ssim": Column("SSIM ↑", 1, "{:.2f}"),
    "alexnet_2": Column("AlexNet 2, 2-way % ↑", 100, "{:.1f}"),
    "alexnet_5": Column("AlexNet 5, 2-way % ↑", 100, "{:.1f}"),
    "inception_v3": Column("Inception, 2-way % ↑", 100, "{:.1f}"),
    "clip": Column("CLIP, 2-way % ↑", 100, "{:.1f}"),
    "efficientnet_b1": Column("EffNet, distance ↓", 1, "{:.2f}"),
    "swav": Column("SwAV, distance ↓", 1, "{:.2f}"),
}


class Drawings(NamedTuple):
    """What was drawn in one way.

    way : a key of `WAYS`.
    pictures : (n_pairs, n_samples, side, side, 3) uint8 of each run and of the training mean.
    n_fitted : pictures that the ridge was fitted on; 0 of the unCLIP.
    """

    way: str
    pictures: Mapping[str, np.ndarray]
    n_fitted: int


def read_drawings(way: str, path: str | os.PathLike) -> Drawings:
    """Read what was drawn in one way, see `drawn_files`."""
    with open_hdf5(path) as file:
        n_fitted = int(file.attrs.get("n_fitted", 0))
    return Drawings(way, {name: read_drawn(path, name) for name in (*drawn_runs(path), MEAN)}, n_fitted)


def drawn_gallery(
    name: str,
    queries: Sequence[Mapping[str, Any]],
    seen: Sequence["Image"],
    partners: Sequence["Image"],
    titles: tuple[str, str],
    drawings: Drawings,
) -> Markup:
    """Show what was drawn for a run's queries, a row each, beside what was seen and what chance draws.

    Parameters
    ----------
    queries : chosen by rank, see `retrieved_pictures.choose_queries`.
    seen, partners, titles : see `pictures_page.pictures_page`.
    """
    columns = [f"query, {WAYS[drawings.way]}", f"seen ({titles[0]})", f"its partner ({titles[1]})", *COLUMNS]
    return table(columns, [list(_row(name, query, seen, partners, drawings)) for query in queries])


def _row(
    name: str,
    query: Mapping[str, Any],
    seen: Sequence["Image"],
    partners: Sequence["Image"],
    drawings: Drawings,
) -> Iterator[Markup]:
    from PIL import Image

    pair = query["pair"]
    yield Markup("{}<br><small>rank {} of {}</small>").format(query["group"], query["rank"], len(partners))
    yield picture(seen[pair])
    yield picture(partners[pair])
    other = int(shuffled_pairs(len(partners))[pair])
    for run, row in ((name, pair), (MEASURED, pair), (name, other), (MEAN, 0)):
        yield picture(Image.fromarray(drawings.pictures[run][row, 0]))


def picture(image: "Image", *, is_right: bool = False) -> Markup:
    """Put a picture into the page, framed where it is the right one."""
    content = io.BytesIO()
    image.convert("RGB").resize((THUMBNAIL, THUMBNAIL)).save(content, "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    frame = ' style="outline: 3px solid #1b7837"' if is_right else ""
    return Markup(
        '<img width="{size}" height="{size}" alt=""{frame} src="data:image/jpeg;base64,{text}">'
    ).format(size=SIZE, frame=Markup(frame), text=text)


def explain_drawings(drawings: Sequence[Drawings]) -> str:
    """Explain what a drawing may say, and against what it is held."""
    text = (
        "What is drawn from EEG says something where it is nearer to the seen picture than what shuffled EEG "
        "gives, the EEG of another query through the same decoder, and than what the mean gives, which is "
        "drawn of nobody's EEG. "
    )
    for way, pictures, n_fitted in drawings:
        if way == "linear":
            text += (
                f"The ridge is fitted on {n_fitted} scanned pictures of no validation or test pair: it blurs "
                "what it does not know and invents nothing. "
            )
        else:
            n_samples = pictures[MEAN].shape[1]
            several = f"; the first of {n_samples} is shown, scores are means over them" * (n_samples > 1)
            text += (
                "The unCLIP draws a sharp picture of anything, also of the mean: one cannot see which part "
                f"of it came from the brain, so look at its columns of chance first{several}. "
            )
    return text


def drawn_sentence(summary: pd.DataFrame, run: str) -> str:
    """Say by how many metrics a run's pictures resemble the seen ones more than shuffled ones do."""
    found = []
    rows = summary[(summary["level"] == LEVEL) & (summary["run"] == run)]
    for way in (way for way in WAYS if way in set(rows["space"])):
        scores = over_seeds(rows[rows["space"] == way], ["metric"])
        n_above = int((scores["p"] < ALPHA).sum())
        found.append(f"{WAYS[way]} {n_above} of {len(scores)}")
    return (
        f"Metrics by which what is drawn from its EEG resembles the seen pictures more than a shuffled "
        f"pairing does (p < {ALPHA} each): {', '.join(found)}."
    )


def drawn_scores(summary: pd.DataFrame, compared: Mapping[str, Any]) -> Iterator[str]:
    """Tabulate how drawn pictures resemble the seen ones, a row a run and way of drawing.

    Parameters
    ----------
    summary : rows of the summary table of one pair of brains.
    compared : what `comparing.compare_pictures` found.
    """
    rows = summary[summary["level"] == LEVEL]
    metrics = [metric for metric in METRICS if metric in set(rows["metric"])]
    found = over_seeds(rows, ["run", "space", "metric"])
    runs = list(dict.fromkeys(rows["run"]))
    keys = [(run, way) for way in WAYS if way in set(rows["space"]) for run in runs]
    yield heading("How drawn pictures resemble the seen ones")
    yield table(
        ("run", "drawn", *(METRICS[metric].heading for metric in metrics)),
        [
            (run, WAYS[way], *(_cell(found.loc[(run, way, metric)], METRICS[metric]) for metric in metrics))
            for run, way in keys
        ],
    )
    # reasons that several metrics share are said once
    reasons: dict[str, list[str]] = {}
    for metric, why in compared["not_computed"].items():
        reasons.setdefault(why, []).append(METRICS[metric].heading.partition(",")[0])
    missing = "".join(f"{', '.join(names)}: {why}. " for why, names in reasons.items())
    notes = "".join(f"{METRICS[metric].heading[:-2]}: {why}. " for metric, why in compared["notes"].items())
    yield note(
        "Each cell: score, 95 % interval over concepts, chance (the mean over wrong pairings) in brackets, "
        "and p by shuffled pairing, which is of each metric alone. 2-way: the share of other seen pictures "
        "that are less like what was drawn; a distance is 1 less the correlation of features. CLIP is the "
        f"config's clip.model. Of {rows['n_gallery'].iloc[0]} test pictures. {notes}{missing}"
    )


def _cell(found: pd.Series, column: Column) -> Markup:
    return Markup("{}<br><small>p {}</small>").format(score_cell(found, column), f"{found['p']:.2g}")
