"""Readings of the summary table: means over seeds, kinds of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from brain2image.constants.brain_names import has_fmri
from brain2image.constants.predictors import MEASURED, ORACLES, RESERVED_RUNS
from brain2image.formats.tables import SUMMARY

# Whose EEG a run or a baseline learned from, by `whose`; in this order they are shown.
WHOSE = {
    "own": "the person's own EEG",
    "others": "other people's EEG",
    "calibrated": "other people's EEG, and some of the person's own",
    "all": "everybody's EEG",
    "listed": "the EEG of people that the config lists",
}

OF_TRAINING = ("best_epoch", "network_share", "n_calibration", "n_calibration_trials")
MAYBE = ("seed", "best_epoch", "n_calibration", "n_calibration_trials")  # which not every row has


def over_seeds(summary: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Average over the seeds of a run; the bounds of the interval over concepts are means, too.

    Parameters
    ----------
    summary : rows of the summary table.
    by : columns besides seed that tell the rows apart.

    Returns
    -------
    Table indexed by ``by``, in the order of the rows: n_test, n_concepts, value, deviation
    (SD over seeds; NaN of a single one), chance, low, high, p (the largest, so that a claim holds for every
    seed), share_of_ceiling.
    """
    return summary.groupby(by, sort=False).agg(
        n_test=("n_test", "first"),
        n_concepts=("n_concepts", "first"),
        value=("value", "mean"),
        deviation=("value", "std"),
        chance=("chance", "mean"),
        low=("low", "mean"),
        high=("high", "mean"),
        p=("p", "max"),
        share_of_ceiling=("share_of_ceiling", "mean"),
    )


def kind(run: str) -> str:
    """Tell what a run is: ``network``, ``baseline``, or ``oracle``, which knows the pictures."""
    return "oracle" if run in ORACLES else "baseline" if run in RESERVED_RUNS else "network"


def whose(people: str, n_calibration: float | None) -> str:
    """Tell whose EEG was learned from, a key of `WHOSE`.

    Parameters
    ----------
    people, n_calibration : of a row of the summary table.
    """
    if people == "others" and pd.notna(n_calibration):
        return "calibrated"
    return people if people in WHOSE else "listed"


def claims(summary: pd.DataFrame) -> pd.Series:
    """Tell of each row whether it is at the level of the claim: against fMRI or, where there is none, CLIP's.

    Parameters
    ----------
    summary : table of `summarise`.
    """
    levels = ["image" if has_fmri(brains) else "field" for brains in summary["brains"]]
    return summary["level"] == pd.Series(levels, index=summary.index, dtype=object)


def headline(summary: pd.DataFrame, *, level: str | None = None) -> pd.DataFrame:
    """Select the rows that a paper's table shows: image level, all trials, EEG finds fMRI, whole gallery.

    Parameters
    ----------
    summary : table of `summarise`.
    level : ``image``, or ``field`` of runs that learned from CLIP features, which have no rows of the other;
        None: that of `claims`.
    """
    is_wanted = claims(summary) if level is None else summary["level"] == level
    return summary[
        is_wanted
        & (summary["n_trials"] == "all")
        & (summary["direction"] != "backward")
        & (summary["n_gallery"] == summary["n_test"])
    ]


def summarise(
    predictors: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    decoded: Sequence[Mapping[str, Any]] = (),
) -> pd.DataFrame:
    """Make a row a pair of brains, run, seed, level, space, number of trials, direction, gallery and metric.

    Parameters
    ----------
    predictors : brains, run, seed and folder (the name under which its results lie) of each of ``metrics``.
    metrics : what `evaluate` returned.
    decoded : ``brains``, and the ``scores`` of levels ``tokens`` and ``drawn`` by the folders of runs and of
        ``measured_fmri``.

    Returns
    -------
    Table of `tables.SUMMARY`: n_passed_over candidates are in no split though a worse one is; learned_from
    tells targets and pictures; people whose EEG was learned from; n_calibration and n_calibration_trials by
    how much EEG of the tested person a calibration was fitted; best_epoch or network_share of 0 mean that the
    training brought nothing, baselines have neither; ``share_of_ceiling = (value - chance) / (ceiling - its
    chance)`` where the run called ceiling, the best prediction from
    the seen picture, which simulated data have, passes chance, and the run is held against the same answers.
    """
    rows = [
        {**predictor, **_facts(content), **score}
        for predictor, content in zip(predictors, metrics, strict=True)
        for score in content["scores"]
    ]
    rows += _decoded_rows(predictors, metrics, decoded)
    table = pd.DataFrame(rows).astype(dict.fromkeys(MAYBE, "Int64"))
    gain = table["value"] - table["chance"]
    keys = ["brains", "level", "space", "n_trials", "direction", "n_gallery", "metric"]
    ceiling = table[table["run"] == "ceiling"].assign(gain=gain)[[*keys, "gain"]]
    reachable = table[keys].merge(ceiling, how="left", on=keys)["gain"]
    return table.assign(share_of_ceiling=gain / reachable.where(reachable != 0))[list(SUMMARY)]


def _decoded_rows(
    predictors: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    decoded: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Make the rows of what was decoded, with what each run's other rows say of it."""
    measured = {"run": MEASURED, "seed": None, "learned_from": "nothing, it was measured", "people": "own"}
    measured |= dict.fromkeys(OF_TRAINING)
    known = {}
    for predictor, content in zip(predictors, metrics, strict=True) if decoded else ():
        said = known[predictor["brains"], predictor["folder"]] = {**predictor, **_facts(content)}
        known[predictor["brains"], MEASURED] = said | measured
    return [
        {**known[content["brains"], name], **row}
        for content in decoded
        for name, rows in content["scores"].items()
        for row in rows
    ]


def _facts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what a run's rows of the summary say besides its scores."""
    training = content["training"] or {"best_epoch": None, "network_share": None}
    calibration = content["calibration"] or {"n_pictures": None, "n_trials": None}
    numbers = {name: content[name] for name in ("n_test", "n_concepts")}
    split = content["audit"]["split"]
    return {
        **numbers,
        "n_passed_over": split["n_passed_over"],
        "learned_from": content["learned_from"],
        "people": content["people"],
        "n_calibration": calibration["n_pictures"],
        "n_calibration_trials": calibration["n_trials"],
        **training,
    }
