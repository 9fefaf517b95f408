"""Trials whose second of EEG shares raw samples with that of other trials."""

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError

WINDOW = 1.0  # s: a trial is the second after its picture's onset


def overlapping(trials: pd.DataFrame, others: pd.DataFrame, *, sfreq: float | None) -> np.ndarray | None:
    """Find the trials whose second overlaps that of one of others in the same raw file.

    In THINGS-EEG2 pictures follow one another every 0.2 s, so that a trial shares samples with about eight
    others, in Alljoined1 every 0.8 s, with two.

    Parameters
    ----------
    trials, others : session, partition (of the picture; both name the raw file) and onset (sample of the raw
        file, -1 where the source does not say).
    sfreq : rate of the raw files, Hz.

    Returns
    -------
    (n_trials,) bool; None when an onset is unknown.

    Raises
    ------
    InputError
        When the onsets are known and the rate is not.
    """
    if (trials["onset"] < 0).any() or (others["onset"] < 0).any():
        return None
    if sfreq is None:
        raise InputError(
            "expected raw_sfreq, Hz, beside the onsets of the trials, got none; repack the EEG, or let its "
            "reader write this attribute"
        )
    window = round(WINDOW * sfreq)
    files = ["session", "partition"]
    known = {file: np.sort(rows["onset"].to_numpy()) for file, rows in others.groupby(files)}
    is_overlapping = np.zeros(len(trials), dtype=bool)
    for file, rows in trials.reset_index(drop=True).groupby(files):
        onsets = known.get(file, np.empty(0, np.int64))
        first = np.searchsorted(onsets, rows["onset"] - window, side="right")
        is_overlapping[rows.index] = first < np.searchsorted(onsets, rows["onset"] + window, side="left")
    return is_overlapping
