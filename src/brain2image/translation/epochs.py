"""Trials that are cut already: MNE's epochs, and arrays."""

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import mne
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.eeg_files import MNE_LEVEL, readable
from brain2image.translation.new_eeg import Cutting, Source, named_channels, select_events
from brain2image.translation.rates import N_TIMES, SFREQ, at_model_rate, whole_rate

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 128  # 65 MB of 63 channels and a second at 1000 Hz


def open_epochs(
    epochs: mne.BaseEpochs,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str] | None,
    cutting: Cutting,
) -> Source:
    """Open trials of MNE's epochs; they are not filtered, as they are shorter than the filters.

    Parameters
    ----------
    epochs : in memory or in a file.
    name : the file, for messages.
    unit : of the samples; what MNE reads is ``V``.
    channels : names to use instead of the file's, for all of its channels.
    cutting : which trials, and how; the filters are for the log.

    Raises
    ------
    InputError
        When the second after the event is not whole, there are no such events, or the rate is too low.
    """
    cutting.check_whole_recording(str(name))
    with readable(name):
        epochs.drop_bad(verbose=MNE_LEVEL)
    _say_dropped(epochs.drop_log, source=name)
    sfreq = whole_rate(epochs.info["sfreq"], source=name)
    onset = round((cutting.shift / 1000 - epochs.tmin) * sfreq)
    _check_window(onset, len(epochs.times), sfreq, cutting.shift, source=name)
    _say_filters(epochs, cutting.filters, source=name)
    text = {code: event for event, code in epochs.event_id.items()}
    samples, _, codes = epochs.events.T
    trials = pd.DataFrame({"event": [text[code] for code in codes], "sample": samples.astype(np.int64)})
    trials = select_events(trials, cutting.events, source=name)
    names, bads = named_channels(epochs.ch_names, channels, bads=epochs.info["bads"], source=name)

    def read(numbers: np.ndarray, rows: list[int]) -> np.ndarray:
        with readable(name):
            return epochs.get_data(picks=rows, item=numbers, verbose=MNE_LEVEL)

    resample = partial(at_model_rate, onset=onset, sfreq=sfreq, lowpass=epochs.info["lowpass"])
    source = _source(str(name), names, bads, unit, trials, read, resample)
    return replace(source, baseline=epochs.baseline)


def open_array(
    eeg: Any,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str],
    sfreq: float,
    cutting: Cutting,
    names: Sequence[str] | None = None,
    reference: str | None = None,
) -> Source:
    """Open trials of an array whose first sample is the event's; they are not filtered.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float; an array, or what is indexed like one.
    name : the file, for messages.
    unit : ``V``, ``uV`` or ``whitened``.
    channels : names, in the order of the array.
    sfreq : Hz.
    cutting : which trials, and how.
    names : the event of each trial; None for its number.
    reference : the electrode against which it was recorded, if that is known.

    Raises
    ------
    InputError
        When the array has another form, is shorter than a second, or the rate is too low.
    """
    if len(eeg.shape) != 3 or 0 in eeg.shape or np.dtype(eeg.dtype).kind != "f":
        raise InputError(
            f"{name}: expected floats (n_trials, n_channels, n_times), got {eeg.dtype} {eeg.shape}; put "
            "the axes in this order"
        )
    cutting.check_whole_recording(str(name))
    rate = whole_rate(sfreq, source=name)
    onset = round(cutting.shift * rate / 1000)
    _check_window(onset, eeg.shape[2], rate, cutting.shift, source=name)
    channels, _ = named_channels([""] * eeg.shape[1], channels, bads=(), source=name)
    trials = pd.DataFrame({"event": [str(event) for event in (range(len(eeg)) if names is None else names)]})
    trials = select_events(trials.assign(sample=-1), cutting.events, source=name)
    resample = partial(at_model_rate, onset=onset, sfreq=rate, lowpass=math.inf)
    return _source(
        str(name),
        channels,
        (),
        unit,
        trials,
        lambda numbers, rows: eeg[numbers][:, rows],
        resample,
        reference,
    )


def _source(
    name: str,
    channels: Sequence[str],
    bads: Sequence[str],
    unit: str,
    trials: pd.DataFrame,
    read: Callable[[np.ndarray, list[int]], np.ndarray],
    resample: Callable[[np.ndarray], np.ndarray],
    reference: str | None = None,
) -> Source:
    """Open trials that are read by their number, which is the index of their row."""

    def usable(rows: Sequence[int]) -> Source:
        numbers, parts = trials.index.to_numpy(), []
        for start in range(0, len(numbers), BLOCK_TRIALS):
            block = read(numbers[start : start + BLOCK_TRIALS], list(rows))
            parts.append(np.isfinite(block).all(axis=(1, 2)))
        is_whole = np.concatenate(parts)
        if n_broken := int((~is_whole).sum()):
            logger.warning("%s: left out %d trials with NaN or infinity", name, n_broken)
        if not is_whole.any():
            raise InputError(
                f"{name}: expected finite EEG, got NaN or infinity in every trial; is a channel without "
                "signal? Mark it as bad and ask for its interpolation (--interpolate)"
            )
        return _source(name, channels, bads, unit, trials[is_whole], read, resample, reference)

    blocks = partial(_blocks, read, trials.index.to_numpy(), resample)
    return Source(name, channels, bads, unit, trials.reset_index(drop=True), blocks, usable, reference)


def _blocks(
    read: Callable[[np.ndarray, list[int]], np.ndarray],
    numbers: np.ndarray,
    resample: Callable[[np.ndarray], np.ndarray],
    rows: Sequence[int],
) -> Iterator[np.ndarray]:
    for start in range(0, len(numbers), BLOCK_TRIALS):
        yield resample(read(numbers[start : start + BLOCK_TRIALS], list(rows)))


def _check_window(onset: int, n_times: int, sfreq: int, shift: float, *, source: str | os.PathLike) -> None:
    last = (N_TIMES - 1) / SFREQ
    if onset < 0 or n_times - 1 - onset < last * sfreq:
        start, stop = -onset / sfreq, (n_times - 1 - onset) / sfreq
        after = f"{shift:g} ms after the event" if shift else "the event"
        raise InputError(
            f"{source}: expected trials from 0 to {last} s after {after}, got {start:g} to {stop:g} s; cut "
            f"them again from the recording, with tmin={shift / 1000:g}, tmax={1 + shift / 1000:g}"
        )


def _say_dropped(drop_log: Sequence[Sequence[str]], *, source: str | os.PathLike) -> None:
    """Log how many epochs were dropped before, and why; those that were not selected do not count."""
    reasons = Counter(reason for entry in drop_log for reason in dict.fromkeys(entry) if reason != "IGNORED")
    if reasons:
        n_dropped = sum(bool(set(entry) - {"IGNORED"}) for entry in drop_log)
        listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        logger.warning("%s: %d epochs were dropped: %s", source, n_dropped, listed)


def _say_filters(epochs: mne.BaseEpochs, filters: Mapping[str, Any], *, source: str | os.PathLike) -> None:
    """Log how the epochs differ from the training's trials."""
    info = epochs.info
    if filters:
        logger.warning(
            "%s: epochs are too short for the training's filters (%g-%g Hz, notch at %s Hz) and are taken as "
            "they are, %g-%g Hz; for the same filters translate the recording",
            *(source, filters["highpass"], filters["lowpass"]),
            " and ".join(f"{line:g}" for line in filters["notch"]) or "no",
            *(info["highpass"], info["lowpass"]),
        )
