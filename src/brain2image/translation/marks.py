"""What the marks in a recording say: something happened, the recording was interrupted, or it is bad."""

import logging
import math
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

import mne
import numpy as np

logger = logging.getLogger(__name__)

TYPE = r"(?i:(comment|stimulus|event|marker)/\s*)?"  # what BrainVision's files put before a mark's text
# Where a recording was interrupted or glued together: MNE and EEGLAB (-99 where its events are numbers),
# BrainVision, ANT.
CUT = re.compile(
    TYPE
    + r"((edge |bad )?boundary|-99(\.0+)?|new segment(/.*)?|lost ?samples.*|bad_acq_skip|bad_disconnection"
    r"|amplifier (dis|re)connected|impedance)",
    re.IGNORECASE,
)
# The interruptions whose length is in the recording; EEGLAB's is the length of what was cut out.
PAUSE = re.compile(TYPE + r"(bad_acq_skip|bad_disconnection)", re.IGNORECASE)
# MNE's word for what is to be left out, BAD or BAD_ and a reason; pictures show a badge and badminton.
BAD = re.compile(
    TYPE + r"((?i:bad)(?![^\W\d_])|BAD(?=[a-z])|(?i:bad ?(segment|interval|epoch|trial|channel|data|blink)))"
)
TYPED_BAD = re.compile(TYPE + "bad", re.IGNORECASE)
GDF_SEGMENT = "32766"  # 0x7FFE, start of a new segment in GDF


class Mark(NamedTuple):
    """A text, its first sample, and the sample after its last, counted from the recording's first."""

    text: str
    start: int
    stop: int


class Marks(NamedTuple):
    """Marks by what they say."""

    events: list[Mark]
    cuts: list[int]  # first samples after an interruption
    bad: list[tuple[int, int]]  # first sample, and sample after the last


def annotation_marks(raw: mne.io.BaseRaw, *, source: str | os.PathLike) -> list[Mark]:
    """Return the annotations of a recording as marks."""
    is_gdf = any(str(file).lower().endswith(".gdf") for file in raw.filenames)
    sfreq, marks = raw.info["sfreq"], []
    has_onset = np.isfinite(raw.annotations.onset)
    if n_odd := int((~has_onset).sum()):
        logger.warning("%s: left out %d annotations without an onset", source, n_odd)
    for annotation in raw.annotations[has_onset]:
        # counted from where the numbering of samples begins, also in what was cropped
        onset, text = annotation["onset"] - raw.first_time, str(annotation["description"])
        text = "boundary" if is_gdf and text == GDF_SEGMENT else text
        marks.append(make_mark(text, onset, annotation["duration"], sfreq=sfreq))
    return marks


def make_mark(text: str, onset: float, duration: float, *, sfreq: float) -> Mark:
    """Return a mark from times in seconds; a duration that is NaN or negative is none."""
    length = duration if math.isfinite(duration) and duration > 0 else 0
    return Mark(text, round(onset * sfreq), round((onset + length) * sfreq))


def sort_marks(marks: Iterable[Mark], *, source: str | os.PathLike) -> Marks:
    """Tell events, interruptions and bad segments apart by their texts, and log what is no event.

    Parameters
    ----------
    marks : in any order.
    source : the file, for the log.
    """
    sorted_marks, pointless = Marks([], [], []), []
    for mark in marks:
        if CUT.fullmatch(mark.text):
            sorted_marks.cuts.append(mark.start)
            if PAUSE.fullmatch(mark.text) and mark.stop > mark.start:
                sorted_marks.cuts.append(mark.stop)
                sorted_marks.bad.append(mark[1:])
        elif not BAD.match(mark.text):
            sorted_marks.events.append(mark)
        elif mark.stop > mark.start:
            sorted_marks.bad.append(mark[1:])
        else:
            pointless.append(mark.text)
    if pointless:
        text = "%s: %d marks of something bad have no duration and leave nothing out: %s"
        logger.warning(text, source, len(pointless), _listed(pointless))
    if pictures := [mark.text for mark in sorted_marks.events if TYPED_BAD.match(mark.text)]:
        text = "%s: taken as events and not as bad segments, which are called BAD or BAD_…: %s"
        logger.info(text, source, _listed(pictures))
    return sorted_marks


def _listed(texts: list[str]) -> str:
    different = sorted(set(texts))
    return ", ".join(map(repr, different[:5])) + (", …" if len(different) > 5 else "")
