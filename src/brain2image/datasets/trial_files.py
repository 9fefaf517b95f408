"""The file of one person's trials, as readers of EEG write it: cut, mended, whitened, clamped, weighed."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.datasets.bad_channels import find_bads, interpolate_bads, read_amplitudes
from brain2image.datasets.signals import filter_eeg
from brain2image.datasets.units import MICROVOLTS_PER_VOLT
from brain2image.datasets.whitening import (
    channel_scales,
    clip_trials,
    fit_whitening,
    mix_channels,
    trial_weights,
)
from brain2image.formats.hdf5 import write_trials

logger = logging.getLogger(__name__)

SFREQ = 200  # Hz
N_TIMES = 200  # samples at SFREQ, 0 to 0.995 s


def named_lines(notch: Any, *, mains: float) -> Any:
    """Return the frequencies, Hz, that ``eeg.notch`` asks for: those of the mains, or those that it lists."""
    return [mains] if isinstance(notch, str) else notch


def create_eeg(file: h5py.File, n_channels: int) -> h5py.Dataset:
    """Make the dataset ``eeg`` (0, n_channels, 200) float32, to which trials are appended."""
    shape = (n_channels, N_TIMES)
    return file.create_dataset("eeg", (0, *shape), np.float32, maxshape=(None, *shape), chunks=(1, *shape))


def append(eeg: h5py.Dataset, epochs: np.ndarray) -> None:
    """Append trials (n_trials, n_channels, n_times) to a dataset that can grow."""
    eeg.resize(len(eeg) + len(epochs), axis=0)
    eeg[len(eeg) - len(epochs) :] = epochs


def append_parts(
    eeg: h5py.Dataset,
    volts: Callable[[int, int], np.ndarray],
    parts: Sequence[tuple[int, int]],
    onsets: np.ndarray,
    *,
    sfreq: int,
    cut: Callable[..., np.ndarray],
    margin: int = 0,
    edge: float,
    baseline: float,
    **filters: Any,
) -> np.ndarray:
    """Append the epochs of a recording in microvolts, each part of which is filtered by itself.

    Parameters
    ----------
    eeg : what `create_eeg` returned.
    volts : returns a copy of the samples from a first one to one after the last, (n_channels, n_samples)
        float64.
    parts : first sample, and sample after the last, of each uninterrupted part.
    onsets : (n_trials,) int64, samples, rising.
    sfreq : Hz, of the recording.
    cut : makes epochs of filtered samples and onsets, and takes ``n_baseline``: `signals.cut_epochs` or
        `signals.cut_resampled`.
    margin : samples around an epoch that ``cut`` looks at.
    edge : s; trials that reach closer to an end of their part, where the filters distort, are left out.
    baseline : s before the onset whose mean is subtracted.
    filters : highpass, lowpass and notch, Hz.

    Returns
    -------
    (n_kept,) int64, rows of ``onsets``, in the order in which their epochs are appended.
    """
    n_edge, n_baseline = max(round(edge * sfreq), margin), round(baseline * sfreq)
    length, rows = N_TIMES * sfreq // SFREQ, []
    for start, stop in parts:
        is_inside = (onsets - n_baseline - n_edge >= start) & (onsets + length + n_edge <= stop)
        kept = np.flatnonzero(is_inside & (onsets >= start) & (onsets < stop))
        microvolts = volts(start, stop)
        microvolts *= MICROVOLTS_PER_VOLT
        microvolts = filter_eeg(microvolts, sfreq, **filters)
        append(eeg, cut(microvolts, onsets[kept] - start, n_baseline=n_baseline))
        rows.append(kept)
    return np.concatenate(rows)


def finish_trials(
    file: h5py.File,
    trials: pd.DataFrame,
    attributes: Mapping[str, Any],
    *,
    fitted: np.ndarray,
    bads: Sequence[str] | None,
    clip: float,
    weigh: bool,
    source: str | os.PathLike,
) -> None:
    """Prepare the trials of a file in place, and write their table and attributes.

    Broken channels are interpolated, sessions whitened, outliers clamped, and trials weighed.

    Parameters
    ----------
    file : open, with ``eeg`` (n_trials, n_channels, 200) in microvolts, or as its release whitened it.
    trials : image, session and onset of each.
    attributes : of the file, ``channels`` and ``whiten`` among them: ``session`` whitens each session,
        ``none`` leaves microvolts, ``release`` is whitened already.
    fitted : (n_trials,) bool, those by which sessions are whitened and channels' amplitudes are measured.
    bads : channels to interpolate; None takes those that `bad_channels.find_bads` flags.
    clip : clamp at so many of each channel's standard deviations; 0 clamps nothing.
    weigh : whether noisy trials weigh less.
    source : for messages.
    """
    eeg, channels, whiten = file["eeg"], list(attributes["channels"]), attributes["whiten"]
    unit = "whitened" if whiten == "release" else "uV"
    interpolated = _interpolate(eeg, bads, channels, unit=unit, source=source)
    if whiten == "session":
        _whiten_sessions(eeg, trials["session"].to_numpy(), fitted, channels)
        unit = "whitened"
    weights, clipped = _tame(eeg, fitted, clip=clip, weigh=weigh)
    trials = trials.assign(repetition=trials.groupby("image").cumcount(), weight=weights)
    own = {"sfreq": float(SFREQ), "t0": 0.0, "unit": unit, "clip": clip, "clipped": clipped}
    own |= {"interpolated": list(dict.fromkeys([*attributes.get("interpolated", []), *interpolated]))}
    whole = dict.fromkeys(["image", "repetition", "session", "onset"], np.int64)
    write_trials(file, trials[[*whole, "weight"]].astype(whole), {**attributes, **own})


def _interpolate(
    eeg: h5py.Dataset,
    bads: Sequence[str] | None,
    channels: Sequence[str],
    *,
    unit: str,
    source: str | os.PathLike,
) -> list[str]:
    """Interpolate channels of all trials in place; return their names."""
    chosen = find_bads(eeg, channels, unit=unit) if bads is None else [c for c in channels if c in bads]
    if chosen:
        interpolate_bads(eeg, channels, chosen, source=source)
        if unit == "whitened":
            logger.warning("%s: whitening has spread what was wrong with them over the others", source)
    return chosen


def _whiten_sessions(
    eeg: h5py.Dataset, session: np.ndarray, fitted: np.ndarray, channels: Sequence[str]
) -> None:
    """Whiten the trials of each session in place, by those of them that are ``fitted``."""
    for number in np.unique(session):
        own, name = session == number, f"session {number + 1}"
        whitening = fit_whitening(eeg, own & fitted, channels, unit="uV", source=name)
        mix_channels(eeg, own, whitening.matrix)
        logger.info("%s: whitened %d trials by %d of them", name, own.sum(), (own & fitted).sum())


def _tame(eeg: h5py.Dataset, fitted: np.ndarray, *, clip: float, weigh: bool) -> tuple[np.ndarray, float]:
    """Clip outliers in place; return the weights of the trials, and the share of samples clamped."""
    if not (clip or weigh):
        return np.ones(len(eeg), np.float32), 0.0
    rms, _ = read_amplitudes(eeg, np.ones(len(eeg), bool))
    scale = channel_scales(rms[fitted])
    clipped = clip_trials(eeg, clip * scale) if clip else 0.0
    if clip:
        logger.info("clamped %.2g %% of the samples at %g standard deviations", 100 * clipped, clip)
    weights = trial_weights(rms, scale) if weigh else np.ones(len(eeg), np.float32)
    return weights, clipped
