"""One pass over the trials of a subject's EEG, of which sums are kept."""

from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd
from einops import reduce
from scipy.signal import periodogram

from brain2image.datasets.bad_channels import amplitudes
from brain2image.formats.hdf5 import read_rows

BLOCK_TRIALS = 256  # 13 MB as float32
WINDOW = 4  # samples, 20 ms, whose means are kept of chosen pictures


class Sums(NamedTuple):
    """What one pass over the trials leaves; its size grows with the pictures, not with their trials."""

    rms: np.ndarray  # (n_trials, n_channels) float32, unit of the EEG
    flat: np.ndarray  # (n_trials, n_channels) bool
    power: np.ndarray  # (n_channels, n_frequencies) float64, mean power density, unit² / Hz
    mean: np.ndarray  # (n_channels, n_times) float64, mean over pictures of their mean trial
    regional: np.ndarray  # (n_images, n_regions, n_times) float32, mean trial of each picture
    halves: np.ndarray  # (2, n_chosen, n_channels, n_windows) float32, mean of even and of odd repetitions


def sum_trials(
    eeg: np.ndarray | h5py.Dataset,
    trials: pd.DataFrame,
    *,
    sfreq: float,
    regions: dict[str, np.ndarray],
    chosen: np.ndarray,
    n_block: int = BLOCK_TRIALS,
) -> Sums:
    """Read all trials once, block by block, and keep sums.

    Parameters
    ----------
    eeg : (n_trials, n_channels, n_times) float32, n_times a multiple of 4.
    trials : ``image`` and ``repetition`` of each trial.
    sfreq : Hz.
    regions : name to rows of channels.
    chosen : (n_chosen,) int64, pictures whose channels are kept apart.
    n_block : trials read at once.
    """
    n_trials, n_channels, n_times = eeg.shape
    picture, pictures = pd.factorize(trials["image"], sort=True)
    share = (1 / np.bincount(picture))[picture].astype(np.float32)
    kept, kept_share = _places_in_halves(trials, chosen)
    averaging = np.stack([np.bincount(rows, minlength=n_channels) / len(rows) for rows in regions.values()])
    averaging = averaging.astype(np.float32)
    sums = Sums(
        rms=np.empty((n_trials, n_channels), np.float32),
        flat=np.empty((n_trials, n_channels), bool),
        power=np.zeros((n_channels, n_times // 2 + 1)),
        mean=np.zeros((n_channels, n_times)),
        regional=np.zeros((len(pictures), len(regions), n_times), np.float32),
        halves=np.zeros((2, len(chosen), n_channels, n_times // WINDOW), np.float32),
    )
    for start in range(0, n_trials, n_block):
        block = read_rows(eeg, slice(start, start + n_block))
        rows = slice(start, start + len(block))
        sums.rms[rows], sums.flat[rows] = amplitudes(block)
        sums.power[:] += power_densities(block, sfreq) / n_trials
        part = block * share[rows, None, None]
        sums.mean[:] += part.sum(axis=0, dtype=np.float64) / len(pictures)
        for row, response in zip(picture[rows], averaging @ part, strict=True):
            sums.regional[row] += response
        for trial in start + np.flatnonzero(kept_share[rows]):
            pattern = "channels (windows times) -> channels windows"
            windows = reduce(block[trial - start], pattern, "mean", times=WINDOW)
            sums.halves[*kept[trial]] += kept_share[trial] * windows
    return sums


def _places_in_halves(trials: pd.DataFrame, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return half and row of each trial, and its share in their mean: 0 where its picture is not chosen."""
    places = np.column_stack([trials["repetition"] % 2, pd.Index(chosen).get_indexer(trials["image"])])
    counts = trials.groupby(["image", trials["repetition"] % 2])["repetition"].transform("size")
    return places, np.where(places[:, 1] >= 0, 1 / counts, 0).astype(np.float32)


def power_densities(epochs: np.ndarray, sfreq: float) -> np.ndarray:
    """Sum the power density of each trial over trials, Hann window, mean removed (Welch, 1967).

    Parameters
    ----------
    epochs : (n_trials, n_channels, n_times) float32.

    Returns
    -------
    (n_channels, n_times // 2 + 1) float64, unit² / Hz; their mean over trials is Welch's estimate with a
    segment a trial.
    """
    densities = periodogram(epochs, sfreq, window="hann", detrend="constant")[1]
    return densities.sum(axis=0, dtype=np.float64)
