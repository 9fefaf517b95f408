"""Sequences of pictures by their event pulses, and the parts that a raw recording was glued together from.

A sequence that is not what the experiment showed, 20 known pictures 200 ms apart, is dropped and counted; the
others stay what they are, as each pulse carries the number of its own picture.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.left_out import FAULTS
from brain2image.datasets.signals import CLEAR_STEP, find_joint

logger = logging.getLogger(__name__)

TARGET = 99999  # code of the pictures that ask for a key press
SEQUENCE_LENGTH = 20  # pictures
SOA = 200  # ms between the onsets within a sequence
# A display frame can be late (17 ms); a lost or an additional pulse leaves a gap off by 100 ms or more.
SOA_TOLERANCE = 50  # ms, each gap
SOA_MEDIAN_TOLERANCE = 5  # ms, the median gap
# So long without a pulse ends a sequence: 1.7 s pass between two of them, four lost pulses leave 1 s.
PAUSE = 1000  # ms
FEWEST_PULSES = SEQUENCE_LENGTH // 2  # fewer are no sequence but stray pulses


class Sequences(NamedTuple):
    """The sequences of one recording.

    Attributes
    ----------
    onsets, codes : (n_whole, 20) int64, sample and code of each picture of the whole sequences.
    spans : (n_found, 2) int64, first and last onset of each sequence, those that are dropped included.
    lost : how many are dropped, by the keys of `FAULTS`.
    n_stray : pulses that belong to no sequence.
    """

    onsets: np.ndarray
    codes: np.ndarray
    spans: np.ndarray
    lost: dict[str, int]
    n_stray: int


def find_sequences(stim: np.ndarray, *, n_images: int, source: str | os.PathLike) -> Sequences:
    """Find the sequences of a recording, and what is wrong with each.

    Parameters
    ----------
    stim : (n_samples,) float64, 0 but for one sample at each onset: the picture's number from 1, or 99999.
    n_images : the largest number.
    source : the file, for messages.

    Raises
    ------
    InputError
        When most pulses are not 200 ms apart.
    """
    onsets = np.flatnonzero(stim)
    codes = stim[onsets]
    gaps = np.diff(onsets)
    if not gaps.size or abs(np.median(gaps) - SOA) > SOA_MEDIAN_TOLERANCE:
        got = f"{np.median(gaps):g} ms" if gaps.size else f"{len(onsets)} event pulses"
        raise InputError(
            f"{source}: expected a median of {SOA} ms between pictures, got {got}; is the sampling rate "
            "1000 Hz, and is the recording whole?"
        )
    is_known = (codes == TARGET) | ((codes >= 1) & (codes <= n_images) & (codes == np.floor(codes)))
    groups = np.split(np.arange(len(onsets)), np.flatnonzero(gaps > PAUSE) + 1)
    found = [group for group in groups if len(group) >= FEWEST_PULSES]
    faults = [_fault(onsets[group], is_known[group]) for group in found]
    whole = [group for group, fault in zip(found, faults, strict=True) if fault is None]
    rows = np.array(whole, int).reshape(-1, SEQUENCE_LENGTH)
    spans = np.array([onsets[group[[0, -1]]] for group in found], int).reshape(-1, 2)
    lost = {fault: faults.count(fault) for fault in FAULTS}
    n_stray = len(onsets) - sum(len(group) for group in found)
    return Sequences(onsets[rows], codes[rows].astype(np.int64), spans, lost, n_stray)


def _fault(onsets: np.ndarray, is_known: np.ndarray) -> str | None:
    """Say what is wrong with a sequence; None where nothing is."""
    if not is_known.all():
        return "unknown_code"
    if len(onsets) != SEQUENCE_LENGTH:
        return "lost_pulse" if len(onsets) < SEQUENCE_LENGTH else "added_pulse"
    return "late_frame" if (np.abs(np.diff(onsets) - SOA) > SOA_TOLERANCE).any() else None


def check_lost(lost: Mapping[str, int], n_whole: int, *, max_lost: float, source: str | os.PathLike) -> None:
    """Raise InputError when a recording lost more than a share ``max_lost`` of its sequences."""
    n_lost = sum(lost.values())
    if n_whole and n_lost <= max_lost * (n_lost + n_whole):
        return
    reasons = ", ".join(f"{n} {FAULTS[fault]}" for fault, n in lost.items() if n) or "no sequence at all"
    raise InputError(
        f"{source}: expected at most {100 * max_lost:g} % of its sequences of {SEQUENCE_LENGTH} pictures to "
        f"be lost (eeg.max_lost), got {n_lost} of {n_lost + n_whole}: {reasons}; download the file again"
        + ("; are training and test file exchanged, or pictures missing?" if lost["unknown_code"] else "")
    )


def find_parts(
    data: np.ndarray,
    rows: Sequence[int],
    sequences: Sequences,
    *,
    n_parts: int,
    max_lost: float,
    source: str | os.PathLike,
) -> tuple[list[tuple[int, int]], int]:
    """Find first sample, and sample after the last, of each part of a file that was glued together.

    The file does not say where one part ends. All parts have as many sequences, and where the amplifier was
    started anew all channels jump: a joint is the largest step between the last picture of a part and the
    first of the next. Where sequences are lost, the gaps nearby are looked at too.

    Parameters
    ----------
    data : (n_rows, n_samples) float64, volts in ``rows``.
    max_lost : share of the sequences that may be lost, by which a joint may have moved.

    Returns
    -------
    parts : (start, stop) of each.
    n_unclear : joints whose step does not stand out; where there is an offset that was not found, it rings
        in the filters for seconds.

    Raises
    ------
    InputError
        When sequences are lost and no step tells where a part ends.
    """
    n_sequences, boundaries, n_unclear = len(sequences.spans), [0], 0
    is_regular = n_sequences % n_parts == 0
    reach = math.ceil(max_lost * n_sequences) if sum(sequences.lost.values()) or not is_regular else 0
    reach = min(reach, (n_sequences // n_parts - 1) // 2)
    for joint in range(1, n_parts):
        expected = joint * n_sequences / n_parts
        boundary, clear = (
            _find_joint(data, rows, sequences.spans, round(expected)) if is_regular else (0, 0.0)
        )
        if clear < CLEAR_STEP:
            gaps = range(math.ceil(expected - reach), math.floor(expected + reach) + 1)
            others = [_find_joint(data, rows, sequences.spans, gap) for gap in gaps]
            nearby = max(others, key=lambda found: found[1], default=(0, 0.0))
            boundary, clear = nearby if nearby[1] >= CLEAR_STEP else (boundary, clear)
        if not boundary:
            raise InputError(
                f"{source}: expected {n_parts} parts of equally many sequences, got {n_sequences} sequences "
                f"and no step near number {expected:.0f} that tells where part {joint} ends; the recording "
                "is not whole, download it again"
            )
        n_unclear += clear < CLEAR_STEP
        logger.info("joint of two parts at sample %d, %.1f times the usual change", boundary, clear)
        boundaries.append(boundary)
    boundaries.append(data.shape[1])
    return list(pairwise(boundaries)), n_unclear


def _find_joint(data: np.ndarray, rows: Sequence[int], spans: np.ndarray, gap: int) -> tuple[int, float]:
    """Find the largest step before sequence ``gap`` and after the one before it: its sample and clearness."""
    start, stop = int(spans[gap - 1, 1]), int(spans[gap, 0])
    step, clear = find_joint(data[:, start : stop + 1][rows])
    return start + step, clear


def count_absent(spans: np.ndarray, parts: Sequence[tuple[int, int]]) -> int:
    """Count the sequences that parts lack to have as many as most others."""
    starts = [start for start, _ in parts]
    counts = np.bincount(np.searchsorted(starts, spans[:, 0], side="right") - 1, minlength=len(parts))
    return int(np.maximum(np.floor(np.median(counts)) - counts, 0).sum())
