"""Continuous recordings: trials cut from filtered EEG, from uninterrupted parts alone."""

import itertools
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import mne
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.signals import filter_eeg, notch_frequencies
from brain2image.formats.eeg_files import readable
from brain2image.translation.beside import beside, read_events, read_sidecar, read_table
from brain2image.translation.caps import ten_five
from brain2image.translation.gaps import find_gaps, split_parts
from brain2image.translation.hum import recording_filters, warn_of_hum
from brain2image.translation.marks import Mark, Marks, annotation_marks, sort_marks
from brain2image.translation.new_eeg import Cutting, Source, named_channels, select_events
from brain2image.translation.rates import at_model_rate, whole_rate
from brain2image.translation.triggers import read_triggers

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 100  # of trials filtered at once; 63 channels at 1000 Hz take 60 MB
# MNE's FIR filters take 3.3 / (width of the transition) seconds and look half as far to either side.
HALF_LENGTH = 1.65
NOTCH_TRANSITION = 0.5  # Hz


def open_recording(
    raw: mne.io.BaseRaw,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str] | None,
    cutting: Cutting,
) -> Source:
    """Open trials of a recording that has not to be in memory.

    Events come from the BIDS ``events.tsv`` beside the file, else from the annotations, else from the trigger
    channel. Trials that run past the end of an uninterrupted part, or into what is annotated as BAD, are left
    out.

    Parameters
    ----------
    raw : the recording.
    name : its file, for messages and for what lies beside it.
    unit : of its samples; what MNE reads is ``V``.
    channels : names to use instead of the file's, for all of its channels.
    cutting : which trials, and how.

    Raises
    ------
    InputError
        When there are no such events, or the rate is too low.
    """
    sfreq, name = whole_rate(raw.info["sfreq"], source=name), str(name)
    names, bads = named_channels(raw.ch_names, channels, bads=raw.info["bads"], source=name)
    said = read_sidecar(name)
    reference = str(said["EEGReference"]) if "EEGReference" in said else None
    filters = recording_filters(raw, cutting, said, source=name)
    marks = _find_marks(raw, cutting.event_column, name)
    events = pd.DataFrame(marks.events, columns=Mark._fields).rename(columns={"text": "event"})
    events = events.astype({"event": str, "start": np.int64}).sort_values("start", kind="stable")
    if events.empty:
        raise InputError(f"{name}: expected events, got none: {_places_of_events(raw, name)}")
    events = select_events(events, cutting.events, source=name)
    shift = round(cutting.shift * sfreq / 1000)
    events["onset"] = events["start"] + shift
    events = _whole_trials(events, marks, raw.n_times, length=sfreq, source=name)

    def cut(events: pd.DataFrame, gaps: Sequence[tuple[int, int]]) -> Source:
        onsets = events["onset"].to_numpy()
        parts = split_parts(raw.n_times, marks.cuts, gaps)
        by_part = [(start, stop, onsets[(onsets >= start) & (onsets < stop)]) for start, stop in parts]
        blocks = partial(_blocks, raw, sfreq, [part for part in by_part if len(part[2])], filters, name)
        trials = events[["event"]].assign(sample=events["start"] + raw.first_samp).reset_index(drop=True)
        return Source(name, names, bads, unit, trials, blocks, usable, reference)

    def usable(rows: Sequence[int]) -> Source:
        gaps = find_gaps(raw, rows, block=BLOCK_SECONDS * sfreq, name=name)
        return cut(_leave_out(events, {"in spans without EEG": _touches(events, gaps, sfreq)}, name), gaps)

    return cut(events, ())


def _find_marks(raw: mne.io.BaseRaw, event_column: str | None, name: str) -> Marks:
    """Find what happened in a recording, and where it was interrupted or bad."""
    marks = sort_marks(annotation_marks(raw, source=name), source=name)
    table = beside(name, "_events.tsv")
    if event_column is not None and table is None:
        raise InputError(
            f"{name}: expected an events.tsv beside it with the column {event_column}, got none; leave "
            "event_column out"
        )
    if table is not None:
        rows = read_events(table, column=event_column, sfreq=raw.info["sfreq"], n_times=raw.n_times)
        own = sort_marks(rows, source=table)
        return Marks(own.events, marks.cuts + own.cuts, marks.bad + own.bad)
    codes = read_triggers(raw, source=name)
    if not marks.events:
        return marks._replace(events=[Mark(code, sample, sample) for code, sample in codes])
    if codes:
        text = (
            "%s: events are the %d annotations; the trigger channel's %d are not used, unless you hand over "
            "the Raw without annotations"
        )
        logger.warning(text, name, len(marks.events), len(codes))
    return marks


def _places_of_events(raw: mne.io.BaseRaw, name: str) -> str:
    """Say which tables, annotations and channels could hold events, and what to do."""
    table = beside(name, "_events.tsv")
    if table is not None:
        columns = ", ".join(read_table(table))
        return f"{table} has the columns {columns} and no row that is an event; mend it, or take it away"
    found = {
        "annotations": sorted(set(raw.annotations.description)),
        "trigger channels": [raw.ch_names[row] for row in mne.pick_types(raw.info, stim=True)],
        "channels that are no electrode": [name for name in raw.ch_names if name not in ten_five()],
    }
    listed = "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in found.items())
    return (
        f"{listed}; set the type of the channel that holds them to stim, or put an events.tsv beside the file"
    )


def _whole_trials(
    events: pd.DataFrame, marks: Marks, n_times: int, *, length: int, source: str
) -> pd.DataFrame:
    """Return the events whose second lies in one part and in nothing bad."""
    starts, stops = np.array(split_parts(n_times, marks.cuts, ())).T
    onset = events["onset"].to_numpy()
    part = np.searchsorted(starts, onset, side="right") - 1
    is_cut = (onset < 0) | (onset + length > stops[part])
    is_bad = _touches(events, marks.bad, length)
    reasons = {"past the end of a part": is_cut, "in BAD segments": is_bad & ~is_cut}
    return _leave_out(events, reasons, source)


def _touches(events: pd.DataFrame, spans: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """Tell whether the second from each onset on shares a sample with one of the spans, (n_trials,) bool."""
    onset = events["onset"].to_numpy()
    touches = np.zeros(len(onset), bool)
    for start, stop in spans:
        touches |= (onset < stop) & (onset + length > start)
    return touches


def _leave_out(events: pd.DataFrame, reasons: Mapping[str, np.ndarray], source: str) -> pd.DataFrame:
    """Log how many trials run where they should not, and return the others."""
    for where, left_out in reasons.items():
        if n_left_out := int(np.sum(left_out)):
            logger.warning("%s: left out %d trials that run %s", source, n_left_out, where)
    kept = events[~np.any(list(reasons.values()), axis=0)]
    if kept.empty:
        raise InputError(
            f"{source}: expected trials of a second, got {len(events)} events and none of them with a whole "
            "second before the recording ends, is interrupted or turns BAD"
        )
    return kept


def _reach(filters: Mapping[str, Any]) -> float:
    """Return the seconds to either side of a sample on which its filtered value depends."""
    highpass, lowpass = filters["highpass"], filters["lowpass"]
    transitions = [min(max(highpass / 4, 2), highpass), max(lowpass / 4, 2)]
    if notch_frequencies(filters["notch"], lowpass=lowpass):
        transitions.append(NOTCH_TRANSITION)
    return sum(HALF_LENGTH / width for width in transitions)


def _blocks(
    raw: mne.io.BaseRaw,
    sfreq: int,
    parts: Sequence[tuple[int, int, np.ndarray]],
    filters: Mapping[str, Any],
    name: str,
    rows: Sequence[int],
) -> Iterator[np.ndarray]:
    """Yield trials cut from filtered EEG, some 100 s at a time.

    So much of the part is read around them as the filters reach: the values are those of filtering the part
    as a whole.

    Parameters
    ----------
    parts : first sample, sample after the last, and onsets (n_trials,) of each.
    """
    around, is_first = math.ceil(_reach(filters) * sfreq), True
    for start, stop, onsets in parts:
        if stop - start < 2 * around:
            text = "%s: samples %d to %d are fewer than the filters' %.0f s, expect edge effects"
            logger.warning(text, name, start, stop, 2 * around / sfreq)
        for _, near in itertools.groupby(onsets.tolist(), lambda onset: onset // (BLOCK_SECONDS * sfreq)):
            group = list(near)
            begin, end = max(start, group[0] - around), min(stop, group[-1] + sfreq + around)
            with readable(name):
                eeg = raw.get_data(rows, begin, end)
            eeg = filter_eeg(eeg, sfreq, **filters)
            if is_first and len(rows) > 1:
                warn_of_hum(eeg, sfreq, filters, source=name)
                is_first = False
            windows = (eeg[:, onset - begin : onset - begin + sfreq] for onset in group)
            yield np.stack(
                [at_model_rate(window, 0, sfreq, lowpass=filters["lowpass"]) for window in windows]
            )
