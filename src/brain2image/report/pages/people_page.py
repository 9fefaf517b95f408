"""The table of people and methods."""

import pandas as pd
from markupsafe import Markup

from brain2image.evaluation.people_scores import PeopleScores
from brain2image.report.pages.html import heading, note, page, table

COLUMNS = 7  # methods of a table: more would not stand side by side


def people_page(scores: PeopleScores) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    scores : of `people_scores.score_people`.
    """
    methods = scores.methods
    blocks = [methods[start : start + COLUMNS] for start in range(0, len(methods), COLUMNS)]
    n_test, chance = scores.brains["n_test"], 100 * scores.brains["chance"]
    parts = [
        part
        for number, block in enumerate(blocks, start=1)
        for part in ([heading(f"Methods, part {number} of {len(blocks)}")] if len(blocks) > 1 else [])
        + [_table(block, scores)]
    ]
    return page(
        f"Top-1 (%) of {len(scores.brains)} pairs of brains: {_range(n_test, '.0f')} test pictures, "
        f"chance {_range(chance, '.1f')} %",
        "Share of test pictures whose measured fMRI embedding is the nearest of all to the one predicted "
        "from EEG, all trials of a picture averaged; the mean over seeds. Below each method: whose EEG it "
        "learned from. The last row is the mean of those above, with its 95 % interval.",
        *parts,
        note(
            "Intervals are over people, seeds and concepts of test pictures, which are crossed, as all "
            "people saw the same pictures; of few people they are wide. Calibrated runs learned from "
            "other people's EEG, then from so many pictures of the person's own. Oracles know the picture."
        ),
    )


def _table(methods: pd.DataFrame, scores: PeopleScores) -> Markup:
    top1 = 100 * scores.top1.loc[methods.index].T
    rows = [(brains, *(f"{value:.1f}" for value in own)) for brains, own in top1.iterrows()]
    return table(
        ("brains", *(_heading(method) for _, method in methods.iterrows())),
        [*rows, ("mean", *(_mean(method) for _, method in methods.iterrows()))],
    )


def _heading(method: pd.Series) -> Markup:
    """Return the method's name, which may break after each _, above whose EEG it learned from."""
    name = Markup("_<wbr>").join(str(method.name).split("_"))
    learned = "" if method["kind"] == "oracle" else method["whose"]
    if learned == "calibrated":
        learned = f"{int(method['n_calibration'])} pictures"
    return Markup("{}<br><small>{}</small>").format(name, learned)


def _mean(method: pd.Series) -> Markup:
    mean, low, high = (100 * method[name] for name in ("mean", "low", "high"))
    interval = "" if pd.isna(low) else Markup("<br><small>{:.1f} – {:.1f}</small>").format(low, high)
    return Markup("<b>{:.1f}</b>").format(mean) + interval


def _range(values: pd.Series, style: str) -> str:
    """Return the number that all have, or the least and the most of them."""
    least, most = (format(value, style) for value in (values.min(), values.max()))
    return least if least == most else f"{least} to {most}"
