"""Units of EEG amplitudes: what is plausible, and what is flat."""

import os
from collections.abc import Sequence

import numpy as np

from brain2image.core.errors import InputError

MICROVOLTS_PER_VOLT = 1e6

# Plausible root mean squares of an EEG array in each unit. The ranges do not overlap between volts and
# microvolts, so that data handed over in the wrong unit are told apart.
RMS_RANGES = {"V": (1e-7, 1e-3), "uV": (0.5, 500.0), "whitened": (0.2, 5.0)}

# A channel is flat in a trial in which it varies less than this share of the upper quartile of the channels,
# a yardstick that neither a few loud channels nor many flat ones move.
FLAT, YARDSTICK = 0.01, 0.75


def check_rms(rms: float, unit: str, *, source: str, remedy: str | None = None) -> None:
    """Raise InputError when a root mean square is implausible for its unit.

    Parameters
    ----------
    rms : root mean square of the EEG samples, in ``unit``.
    unit : ``V``, ``uV`` or ``whitened``.
    source : the file or dataset, for the message.
    remedy : what to do, where that is known.
    """
    low, high = RMS_RANGES[unit]
    if not low <= rms <= high:
        remedy = remedy or "check the unit of the file (volts taken for microvolts?) and for broken channels"
        raise InputError(
            f"{source}: expected EEG in {unit} with a root mean square of {low:g} to {high:g}, "
            f"got {rms:.3g}; {remedy}"
        )


def check_finite(
    data: np.ndarray, rows: Sequence[int], channels: Sequence[str], *, source: str | os.PathLike
) -> None:
    """Raise InputError where rows of a recording, one a channel, hold what is no number."""
    # row by row, to hold no second copy of the file
    broken = [name for name, row in zip(channels, rows, strict=True) if not np.isfinite(data[row]).all()]
    if broken:
        raise InputError(
            f"{source}: expected finite volts, got NaN or infinity in {', '.join(broken)}; download it again"
        )


def is_flat(eeg: np.ndarray) -> np.ndarray:
    """Tell whether a channel hardly varies, in each trial.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float32, any unit.

    Returns
    -------
    (n_trials, n_channels) bool
    """
    variation = eeg.std(axis=2)
    return variation < FLAT * np.quantile(variation, YARDSTICK, axis=1, keepdims=True)


def flat_channels(eeg: np.ndarray) -> np.ndarray:
    """Tell whether a channel is flat in most trials, (n_channels,) bool."""
    return is_flat(eeg).mean(axis=0) > 0.5
