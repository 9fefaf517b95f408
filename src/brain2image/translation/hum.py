"""Power lines: which frequencies are taken out of a recording, and which hum stays in."""

import logging
from collections.abc import Mapping
from typing import Any

import mne
import numpy as np
from scipy.signal import welch

from brain2image.constants.notches import LINE_RANGE, NOTCH_SPACING
from brain2image.core.errors import InputError
from brain2image.datasets.signals import notch_frequencies
from brain2image.translation.new_eeg import Cutting

logger = logging.getLogger(__name__)

POWER_LINES = (50.0, 60.0)  # Hz
SEGMENT = 4  # s, for bins of 0.25 Hz
HUM = 10.0  # power at a power line's frequency over that beside it, the median channel; EEG has no such peak


def recording_filters(
    raw: mne.io.BaseRaw, cutting: Cutting, said: Mapping[str, Any], *, source: str
) -> dict[str, Any]:
    """Return the filters of the training, with a notch at the recording's own power line besides.

    Parameters
    ----------
    raw : the recording.
    cutting : its ``line_freq`` goes before what the recording says.
    said : what lies beside the recording, see `beside.read_sidecar`.

    Raises
    ------
    InputError
        When ``line_freq`` is no frequency of a power line.
    """
    low, high = LINE_RANGE
    line, notch = cutting.line_freq, list(cutting.filters["notch"])
    if line is not None and not low <= line <= high:
        raise InputError(f"line_freq: expected {low:g} to {high:g} Hz, got {line:g}; 50 or 60 Hz are usual")
    if line is None:
        told = (raw.info["line_freq"], said.get("PowerLineFrequency"))
        numbers = (value for value in told if isinstance(value, int | float) and low <= value <= high)
        line = next(numbers, None)
    if line is not None and all(abs(line - trained) >= NOTCH_SPACING for trained in notch):
        trained = ", ".join(f"{frequency:g}" for frequency in notch) or "no"
        text = "%s: notch at %g Hz, the recording's power line, besides the training's at %s Hz"
        logger.info(text, source, line, trained)
        notch.append(line)
    return {**cutting.filters, "notch": notch}


def warn_of_hum(eeg: np.ndarray, sfreq: int, filters: Mapping[str, Any], *, source: str) -> None:
    """Warn where filtered EEG has the peak of a power line that nobody named.

    Parameters
    ----------
    eeg : (n_channels, n_samples) float64, filtered.
    sfreq : Hz.
    filters : that it went through.
    """
    if eeg.shape[1] < 2 * SEGMENT * sfreq:
        return
    frequencies, power = welch(eeg, sfreq, nperseg=SEGMENT * sfreq)
    removed = notch_frequencies(filters["notch"], lowpass=filters["lowpass"])
    for line in POWER_LINES:
        distance = np.abs(frequencies - line)
        beside = np.median(power[:, (distance >= 2) & (distance <= 5)], axis=1)
        peak = power[:, distance < 0.5].max(axis=1)
        is_removed = any(abs(line - frequency) < NOTCH_SPACING for frequency in removed)
        if line <= filters["lowpass"] and not is_removed and np.median(peak) > HUM * np.median(beside):
            text = (
                "%s: %g Hz stand out of the EEG like a power line, which training did not see; line_freq "
                "(--line-freq %g) takes them out"
            )
            logger.warning(text, source, line, line)
