"""Tables of the scores and the bounds of one pair of brains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from brain2image.constants.brain_names import has_fmri
from brain2image.evaluation.scores import TRIAL_LEVEL_NOTE
from brain2image.evaluation.summary import headline, over_seeds
from brain2image.report.headings import METRICS, Column
from brain2image.report.pages.html import heading, note, page, table

COLUMNS = 6  # metrics of a table: more would not stand side by side
BOUNDS = {
    "eeg": (
        "EEG, half against half",
        "the mean of one half of a test picture's trials finds that of the other half, as it was measured",
    ),
    "fmri": (
        "fMRI, first repetition against the others",
        "the embedding of one repetition finds the mean of the others; no target is less noisy",
    ),
    "pairing": (
        "the two pictures of a pair",
        "the CLIP embedding of the picture that was seen finds that of its partner: what a model of the "
        "picture alone, without any noise of the brain, could find",
    ),
}
PAIRED_BY_CLIP = (
    "The partner was chosen by CLIP alone. So a score shows that EEG tells what CLIP sees in a picture, as "
    "far as fMRI shows it too. It cannot show that EEG and fMRI share more: beyond the CLIP features of the "
    "seen picture, the fMRI of its partner holds nothing that the EEG could know. Where more is found "
    "nevertheless, the page Leak audit says what that may mean."
)


PAIRED_EXACTLY = (
    "Both saw the very same pictures, so that no look-alike stands in between. What is found beyond the "
    "picture encoder's prediction of the seen picture (page Leak audit) is what EEG and fMRI share beyond "
    "what that encoder makes of the picture's CLIP features: the less it has learned of these, the more."
)
WITHOUT_FMRI = (
    "There is no fMRI: EEG is held against CLIP features of the very picture that was seen, as papers on EEG "
    "and pictures count. docs/encoders.md says what must be equal for a comparison with their numbers."
)
PROBE_NOTE = (
    "A prediction's cluster is the one whose mean target is nearest by cosine, by the training pairs of the "
    "person who is tested. Clusters are those of K-means on CLIP features, fitted on the training pairs "
    "(config: clustering); chance, in brackets, is the share of the commonest cluster among the test pairs. "
    "It is a coarse reading of the embedding. Runs that learned from CLIP features are held against means of "
    "these, so that their lines cannot be compared with the others."
)
FIELD = "Against CLIP features of the seen picture, as papers on EEG and pictures count"
FIELD_NOTE = (
    "These runs learned from CLIP features and from no fMRI (training.targets: clip), and their answers are "
    "those of the test pictures: no line of this table can be compared with one of the others. "
    "docs/encoders.md says what must be equal for a comparison with published numbers."
)


def pairing_notes(brains: str, *, is_exact: bool) -> str:
    """Say what scores of brains can show.

    Parameters
    ----------
    brains : an EEG person and an fMRI side.
    is_exact : whether both saw the same pictures.
    """
    if not has_fmri(brains):
        return WITHOUT_FMRI
    return PAIRED_EXACTLY if is_exact else PAIRED_BY_CLIP


def scores_page(brains: str, summary: pd.DataFrame, confusions: Mapping[str, Sequence[Sequence[int]]]) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    brains : an EEG person and an fMRI subject.
    summary : its rows of the summary table.
    confusions : of each run, numbers of test pairs by true and by predicted cluster.
    """
    probe = summary[summary["level"] == "probe"]
    whole = summary[(summary["n_gallery"] == summary["n_test"]) & (summary["n_trials"] == "all")]
    parts = {
        "EEG finds fMRI": headline(summary, level="image"),
        "fMRI finds EEG": whole[(whole["level"] == "image") & (whole["direction"] == "backward")],
        "With CSLS, which uses all test queries at once": whole[
            (whole["level"] == "transductive") & (whole["direction"] == "forward")
        ],
        "Single trials, as other projects count": summary[summary["level"] == "trial"],
        FIELD: headline(summary, level="field"),
    }
    tables = [
        part
        for title, rows in parts.items()
        if len(rows)
        for part in (heading(title), score_table(rows), *([note(FIELD_NOTE)] if title == FIELD else []))
    ]
    n_test, n_concepts = (summary[name].iloc[0] for name in ("n_test", "n_concepts"))
    return page(
        f"Scores of {brains}: {n_test} test pictures of {n_concepts} concepts",
        "Each cell: score, ± SD over seeds where there are several, 95 % interval over concepts, and "
        "chance in brackets. Chance of the cosine is that of wrong pairs, of MSE that of always "
        "predicting the training mean. Below each run: the kind of its targets, and the pictures of the EEG "
        "that it learned from; predicted targets come from the picture encoder, measured ones from a scan. "
        "All are scored on measured ones. The first table is the claim.",
        *tables,
        note(f"{TRIAL_LEVEL_NOTE[0].upper()}{TRIAL_LEVEL_NOTE[1:]}."),
        heading("In which cluster a prediction lies"),
        score_table(probe),
        table(
            ("run", "test pairs of each true cluster (a line each) by predicted cluster"),
            [
                (run, Markup("<br>").join(", ".join(map(str, row)) for row in confusions[run]))
                for run in probe["run"].unique()
            ],
        ),
        note(PROBE_NOTE),
    )


def score_table(rows: pd.DataFrame) -> Markup:
    """Write a row a run, a column a metric; many metrics stand in several tables.

    Parameters
    ----------
    rows : rows of the summary table that differ in run, seed and metric alone, with ``learned_from``.
    """
    scores = over_seeds(rows, ["run", "metric"])
    metrics = [metric for metric in METRICS if metric in set(rows["metric"])]
    runs = rows.drop_duplicates("run")
    n_tables = -(-len(metrics) // COLUMNS)

    def cells(run: str, metrics: Sequence[str]) -> list[Markup]:
        return [score_cell(scores.loc[(run, metric)], METRICS[metric]) for metric in metrics]

    return Markup().join(
        table(
            ("run", *(METRICS[metric].heading for metric in own)),
            [
                (_name(run, learned), *cells(run, own))
                for run, learned in zip(runs["run"], runs["learned_from"], strict=True)
            ],
        )
        for own in (part.tolist() for part in np.array_split(metrics, max(1, n_tables)))
    )


def _name(run: str, learned_from: str) -> Markup:
    return Markup("{}<br><small>{}</small>").format(run, learned_from)


def score_cell(score: pd.Series, column: Column) -> Markup:
    """Write a score with its spread over seeds, interval and chance, as far as they are known."""
    value, deviation, low, high, chance = (
        column.show(score[name]) for name in ("value", "deviation", "low", "high", "chance")
    )
    details = {
        f"± {deviation}": pd.notna(score["deviation"]),
        f"{low} – {high}": pd.notna(score["low"]),
        f"({chance})": pd.notna(score["chance"]),
    }
    small = [Markup("<br><small>{}</small>").format(text) for text, is_known in details.items() if is_known]
    return Markup("<b>{}</b>").format(value) + Markup().join(small)


def bounds_page(brains: str, bounds: Mapping[str, Any], *, is_exact: bool) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    brains : an EEG person and an fMRI subject.
    bounds : what measure_bounds wrote.
    is_exact : whether both saw the same pictures.
    """
    n_images = bounds["eeg"]["n_images"]
    rows = [
        (
            name,
            f"{100 * bounds[key]['top1']:.1f}",
            f"{100 * bounds[key]['two_way']:.1f}",
            f"{bounds[key]['reliability']:.2f}" if "reliability" in bounds[key] else "",
            meaning,
        )
        for key, (name, meaning) in BOUNDS.items()
        if bounds[key]
    ]
    quantiles = {f"{q} %": f"{bounds['pairing'][f'similarity_q{q:02d}']:.2f}" for q in (5, 25, 50, 75, 95)}
    return page(
        f"Bounds of {brains}",
        f"What the data allow, whatever the model. Chance is {100 / n_images:.1f} % for top-1 among "
        f"{n_images} test pictures and 50 % for 2-way identification.",
        table(("of", "top-1 %", "2-way %", "reliability", "how to read it"), rows),
        note(
            "Reliability is that of the mean over all measurements (Spearman and Brown), 0 to 1. A trained "
            "model may pass the EEG's line: it compares EEG with clean fMRI and has learned which EEG "
            "matters, while halves are compared as they are."
        ),
        heading("Likeness of the two pictures of a test pair"),
        table(("quantile", *quantiles), [("CLIP cosine", *quantiles.values())]),
        note(pairing_notes(brains, is_exact=is_exact)),
        *(_rsa_bound(bounds["rsa"]) if has_fmri(brains) else ()),
    )


def _rsa_bound(bound: float | None) -> tuple[str, str]:
    rsa = "unknown" if bound is None else f"{bound:.2f}"
    return (
        heading("Agreement of representational dissimilarity matrices"),
        f"Noise-free predictions would reach a Spearman correlation of {rsa} with the measured fMRI, the "
        "square root of its reliability over repetitions.",
    )
