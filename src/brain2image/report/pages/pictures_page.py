"""The page of pictures from EEG: what was seen, found and drawn, beside what chance finds and draws."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from brain2image.constants.predictors import CALIBRATION_SUFFIX, MEASURED, SEED_SUFFIX
from brain2image.decoding.token_retrieval import BACKBONE, LINEAR, PRIOR
from brain2image.evaluation.metrics import ranks
from brain2image.evaluation.summary import headline, kind, over_seeds
from brain2image.report.figures.retrieved_pictures import choose_queries
from brain2image.report.headings import METRICS
from brain2image.report.pages.drawn_pictures import (
    Drawings,
    drawn_gallery,
    drawn_scores,
    drawn_sentence,
    explain_drawings,
    picture,
)
from brain2image.report.pages.html import box, heading, note, page, table
from brain2image.report.pages.score_pages import score_cell

if TYPE_CHECKING:
    from PIL.Image import Image

N_QUERIES, N_FOUND = 2, 5  # of each group; pictures found for each
MAX_RUNS = 6  # whose galleries are shown
WAYS = {"forward": "brain finds picture, top-1 %", "backward": "picture finds brain, top-1 %"}


def pictures_page(
    brains: str,
    summary: pd.DataFrame,
    decoded: Mapping[str, Any],
    *,
    seen: Sequence["Image"],
    partners: Sequence["Image"],
    titles: tuple[str, str],
    drawings: Sequence[Drawings],
    compared: Mapping[str, Any],
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    brains : an EEG person and an fMRI subject.
    summary : its rows of the summary table.
    decoded : what `decode_pairs` found.
    seen, partners : the EEG's and the fMRI's picture of each test pair.
    titles : names of the two sets of pictures.
    drawings : of each way of drawing, none where nothing was drawn.
    compared : what `comparing.compare_pictures` found of them; empty where nothing was drawn.
    """
    names = [name for name in decoded["similarity"] if _is_shown(name)]
    parts: list[str] = [_in_a_box(summary, names, has_drawings=bool(drawings))]
    for name in names[:MAX_RUNS]:
        similarity = np.array(decoded["similarity"][name], np.float32)
        queries = choose_queries(similarity, np.diag(ranks(similarity)), N_QUERIES)
        parts += [heading(name), _gallery(queries, seen, partners, titles)]
        parts += [drawn_gallery(name, queries, seen, partners, titles, way) for way in drawings]
    parts.append(note(_how_to_read(titles, decoded, drawings, n_left_out=len(names[MAX_RUNS:]))))
    tables = [*_tables(summary), *(drawn_scores(summary, compared) if drawings else ())]
    return page(f"Pictures from EEG, {brains}", *parts, *tables)


def _is_shown(name: str) -> bool:
    """Tell whether a run's gallery is shown: one seed of each network, and the ridge."""
    is_first = SEED_SUFFIX not in name and CALIBRATION_SUFFIX not in name
    return name == "ridge" or (is_first and kind(name) == "network")


def _in_a_box(summary: pd.DataFrame, names: Sequence[str], *, has_drawings: bool) -> Markup:
    """Say in a sentence what the tokens of the best run find, and what those of measured fMRI do."""
    rows = _token_rows(summary, BACKBONE)
    top1 = over_seeds(rows[rows["metric"] == "top1"], ["run"])
    shown = [name for name in top1.index if name in names]
    best = top1.loc[shown, "value"].idxmax()
    choice = f", the best of {len(shown)} (chosen on test)," if len(shown) > 1 else ""
    run, measured = top1.loc[best], top1.loc[MEASURED]
    share = 100 * top1[["value", "low", "high", "chance"]]
    interval = f" [{share['low'][best]:.0f} – {share['high'][best]:.0f}]" if pd.notna(run["low"]) else ""
    return box(
        f"From the EEG alone, {best}{choice} finds the right one of {int(run['n_test'])} pictures for "
        f"{share['value'][best]:.0f} %{interval} of the queries; chance finds {share['chance'][best]:.1f} %. "
        f"The measured fMRI itself, decoded in the same way, finds {100 * measured['value']:.0f} %.",
        *([drawn_sentence(summary, best)] if has_drawings else ()),
    )


def _token_rows(summary: pd.DataFrame, space: str) -> pd.DataFrame:
    rows = summary[(summary["level"] == "tokens") & (summary["space"] == space)]
    return rows[(rows["direction"] == "forward") & (rows["n_gallery"] == rows["n_test"])]


def _gallery(
    queries: Sequence[Mapping[str, Any]],
    seen: Sequence["Image"],
    partners: Sequence["Image"],
    titles: tuple[str, str],
) -> Markup:
    """Show what was found for queries that were chosen by rank, a row each."""
    columns = ["query", f"seen ({titles[0]})", f"its partner ({titles[1]})"]
    columns += [f"found {number + 1}" for number in range(N_FOUND)]
    rows = []
    for query in queries:
        pair = query["pair"]
        label = Markup("{}<br><small>rank {} of {}</small>")
        row = [label.format(query["group"], query["rank"], len(partners))]
        row += [picture(seen[pair]), picture(partners[pair])]
        row += [picture(partners[found], is_right=found == pair) for found in query["retrieved"][:N_FOUND]]
        rows.append(row)
    return table(columns, rows)


def _how_to_read(
    titles: tuple[str, str], decoded: Mapping[str, Any], drawings: Sequence[Drawings], *, n_left_out: int
) -> str:
    """Explain the gallery."""
    text = (
        "Queries are the two best, middle and worst by rank, never by looks. A predicted embedding goes "
        f"through MindEye2's backbone to CLIP tokens ({decoded['clip']}), and the {titles[1]} pictures whose "
        "tokens are nearest, both less their means, are found; the right one, the partner of the seen "
        "picture, has a frame. "
    )
    if drawings:
        text += explain_drawings(drawings)
    if n_left_out:
        text += f"{n_left_out} more runs are in the tables only. "
    return text


def _tables(summary: pd.DataFrame) -> Iterator[str]:
    """Put the scores of all spaces side by side."""
    embedding = headline(summary, level="image")
    spaces = {
        "fMRI embedding": embedding[embedding["metric"].isin(("top1", "two_way"))],
        "tokens by the backbone": _token_rows(summary, BACKBONE),
        "tokens by a ridge": _token_rows(summary, LINEAR),
        "tokens by the prior": _token_rows(summary, PRIOR),
    }
    spaces = {name: rows for name, rows in spaces.items() if len(rows)}
    scores = {name: over_seeds(rows, ["run", "metric"]) for name, rows in spaces.items()}
    runs = list(dict.fromkeys(spaces["tokens by the backbone"]["run"]))
    yield heading("Which space finds pictures")
    yield table(
        ("run", *(f"{name}: {METRICS[metric].heading}" for name in spaces for metric in ("top1", "two_way"))),
        [(run, *_cells(run, scores, ("top1", "two_way"))) for run in runs],
    )
    protocol = summary[summary["level"] == "protocol"]
    both = {way: over_seeds(protocol[protocol["direction"] == way], ["run", "metric"]) for way in WAYS}
    n_candidates = protocol["n_gallery"].iloc[0]
    yield heading(f"MindEye2's protocol: one of {n_candidates} candidates, tokens as they are")
    yield table(("run", *WAYS.values()), [(run, *_cells(run, both, ("top1",))) for run in runs])
    yield note(
        "Each cell: score, ± SD over seeds where there are several, 95 % interval over concepts, and chance "
        "in brackets. measured_fmri are the measured "
        "embeddings of the test pictures, what a perfect prediction would give. The ridge onto tokens learns "
        "from pictures of no validation or test pair; MindEye2's authors fitted the backbone on all "
        "non-shared pictures of the subject: the leak audit says how many of those tested here it knows."
    )


def _cells(run: str, scores: Mapping[str, pd.DataFrame], metrics: Sequence[str]) -> Iterator[Markup | str]:
    for found in scores.values():
        for metric in metrics:
            is_there = (run, metric) in found.index
            yield score_cell(found.loc[(run, metric)], METRICS[metric]) if is_there else "–"
