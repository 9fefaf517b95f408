"""The page of the picture encoder: what it was fitted on, and how well it predicts pictures it never saw."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from brain2image.evaluation.metrics import gallery_scores, rank_scores
from brain2image.pairs.duplicates import NEAR_DUPLICATE
from brain2image.report.figures.encoder_plots import plot_encoder
from brain2image.report.figures.style import to_svg
from brain2image.report.pages.html import heading, note, page, table, verdict

GALLERIES = (50, 200, 300)
TOP = ("top1", "top5")
METHODS = {
    "ridge": "ridge regression",
    "kernel_ridge": "ridge regression with an RBF kernel",
    "knn": "mean of the nearest pictures",
}
CEILINGS = {"all": "all pictures", "shared1000": "NSD's shared 1,000"}
PREDICTED = (
    "From the CLIP features of a picture, the picture encoder predicts the fMRI embedding that a scan of it "
    "would give. So a network can learn from every picture of the EEG, not only from those that have a "
    "look-alike which was scanned. What it gives is marked as predicted wherever it stands; it is no "
    "measurement: scores are counted on measured fMRI alone."
)


def encoder_page(pairs: str, quality: Mapping[str, Any], fmri: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    pairs : a data set and an fMRI side.
    quality : what `picture_fitting.fit_picture_encoder` found.
    fmri : of each person of that side, ``embedding`` of what `fmri_quality.inspect_fmri` found.
    """
    medians = {
        subject: embedding["all"]["mean"]["quantiles"]["q50"]
        for subject, embedding in fmri.items()
        if embedding["all"]  # None without repeated pictures
    }
    figure = to_svg(plot_encoder(quality, medians))
    return page(
        f"Picture encoder of {pairs}",
        PREDICTED,
        _what_was_fitted(quality),
        heading("Candidates"),
        table(
            ("method", "CLIP features", "R² of unseen pictures, %", ""),
            [_candidate_row(one, quality) for one in quality["candidates"]],
        ),
        note(
            "R²: share of the variance of all features of the measured embedding (mean over a picture's "
            f"trials) that is predicted for unseen pictures, in {len(quality['ranks'])} folds. The best "
            f"candidate was fitted on all pictures. CLIP: {quality['clip']}."
        ),
        heading("R² of each feature, beside the noise ceiling"),
        Markup(figure[figure.index("<svg") :]),
        table(("quantile over features, %", "5", "25", "50", "75", "95"), _quantile_rows(quality, fmri)),
        note(
            "The noise ceiling is the share of the variance that a perfect model of the picture would "
            "explain, from the spread of a picture's trials; see Data quality. What lies between is what "
            "CLIP does not know of a picture, or needs more pictures to be learned."
        ),
        heading("Pictures found by their predicted embedding"),
        table(
            ("gallery", *(f"top-{name[3:]} %" for name in TOP), "chance, top-1 %", "chance, top-5 %"),
            _retrieval_rows([np.array(fold) for fold in quality["ranks"]]),
        ),
        note(
            "The predicted embedding of each scanned picture, from a fit without it, seeks the measured one "
            "among those of other pictures of its fold, by the cosine; ties count against it."
        ),
    )


def _what_was_fitted(quality: Mapping[str, Any]) -> str:
    excluded = quality["excluded"]
    return (
        f"It was fitted on {quality['n_pictures']:,} pictures that were scanned. Left out are "
        f"{excluded['partners']:,} that stand in a validation or test pair, and "
        f"{excluded['near_duplicates']:,} that nearly equal a picture of such a pair (CLIP cosine ≥ "
        f"{NEAR_DUPLICATE})."
    )


def _candidate_row(candidate: Mapping[str, Any], quality: Mapping[str, Any]) -> tuple[str, ...]:
    is_chosen = all(candidate[key] == quality[key] for key in ("method", "layer"))
    chosen = verdict("chosen", is_good=True) if is_chosen else ""
    return METHODS[candidate["method"]], candidate["layer"], f"{100 * candidate['r2']:.1f}", chosen


def _quantile_rows(
    quality: Mapping[str, Any], fmri: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, ...]]:
    yield "predicted: R² of unseen pictures", *(f"{value:.1f}" for value in quality["r2_quantiles"].values())
    for subject, embedding in fmri.items():
        for pictures, label in CEILINGS.items():
            if ceiling := embedding[pictures]:
                values = ceiling["mean"]["quantiles"].values()
                yield f"noise ceiling of {subject}, {label}", *(f"{value:.1f}" for value in values)


def _retrieval_rows(ranks: Sequence[np.ndarray]) -> Iterator[tuple[str, ...]]:
    """Score each gallery over the pictures of all folds."""
    smallest = min(map(len, ranks))
    for size in (size for size in GALLERIES if size < smallest):
        scores = [gallery_scores(rank, len(rank), size) for rank in ranks]
        yield _retrieval_row(str(size), scores, [size] * len(ranks))
    sizes = [len(rank) for rank in ranks]
    whole = [rank_scores(rank, len(rank)) for rank in ranks]
    yield _retrieval_row(f"all of a fold, {smallest:,}", whole, sizes)


def _retrieval_row(
    label: str, scores: Sequence[Mapping[str, np.ndarray]], sizes: Sequence[int]
) -> tuple[str, ...]:
    found = (np.concatenate([fold[name] for fold in scores]).mean() for name in TOP)
    chance = (np.mean([min(1, int(name[3:]) / size) for size in sizes]) for name in TOP)
    return label, *(f"{100 * value:.1f}" for value in (*found, *chance))
