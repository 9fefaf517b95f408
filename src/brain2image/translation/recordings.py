"""Continuous recordings: events, uninterrupted parts, and trials cut from filtered EEG."""

import itertools
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import mne
import numpy as np
import pandas as pd

from brain2image.errors import InputError, reason
from brain2image.things.signals import filter_eeg
from brain2image.translation.rates import at_model_rate, whole_rate
from brain2image.translation.sources import Source, named_channels, readable, select_events

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 100  # of trials filtered at once; 63 channels at 1000 Hz take 60 MB
# Where a recording was interrupted or glued together, as MNE, BrainVision and EEGLAB say.
INTERRUPTION = re.compile(r"(edge |bad )?boundary|bad_acq_skip|new segment", re.IGNORECASE)
SKIP = "BAD_ACQ_SKIP"  # where zeros stand for what was not recorded: the one interruption with a length
BAD = re.compile("bad", re.IGNORECASE)  # MNE's word for what is to be left out
# MNE's FIR filters take 3.3 / (width of the transition) seconds and look half as far to either side.
HALF_LENGTH = 1.65
NOTCH_TRANSITION = 0.5  # Hz
BIDS_EVENT = ("trial_type", "value")  # columns of events.tsv that say what happened, the first that is there


def open_recording(
    raw: mne.io.BaseRaw,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str] | None,
    events: Sequence[str] | None,
    filters: Mapping[str, float],
) -> Source:
    """Trials of a recording that has not to be in memory.

    Events come from the BIDS ``events.tsv`` beside the file, else from the annotations, else from the trigger
    channel. Trials that run past the end of an uninterrupted part, or into what is annotated as BAD, are left
    out.

    Parameters
    ----------
    raw : the recording.
    name : its file, for messages and for the ``events.tsv`` beside it.
    unit : of its samples; what MNE reads is ``V``.
    channels : names to use instead of the file's, for all of its channels.
    events : which ones to take; None takes all.
    filters : highpass, lowpass and notch of the training, Hz.

    Raises
    ------
    InputError
        When there are no such events, or the rate is too low.
    """
    sfreq = whole_rate(raw.info["sfreq"], source=name)
    names, bads = named_channels(raw.ch_names, channels, bads=raw.info["bads"], source=name)
    spans = _spans(raw)
    parts = _parts(raw, spans)
    trials = select_events(_find_events(raw, spans, name), events, source=name)
    trials = _whole_trials(trials, parts, spans, first=raw.first_samp, length=sfreq, source=name)
    onsets = trials["sample"].to_numpy() - raw.first_samp
    by_part = [(start, stop, onsets[(onsets >= start) & (onsets < stop)]) for start, stop in parts]
    blocks = partial(_blocks, raw, sfreq, [part for part in by_part if len(part[2])], filters, name)
    return Source(str(name), names, bads, unit, trials, blocks, raw.get_channel_types())


def _spans(raw: mne.io.BaseRaw) -> list[tuple[str, int, int]]:
    """What each annotation says, its first sample, and the sample after its last."""
    sfreq, spans = raw.info["sfreq"], []
    for annotation in raw.annotations:
        onset = annotation["onset"] - raw.first_time
        start, stop = round(onset * sfreq), round((onset + annotation["duration"]) * sfreq)
        spans.append((str(annotation["description"]), start, stop))
    return spans


def _parts(raw: mne.io.BaseRaw, spans: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """First sample, and sample after the last, of each part that was recorded without an interruption."""
    edges = {start for text, start, _ in spans if INTERRUPTION.match(text)}
    edges |= {stop for text, _, stop in spans if text.upper() == SKIP}
    inside = sorted(edge for edge in edges if 0 < edge < raw.n_times)
    return list(itertools.pairwise([0, *inside, raw.n_times]))


def _find_events(
    raw: mne.io.BaseRaw, spans: Sequence[tuple[str, int, int]], name: str | os.PathLike
) -> pd.DataFrame:
    """Event (str) and sample (int64, as MNE counts) of everything that happened, in time's order."""
    bids = Path(re.sub(r"_eeg\.\w+$", "_events.tsv", str(name)))
    marks = [(text, start) for text, start, _ in spans if not (INTERRUPTION.match(text) or BAD.match(text))]
    if bids != Path(name) and bids.is_file():
        marks = _read_bids_events(bids, raw)
    elif not marks and len(mne.pick_types(raw.info, meg=False, stim=True)):
        with readable(name):
            found = mne.find_events(raw, shortest_event=1, verbose="error")
        marks = [(str(code), sample - raw.first_samp) for sample, _, code in found.tolist()]
    trials = pd.DataFrame(marks, columns=["event", "sample"]).astype({"event": str, "sample": np.int64})
    trials["sample"] += raw.first_samp
    return trials.sort_values("sample", kind="stable", ignore_index=True)


def _read_bids_events(path: Path, raw: mne.io.BaseRaw) -> list[tuple[str, int]]:
    """Event and sample, from the file's first on, of each row of a BIDS ``events.tsv``."""
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, na_values="n/a", keep_default_na=False)
        column = next(column for column in BIDS_EVENT if column in table)
        table = table[["onset", column]].dropna()
        onsets = table["onset"].astype(float).to_numpy()
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise InputError(
            f"{path}: expected the columns onset and {' or '.join(BIDS_EVENT)}, but cannot read them "
            f"({reason(error)}); mend the table, or take it away to use the recording's own events"
        ) from None
    duration = raw.n_times / raw.info["sfreq"]
    if len(onsets) and not (onsets.min() >= 0 and onsets.max() < duration):
        raise InputError(
            f"{path}: expected onsets in seconds, 0 to {duration:g} as the recording lasts, got "
            f"{onsets.min():g} to {onsets.max():g}; are they milliseconds, or is the recording cut?"
        )
    samples = np.round(onsets * raw.info["sfreq"]).astype(int).tolist()
    return [mark for mark in zip(table[column], samples, strict=True) if not INTERRUPTION.match(mark[0])]


def _whole_trials(
    trials: pd.DataFrame,
    parts: Sequence[tuple[int, int]],
    spans: Sequence[tuple[str, int, int]],
    *,
    first: int,
    length: int,
    source: str | os.PathLike,
) -> pd.DataFrame:
    """The trials whose second lies in one part and in nothing bad."""
    start = trials["sample"].to_numpy() - first
    stops = np.array([stop for _, stop in parts])
    stop = stops[np.searchsorted(stops[:-1], start, side="right")]
    is_whole = (start >= 0) & (start + length <= stop)
    bad = [(begin, end) for text, begin, end in spans if BAD.match(text) and end > begin]
    is_bad = np.any([(start < end) & (start + length > begin) for begin, end in bad], axis=0) & is_whole
    for where, left_out in (("past the end of a part", ~is_whole), ("in BAD segments", is_bad)):
        if n_left_out := int(np.sum(left_out)):
            logger.warning("%s: left out %d trials that run %s", source, n_left_out, where)
    kept = trials[is_whole & ~is_bad].reset_index(drop=True)
    if kept.empty:
        raise InputError(
            f"{source}: expected trials of a second, got {len(trials)} events and none of them with a whole "
            "second before the recording ends or turns BAD"
        )
    return kept


def _reach(filters: Mapping[str, float]) -> float:
    """Seconds to either side of a sample on which its filtered value depends."""
    highpass, lowpass = filters["highpass"], filters["lowpass"]
    transitions = (min(max(highpass / 4, 2), highpass), max(lowpass / 4, 2), NOTCH_TRANSITION)
    return sum(HALF_LENGTH / width for width in transitions)


def _blocks(
    raw: mne.io.BaseRaw,
    sfreq: int,
    parts: Sequence[tuple[int, int, np.ndarray]],
    filters: Mapping[str, float],
    name: str | os.PathLike,
    rows: Sequence[int],
) -> Iterator[np.ndarray]:
    """Trials cut from filtered EEG, some 100 s at a time.

    So much of the part is read around them as the filters reach: the values are those of filtering the part
    as a whole.

    Parameters
    ----------
    parts : first sample, sample after the last, and onsets (n_trials,) of each.
    """
    around = math.ceil(_reach(filters) * sfreq)
    for start, stop, onsets in parts:
        if stop - start < 2 * around:
            text = "%s: samples %d to %d are fewer than the filters' %.0f s, expect edge effects"
            logger.warning(text, name, start, stop, 2 * around / sfreq)
        for _, group in itertools.groupby(onsets.tolist(), lambda onset: onset // (BLOCK_SECONDS * sfreq)):
            group = list(group)
            begin, end = max(start, group[0] - around), min(stop, group[-1] + sfreq + around)
            with readable(name):
                eeg = raw.get_data(rows, begin, end)
            eeg = filter_eeg(eeg, sfreq, **filters)
            windows = (eeg[:, onset - begin : onset - begin + sfreq] for onset in group)
            yield np.stack(
                [at_model_rate(window, 0, sfreq, lowpass=filters["lowpass"]) for window in windows]
            )
