"""Whitening over channels, clamping, and weights of trials: EEG of any data set, and new EEG, in place.

Multivariate noise normalisation (Guggenmos et al., NeuroImage 2018, https://doi.org/10.1016/j.neuroimage.2018.02.044)
as the 63-channel pipelines of THINGS-EEG2 do it, with the mean of the trials' own covariances; here neither
bursts nor broken channels rule it.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import h5py
import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

from brain2image.core.errors import InputError
from brain2image.datasets.bad_channels import BLOCK_TRIALS, bad_rows, check_bads, read_amplitudes
from brain2image.formats.hdf5 import read_rows

logger = logging.getLogger(__name__)

# A trial as loud as this many typical ones counts less in the covariance, by the fourth power, so that what
# it adds to it falls with its loudness.
OUTLYING = 1.5
SHRINKAGE_TRIALS = 100  # of which the shrinkage is estimated, 3 ms each
BAD_AMPLITUDE = 0.1  # of a broken channel among whitened ones of 1
WEIGHTS = (0.05, 2.0)  # least and most of a trial, before their mean is made 1


class Whitening(NamedTuple):
    """What whitens trials, and the channels that were left out of it."""

    matrix: np.ndarray  # (n_channels, n_channels) float32, per unit of the EEG
    broken: list[str]


def fit_whitening(
    eeg: h5py.Dataset | np.ndarray,
    chosen: np.ndarray,
    channels: Sequence[str],
    *,
    unit: str,
    source: str | os.PathLike,
) -> Whitening:
    """Fit the matrix after which channels are uncorrelated and have a root mean square of 1.

    W = C^(-1/2) / s, where s is the channels' typical amplitude and C the second moment of EEG / s (which has
    no mean, being high-passed), averaged over trials and shrunk towards a multiple of the identity by as much
    as Ledoit and Wolf advise for one trial. Each whitened channel stays next to its own electrode. Broken
    channels have no part in the others, and are scaled down.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float32; read in blocks, twice.
    chosen : (n_trials,) bool, the trials that are looked at: of one session, and of its training partition.
    channels : their names.
    unit : of ``eeg``, for what amplitude is plausible.
    source : where they come from, for messages.

    Raises
    ------
    InputError
        When there are fewer trials than channels, or most channels are broken.
    """
    n_trials, n_channels = np.count_nonzero(chosen), len(channels)
    if n_trials < n_channels:
        raise InputError(
            f"{source}: expected at least as many trials as channels to whiten from, {n_channels}, got "
            f"{n_trials}; give more of the recording, or take EEG that is not whitened (eeg.whiten: none)"
        )
    rms, flat = read_amplitudes(eeg, chosen)
    is_broken = bad_rows(rms, flat, unit)
    broken = [name for name, bad in zip(channels, is_broken, strict=True) if bad]
    check_bads(broken, channels)
    sound = np.flatnonzero(~is_broken)
    scale = channel_scales(rms)
    weights = np.minimum(1, (OUTLYING / trial_levels(rms[:, sound], scale[sound])) ** 4)
    covariance = _mean_covariance(eeg, chosen, weights, sound, scale[sound])
    values, vectors = eigh(covariance)
    matrix = np.diag(np.divide(BAD_AMPLITUDE, scale, out=np.zeros(len(scale)), where=scale > 0))
    matrix[np.ix_(sound, sound)] = (vectors / np.sqrt(values)) @ vectors.T / scale[sound]
    if broken:
        text = "%s: channels %s are broken: whitened apart, and scaled to %g of the others"
        logger.warning(text, source, ", ".join(broken), BAD_AMPLITUDE)
    return Whitening(matrix.astype(np.float32), broken)


def mix_channels(eeg: h5py.Dataset | np.ndarray, chosen: np.ndarray, matrix: np.ndarray) -> None:
    """Apply a matrix (n_channels, n_channels) float32 to the chosen trials, in place."""
    for rows, kept in _blocks(chosen):
        block = read_rows(eeg, rows)
        block[kept] = np.matmul(matrix, block[kept])
        eeg[rows] = block


def clip_trials(eeg: h5py.Dataset | np.ndarray, limits: np.ndarray) -> float:
    """Clip all trials in place, and return the share of samples that lay beyond the limits.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float32.
    limits : (n_channels,) float, largest absolute value of each channel.
    """
    n_beyond, limits = 0, limits.astype(np.float32)[:, None]
    for rows, _ in _blocks(np.ones(len(eeg), bool)):
        block = read_rows(eeg, rows)
        clamped = np.clip(block, -limits, limits)
        if n_here := int(np.count_nonzero(clamped != block)):
            eeg[rows] = clamped
            n_beyond += n_here
    return n_beyond / eeg.size


def channel_scales(rms: np.ndarray) -> np.ndarray:
    """Return the amplitude of each channel that a part of the trials does not move, (n_channels,) float64.

    Parameters
    ----------
    rms : (n_trials, n_channels), what `bad_channels.amplitudes` returned.
    """
    return np.median(rms, axis=0).astype(np.float64)


def trial_levels(rms: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return how loud each trial is, (n_trials,) float64; the typical one is 1.

    Parameters
    ----------
    rms : (n_trials, n_channels), root mean square of each channel in each trial.
    scale : (n_channels,), what is usual there; channels without signal are passed over.
    """
    live = scale > 0
    levels = np.mean(rms[:, live] / scale[live], axis=1, dtype=np.float64)
    return np.maximum(levels / np.median(levels), np.finfo(float).tiny)


def trial_weights(rms: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Weigh trials by one over their noise power, within bounds: (n_trials,) float32 of mean 1.

    So little of a single trial is its response that its own power is that of its noise. Parameters as for
    `trial_levels`.
    """
    weights = np.clip(trial_levels(rms, scale) ** -2, *WEIGHTS)
    return (weights / weights.mean()).astype(np.float32)


def _mean_covariance(
    eeg: h5py.Dataset | np.ndarray,
    chosen: np.ndarray,
    weights: np.ndarray,
    sound: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """Average the second moments of the chosen trials' sound channels / scale, and shrink the mean.

    Returns
    -------
    (n_sound, n_sound) float64
    """
    total, n_done, shrinkages = np.zeros((len(sound), len(sound))), 0, []
    step = -(-len(weights) // SHRINKAGE_TRIALS)
    for rows, kept in _blocks(chosen):
        block = read_rows(eeg, rows)[kept][:, sound] / scale[:, None].astype(np.float32)
        own = weights[n_done : n_done + len(block)]
        shrinkages += [
            ledoit_wolf_shrinkage(trial.T.astype(np.float64), assume_centered=True)
            for trial in block[-n_done % step :: step]
        ]
        part = block * np.sqrt(own / block.shape[2]).astype(np.float32)[:, None, None]
        total += np.tensordot(part, part, axes=((0, 2), (0, 2)))
        n_done += len(block)
    return shrunk_covariance(total / weights.sum(), float(np.median(shrinkages)))


def _blocks(chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of rows in which some are chosen, and which are, (n_block,) bool."""
    for start in range(0, len(chosen), BLOCK_TRIALS):
        rows = slice(start, start + BLOCK_TRIALS)
        if chosen[rows].any():
            yield rows, chosen[rows]
