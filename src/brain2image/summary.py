"""Readings of the summary table: means over seeds, kinds of runs."""

import pandas as pd

from brain2image.config import ORACLES, RESERVED_RUNS


def over_seeds(summary: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean over the seeds of a run; the bounds of the interval over pictures are means, too.

    Parameters
    ----------
    summary : rows of the summary table.
    by : columns besides seed that tell the rows apart.

    Returns
    -------
    Table indexed by ``by``, in the order of the rows: n_test, value, deviation (SD over seeds; NaN of
    a single one), chance, low, high, p (the largest, so that a claim holds for every seed), share_of_ceiling.
    """
    return summary.groupby(by, sort=False).agg(
        n_test=("n_test", "first"),
        value=("value", "mean"),
        deviation=("value", "std"),
        chance=("chance", "mean"),
        low=("low", "mean"),
        high=("high", "mean"),
        p=("p", "max"),
        share_of_ceiling=("share_of_ceiling", "mean"),
    )


def kind(run: str) -> str:
    """What a run is: ``network``, ``baseline``, or ``oracle``, which knows the pictures."""
    return "oracle" if run in ORACLES else "baseline" if run in RESERVED_RUNS else "network"
