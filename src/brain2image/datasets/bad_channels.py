"""Channels that are broken: how they are told, and their interpolation from the others."""

import logging
import os
from collections.abc import Sequence

import h5py
import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.splines import interpolation_matrix
from brain2image.datasets.units import RMS_RANGES, is_flat
from brain2image.formats.hdf5 import read_rows

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 256  # 13 MB as float32
# A channel is out of range when its amplitude is further than this factor from the median channel's. Sound
# channels beside the reference, Fz, have a third of it.
AMPLITUDE_FACTOR = 5
FLAT_TRIALS = 0.01  # share of its trials in which a channel may be flat


def amplitudes(eeg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the root mean square of each channel in each trial, and whether it is flat there.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float32.

    Returns
    -------
    Two arrays (n_trials, n_channels), float32 in the unit of ``eeg``, and bool.
    """
    return np.sqrt(np.square(eeg).mean(axis=2)), is_flat(eeg)


def expected_range(rms: np.ndarray, unit: str) -> tuple[float, float]:
    """Return the amplitudes that a channel should have: its unit's, within a factor of 5 of their median."""
    least, most = RMS_RANGES[unit]
    median = float(np.median(rms))
    return max(least, median / AMPLITUDE_FACTOR), min(most, median * AMPLITUDE_FACTOR)


def flag_channels(rms: np.ndarray, flat: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """Say what is wrong with each channel.

    A channel's amplitude is the median over trials of its root mean square, which blinks in a part of them
    do not move.

    Parameters
    ----------
    rms, flat : what `amplitudes` returned, of all trials.
    unit : of ``rms``.

    Returns
    -------
    ``flat``, ``too low`` and ``too high``, each (n_channels,) bool.
    """
    typical = np.median(rms, axis=0)
    least, most = expected_range(typical, unit)
    return {"flat": flat.mean(axis=0) > FLAT_TRIALS, "too low": typical < least, "too high": typical > most}


def read_amplitudes(eeg: h5py.Dataset | np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the `amplitudes` of the chosen trials, (n_trials,) bool, block by block."""
    blocks = []
    for start in range(0, len(eeg), BLOCK_TRIALS):
        rows = slice(start, start + BLOCK_TRIALS)
        if chosen[rows].any():
            blocks.append(amplitudes(read_rows(eeg, rows)[chosen[rows]]))
    rms, flat = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return rms, flat


def bad_rows(rms: np.ndarray, flat: np.ndarray, unit: str) -> np.ndarray:
    """Tell which channels `flag_channels` flags for anything, (n_channels,) bool."""
    return np.any(list(flag_channels(rms, flat, unit).values()), axis=0)


def find_bads(eeg: h5py.Dataset, channels: Sequence[str], *, unit: str) -> list[str]:
    """List the channels that `flag_channels` flags, from all trials (n_trials, n_channels, n_times)."""
    is_bad = bad_rows(*read_amplitudes(eeg, np.ones(len(eeg), bool)), unit)
    return [name for name, bad in zip(channels, is_bad, strict=True) if bad]


def check_bads(bads: Sequence[str], channels: Sequence[str]) -> None:
    """Raise InputError unless all are channels, and most channels are sound."""
    unknown = [name for name in bads if name not in channels]
    if unknown:
        raise InputError(
            f"eeg.bad_channels: expected names of the {len(channels)} channels, got {', '.join(unknown)}; "
            f"they are {' '.join(channels)}"
        )
    if 2 * len(set(bads)) > len(channels):
        raise InputError(
            f"expected most of the {len(channels)} channels to be sound, got {len(set(bads))} bad ones "
            f"({', '.join(bads)}); look at the recording first"
        )


def interpolate_bads(
    eeg: h5py.Dataset, channels: Sequence[str], bads: Sequence[str], *, source: str | os.PathLike
) -> None:
    """Replace bad channels of all trials (n_trials, n_channels, n_times) by what the others say, in place."""
    check_bads(bads, channels)
    matrix = interpolation_matrix(channels, bads)
    logger.warning("%s: channels %s are interpolated from the others", source, ", ".join(bads))
    for start in range(0, len(eeg), BLOCK_TRIALS):
        rows = slice(start, start + BLOCK_TRIALS)
        eeg[rows] = np.matmul(matrix, read_rows(eeg, rows))
