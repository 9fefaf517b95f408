"""Trials whose second of EEG shares raw samples with that of other trials."""

import numpy as np
import pandas as pd

WINDOW = 1000  # samples at 1000 Hz: a trial is the second after its picture's onset


def overlapping(trials: pd.DataFrame, others: pd.DataFrame) -> np.ndarray | None:
    """Find the trials whose second overlaps that of one of others in the same raw file.

    Pictures follow one another every 0.2 s, so that a trial shares samples with about eight others.

    Parameters
    ----------
    trials, others : session, partition (of the picture; both name the raw file) and onset (sample at 1000 Hz,
        -1 where the source does not say).

    Returns
    -------
    (n_trials,) bool; None when an onset is unknown.
    """
    if (trials["onset"] < 0).any() or (others["onset"] < 0).any():
        return None
    files = ["session", "partition"]
    known = {file: np.sort(rows["onset"].to_numpy()) for file, rows in others.groupby(files)}
    is_overlapping = np.zeros(len(trials), dtype=bool)
    for file, rows in trials.reset_index(drop=True).groupby(files):
        onsets = known.get(file, np.empty(0, np.int64))
        first = np.searchsorted(onsets, rows["onset"] - WINDOW, side="right")
        is_overlapping[rows.index] = first < np.searchsorted(onsets, rows["onset"] + WINDOW, side="left")
    return is_overlapping
