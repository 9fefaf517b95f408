"""Spans of a recording in which there is no EEG, though nothing marks them."""

import logging
from collections.abc import Sequence
from itertools import pairwise

import mne
import numpy as np

from brain2image.core.errors import InputError
from brain2image.formats.eeg_files import readable

logger = logging.getLogger(__name__)

STILL = 0.1  # s; where no channel changes for longer, nothing was recorded


def find_gaps(raw: mne.io.BaseRaw, rows: Sequence[int], *, block: int, name: str) -> list[tuple[int, int]]:
    """Return first sample, and sample after the last, of every span with NaN, or in which nothing changes.

    Parameters
    ----------
    raw : the recording.
    rows : channels to look at.
    block : samples read at once.
    name : the recording's, for messages.

    Raises
    ------
    InputError
        When a channel is NaN most of the time.
    """
    n_times, n_broken = raw.n_times, np.zeros(len(rows), np.int64)
    is_broken, is_still = np.zeros(n_times, bool), np.zeros(n_times, bool)
    for start in range(0, n_times, block):
        stop, before = min(start + block, n_times), max(start - 1, 0)
        with readable(name):
            eeg = raw.get_data(rows, before, stop)
        is_finite = np.isfinite(eeg[:, start - before :])
        n_broken += (~is_finite).sum(axis=1)
        is_broken[start:stop] = ~is_finite.all(axis=0)
        is_still[before + 1 : stop] = (eeg[:, 1:] == eeg[:, :-1]).all(axis=0)
    worst = int(np.argmax(n_broken))
    if 2 * n_broken[worst] > n_times:
        raise InputError(
            f"{name}: expected finite EEG, got NaN or infinity in {n_broken[worst] / n_times:.0%} of channel "
            f"{raw.ch_names[rows[worst]]}; mark it as bad and ask for its interpolation (--interpolate)"
        )
    broken = _runs(is_broken)
    # a sample is still when it equals the one before, with which the span begins
    still = [(start - 1, stop) for start, stop in _runs(is_still) if stop - start > STILL * raw.info["sfreq"]]
    for spans, what in ((broken, "hold NaN or infinity"), (still, "do not change in any channel")):
        if spans:
            seconds = sum(stop - start for start, stop in spans) / raw.info["sfreq"]
            text = "%s: %d spans, %.3g s together, %s and are taken as interruptions"
            logger.warning(text, name, len(spans), seconds, what)
    return sorted(broken + still)


def split_parts(n_times: int, cuts: Sequence[int], gaps: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return first sample, and sample after the last, of each part recorded without an interruption.

    Parameters
    ----------
    n_times : samples of the recording.
    cuts : first samples after an interruption.
    gaps : spans without EEG.
    """
    is_eeg = np.ones(n_times + 2, bool)
    is_eeg[[0, -1]] = False
    for start, stop in gaps:
        is_eeg[start + 1 : stop + 1] = False
    edges = set(np.flatnonzero(np.diff(is_eeg)).tolist()) | {cut for cut in cuts if 0 < cut < n_times}
    return [(start, stop) for start, stop in pairwise(sorted(edges)) if is_eeg[start + 1]]


def _runs(is_on: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_on, [False]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
