"""Filters and epochs of continuous EEG, and epochs at another rate."""

import math
from collections.abc import Sequence

import mne
import numpy as np
from einops import reduce
from scipy.ndimage import uniform_filter1d
from scipy.signal import resample_poly

from brain2image.constants.notches import NOTCH_SPACING

NEIGHBOURS = 50  # samples around a step, 25 on each side
LEVEL = 20  # samples whose mean is the level before or after a step
CLEAR_STEP = 5.0  # see step_clearness: 3 at most without a joint, 7 at least at one
REACH = 10  # samples of the lower rate to which resample_poly's filter reaches on each side


def filter_eeg(
    eeg: np.ndarray, sfreq: float, *, highpass: float, lowpass: float, notch: float | Sequence[float]
) -> np.ndarray:
    """Band-pass and notch continuous EEG with zero-phase FIR filters (MNE's defaults: firwin, Hamming).

    A low-pass edge of 75 Hz has its stop band from 93.75 Hz on (a quarter more), below the 100 Hz that 200 Hz
    sampling can hold: it is also the anti-alias filter of `cut_epochs`.

    Parameters
    ----------
    eeg : (n_channels, n_samples) float64, one uninterrupted recording; overwritten.
    sfreq, highpass, lowpass : Hz.
    notch : power line frequencies, Hz; see `notch_frequencies`.

    Returns
    -------
    (n_channels, n_samples) float64, the unit of ``eeg``.
    """
    eeg = mne.filter.filter_data(eeg, sfreq, highpass, lowpass, copy=False, verbose="error")
    lines = notch_frequencies(notch, lowpass=lowpass)
    return mne.filter.notch_filter(eeg, sfreq, lines, copy=False, verbose="error") if lines else eeg


def notch_frequencies(notch: float | Sequence[float], *, lowpass: float) -> list[float]:
    """Return the power line frequencies and their harmonics that the low-pass does not remove, Hz, ascending.

    Parameters
    ----------
    notch : power line frequencies, Hz.
    lowpass : edge of the low-pass, Hz; its stop band begins a quarter, or 2 Hz, above.
    """
    stop = lowpass + max(lowpass / 4, 2)
    given = np.atleast_1d(notch).tolist()
    lines = [line for line in given if line < stop]
    for harmonic in (line * n for line in given for n in range(2, math.ceil(stop / line))):
        if all(abs(harmonic - line) >= NOTCH_SPACING for line in lines):
            lines.append(harmonic)
    return sorted(lines)


def cut_epochs(
    eeg: np.ndarray, onsets: np.ndarray, *, n_times: int, step: int, n_baseline: int = 0
) -> np.ndarray:
    """Cut every ``step``-th sample from each onset on: ``epochs[i, c, t] = eeg[c, onsets[i] + t * step]``.

    Exact, without a jitter of the onset, where ``eeg`` holds nothing above the new Nyquist frequency.

    Parameters
    ----------
    eeg : (n_channels, n_samples) float64.
    onsets : (n_trials,) samples; each window, its baseline included, must lie inside ``eeg``.
    n_baseline : samples before the onset whose mean is subtracted; 0 subtracts nothing.

    Returns
    -------
    (n_trials, n_channels, n_times) float32.
    """
    epochs = np.empty((len(onsets), len(eeg), n_times), np.float32)
    for epoch, onset in zip(epochs, onsets, strict=True):
        window = eeg[:, onset : onset + n_times * step : step]
        if n_baseline:
            window = window - eeg[:, onset - n_baseline : onset].mean(axis=1, keepdims=True)
        epoch[:] = window
    return epochs


def resampling_margin(up: int, down: int) -> int:
    """Return how many samples on each side of an epoch a resampling looks at, a multiple of ``down``."""
    return down * math.ceil(REACH * max(up, down) / (up * down))


def cut_resampled(
    eeg: np.ndarray, onsets: np.ndarray, *, n_times: int, up: int, down: int, n_baseline: int = 0
) -> np.ndarray:
    """Cut epochs at ``up / down`` times the rate of ``eeg``, whose first samples are those at the onsets.

    The filter of the resampling sees the samples around each epoch, so that its ends are as exact as its
    middle. Parameters as for `cut_epochs`; each window must lie `resampling_margin` inside ``eeg``.

    Returns
    -------
    (n_trials, n_channels, n_times) float32.
    """
    margin, length = resampling_margin(up, down), math.ceil(n_times * down / up)
    first = margin * up // down
    matrix = resampling_matrix(length + 2 * margin, up, down)[:, first : first + n_times]
    epochs = np.empty((len(onsets), len(eeg), n_times), np.float32)
    for epoch, onset in zip(epochs, onsets, strict=True):
        window = eeg[:, onset - margin : onset + length + margin]
        if n_baseline:
            window = window - eeg[:, onset - n_baseline : onset].mean(axis=1, keepdims=True)
        np.matmul(window.astype(np.float32), matrix, out=epoch)
    return epochs


def resampling_matrix(n_times: int, up: int, down: int) -> np.ndarray:
    """Return the matrix of a polyphase resampling along time: ``resample_poly(x, up, down) = x @ matrix``.

    The anti-alias filter reaches past both ends of an epoch, where a straight line from its first to its last
    sample goes on (padtype "line"). From 250 to 200 Hz, EEG-like epochs (1/f to 75 Hz, offset, drift) are off
    by 0.05 % of their root mean square, by 0.4 % at the first sample. Resampling by FFT, for which an epoch
    is one turn of a circle, would be off by 1 %, and by 12 % at the first sample.

    Returns
    -------
    (n_times, ceil(n_times * up / down)) float32; resampling is linear, so these are resampled unit impulses.
    """
    return resample_poly(np.eye(n_times), up, down, axis=1, padtype="line").astype(np.float32)


def find_step(eeg: np.ndarray) -> tuple[int, float]:
    """Find the sample at which most channels jump, and by how many of their usual steps.

    With d[c, t] = |eeg[c, t] - eeg[c, t-1]|, it is argmax_t median_c(d[c, t] / usual[c, t]). What is usual is
    the mean of d over the 25 samples before and after, or the channel's median if that is more: a burst of
    muscle activity has many large steps, a jump one. The median passes over electrodes that pop alone.

    Parameters
    ----------
    eeg : (n_channels, n_samples) float64, volts, n_samples >= 2.
    """
    steps = np.abs(np.diff(eeg, axis=1))
    around = (uniform_filter1d(steps, NEIGHBOURS + 1, axis=1) * (NEIGHBOURS + 1) - steps) / NEIGHBOURS
    least = np.maximum(np.median(steps, axis=1, keepdims=True), 1e-12)  # V; a dead channel has no usual step
    jumps = np.median(steps / np.maximum(around, least), axis=0)
    largest = int(np.argmax(jumps))
    return largest + 1, float(jumps[largest])


def step_clearness(eeg: np.ndarray, step: int) -> float:
    """Measure by how much most channels' level changes at a sample, in units of its usual change.

    A level is the mean of 20 samples, in which noise of high frequencies, that hides a single step, cancels
    out; the usual change is the median from one level to the next. In synthetic EEG, whole or below 100 Hz,
    the largest step of 3 s has 3.0 at most without a joint, and 7.0 at least at one.

    Parameters
    ----------
    eeg : (n_channels, n_samples) float64, volts; n_samples at least 40.
    step : the first sample after the step, at least 1.
    """
    n_levels = eeg.shape[1] // LEVEL
    levels = reduce(
        eeg[:, : n_levels * LEVEL], "channels (levels times) -> channels levels", "mean", times=LEVEL
    )
    usual = np.median(np.abs(np.diff(levels, axis=1)), axis=1)
    before, after = eeg[:, max(0, step - LEVEL) : step], eeg[:, step : step + LEVEL]
    change = np.abs(after.mean(axis=1) - before.mean(axis=1))
    return float(np.median(change / np.maximum(usual, 1e-12)))  # a dead channel has no usual change


def find_joint(eeg: np.ndarray) -> tuple[int, float]:
    """Find the sample at which most channels jump, see `find_step`, and its `step_clearness`."""
    step, _ = find_step(eeg)
    return step, step_clearness(eeg, step)
