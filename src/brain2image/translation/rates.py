"""EEG windows at the model's rate."""

import math
import os

import numpy as np
from scipy.signal import resample_poly

from brain2image.core.errors import InputError

SFREQ = 200  # Hz, the rate that CBraMod takes
N_TIMES = 200  # samples at SFREQ, 0 to 0.995 s after the event
MAX_RATE = 100_000  # Hz
RATE_TOLERANCE = 1e-4  # relative; a window of a second is off by 0.1 ms at most
# MNE's low-pass filters stop a quarter above their edge.
BAND_LIMIT = SFREQ / 2 / 1.25


def whole_rate(sfreq: float, *, source: str | os.PathLike) -> int:
    """Return a sampling rate as a whole number of Hz.

    Raises
    ------
    InputError
        When it is none, too low to hold what the model was trained on, or no rate of EEG.
    """
    rate = round(sfreq)
    if not SFREQ <= rate <= MAX_RATE or abs(rate - sfreq) > RATE_TOLERANCE * rate:
        raise InputError(
            f"{source}: expected a whole number of Hz from {SFREQ} to {MAX_RATE} as its rate, got {sfreq:g}; "
            f"record faster, or resample the continuous recording to {SFREQ} Hz or a multiple of it"
        )
    return rate


def at_model_rate(eeg: np.ndarray, onset: int, sfreq: int, *, lowpass: float) -> np.ndarray:
    """Resample the second after the event, 200 samples from the very sample of the event on.

    Every n-th sample where ``eeg`` holds nothing above the new Nyquist frequency and n is whole, as in
    `signals.cut_epochs`; else polyphase resampling with straight lines beyond both ends,
    see `resampling_matrix` there for its error.

    Parameters
    ----------
    eeg : (..., n_samples) float, at least a second after the event.
    onset : sample of the event.
    sfreq : Hz.
    lowpass : edge of the low-pass filter that ``eeg`` went through, Hz; infinity where that is not known.

    Returns
    -------
    (..., 200) float32, the unit of ``eeg``.
    """
    up, down = _ratio(sfreq)
    if up == down or (up == 1 and lowpass <= BAND_LIMIT):
        return eeg[..., onset : onset + N_TIMES * down : down].astype(np.float32)
    first = onset % down  # from there on, the event is a sample of the new rate too
    resampled = resample_poly(eeg[..., first:].astype(np.float64), up, down, axis=-1, padtype="line")
    start = (onset - first) // down * up
    return resampled[..., start : start + N_TIMES].astype(np.float32)


def _ratio(sfreq: int) -> tuple[int, int]:
    divisor = math.gcd(SFREQ, sfreq)
    return SFREQ // divisor, sfreq // divisor
