"""Trials that are cut already: MNE's epochs, and arrays."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import mne
import numpy as np
import pandas as pd

from brain2image.errors import InputError
from brain2image.translation.rates import N_TIMES, SFREQ, at_model_rate, whole_rate
from brain2image.translation.sources import Source, named_channels, readable, select_events

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 128  # 65 MB of 63 channels and a second at 1000 Hz


def open_epochs(
    epochs: mne.BaseEpochs,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str] | None,
    events: Sequence[str] | None,
    filters: Mapping[str, float],
) -> Source:
    """Trials of MNE's epochs; they are not filtered, as they are shorter than the filters.

    Parameters
    ----------
    epochs : in memory or in a file.
    name : the file, for messages.
    unit : of the samples; what MNE reads is ``V``.
    channels : names to use instead of the file's, for all of its channels.
    events : which ones to take; None takes all.
    filters : highpass, lowpass and notch of the training, Hz, for the log; empty where it had none.

    Raises
    ------
    InputError
        When the second after the event is not whole, there are no such events, or the rate is too low.
    """
    with readable(name):
        epochs.drop_bad(verbose="error")
    sfreq = whole_rate(epochs.info["sfreq"], source=name)
    onset = round(-epochs.tmin * sfreq)
    _check_window(onset, len(epochs.times), sfreq, source=name)
    _say_filters(epochs, filters, source=name)
    text = {code: event for event, code in epochs.event_id.items()}
    samples, _, codes = epochs.events.T
    trials = pd.DataFrame({"event": [text[code] for code in codes], "sample": samples.astype(np.int64)})
    trials = select_events(trials, events, source=name)
    names, bads = named_channels(epochs.ch_names, channels, bads=epochs.info["bads"], source=name)

    def read(numbers: np.ndarray, rows: list[int]) -> np.ndarray:
        with readable(name):
            return epochs.get_data(picks=rows, item=numbers, verbose="error")

    resample = partial(at_model_rate, onset=onset, sfreq=sfreq, lowpass=epochs.info["lowpass"])
    blocks = partial(_blocks, read, trials.index.to_numpy(), resample)
    kinds = epochs.get_channel_types()
    return Source(str(name), names, bads, unit, trials.reset_index(drop=True), blocks, kinds)


def open_array(
    eeg: Any,
    *,
    name: str | os.PathLike,
    unit: str,
    channels: Sequence[str],
    sfreq: float,
    events: Sequence[str] | None,
    names: Sequence[str] | None = None,
) -> Source:
    """Trials of an array whose first sample is the event's; they are not filtered.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float; an array, or what is indexed like one.
    name : the file, for messages.
    unit : ``V``, ``uV`` or ``whitened``.
    channels : names, in the order of the array.
    sfreq : Hz.
    events : which ones to take; None takes all.
    names : the event of each trial; None for its number.

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
    rate = whole_rate(sfreq, source=name)
    _check_window(0, eeg.shape[2], rate, source=name)
    channels, _ = named_channels([""] * eeg.shape[1], channels, bads=(), source=name)
    trials = pd.DataFrame({"event": [str(event) for event in (range(len(eeg)) if names is None else names)]})
    trials = select_events(trials.assign(sample=-1), events, source=name)
    resample = partial(at_model_rate, onset=0, sfreq=rate, lowpass=math.inf)
    blocks = partial(_blocks, lambda numbers, rows: eeg[numbers][:, rows], trials.index.to_numpy(), resample)
    return Source(str(name), channels, (), unit, trials.reset_index(drop=True), blocks)


def _blocks(
    read: Callable[[np.ndarray, list[int]], np.ndarray],
    numbers: np.ndarray,
    resample: Callable[[np.ndarray], np.ndarray],
    rows: Sequence[int],
) -> Iterator[np.ndarray]:
    for start in range(0, len(numbers), BLOCK_TRIALS):
        yield resample(read(numbers[start : start + BLOCK_TRIALS], list(rows)))


def _check_window(onset: int, n_times: int, sfreq: int, *, source: str | os.PathLike) -> None:
    last = (N_TIMES - 1) / SFREQ
    if onset < 0 or n_times - 1 - onset < last * sfreq:
        start, stop = -onset / sfreq, (n_times - 1 - onset) / sfreq
        raise InputError(
            f"{source}: expected trials from 0 to {last} s after the event, got {start:g} to {stop:g} s; cut "
            "them again from the recording, with tmin=0, tmax=1"
        )


def _say_filters(epochs: mne.BaseEpochs, filters: Mapping[str, float], *, source: str | os.PathLike) -> None:
    """Log how the epochs differ from the training's trials, which had no baseline subtracted."""
    info = epochs.info
    if filters:
        logger.warning(
            "%s: epochs are too short for the training's filters (%g-%g Hz, notch at %g Hz) and are taken as "
            "they are, %g-%g Hz; for the same filters translate the recording",
            *(source, filters["highpass"], filters["lowpass"], filters["notch"]),
            *(info["highpass"], info["lowpass"]),
        )
    if epochs.baseline is not None:
        logger.warning(
            "%s: a baseline (%g to %g s) was subtracted from the epochs, none in training",
            source,
            *epochs.baseline,
        )
