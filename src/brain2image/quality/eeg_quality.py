"""Quality of one subject's EEG: trials, amplitudes, spectra, evoked responses and their reliability."""

import logging
import os
from typing import Any

import numpy as np
import pandas as pd
from einops import reduce

from brain2image.datasets.bad_channels import expected_range, flag_channels
from brain2image.datasets.left_out import read_recordings
from brain2image.formats.hdf5 import open_trials, read_attributes
from brain2image.formats.tables import read_table
from brain2image.quality.eeg_sums import WINDOW, Sums, sum_trials
from brain2image.quality.lost_trials import describe_losses, loss_notes
from brain2image.quality.rounding import rounded

logger = logging.getLogger(__name__)

# Regions by the letters that the 10-10 system names its rows of electrodes with.
REGIONS = {
    "frontal": ("Fp", "AF", "F"),
    "central": ("FC", "C", "CP"),
    "temporal": ("FT", "T", "TP"),
    "parietal": ("P",),
    "occipital": ("PO", "O", "I"),
}
OTHER = "other"  # of caps that name electrodes in another way
PARTITIONS = ("train", "test")
TOPOGRAPHY_TIMES = (0.1, 0.15, 0.2, 0.3, 0.4)  # s after onset
MAX_PICTURES = 1000  # of a partition, whose channels are kept apart for the reliability: 13 MB a half
Z95 = 1.96


def inspect_eeg(eeg: str | os.PathLike, images: str | os.PathLike) -> dict[str, Any]:
    """Collect everything that the report says about the EEG of one subject.

    The trials are read once, in blocks; the peak of memory at full size is 0.55 GB.

    Parameters
    ----------
    eeg : HDF5 that a reader of EEG wrote.
    images : the table of the pictures.

    Returns
    -------
    A dict for JSON: ``unit, release, sfreq``; ``mains`` (Hz) and ``soa`` (s), where the file has them;
    ``trials`` (counts); ``recordings`` (what was left out of each raw file; None of epochs); ``notes`` (what
    one must know of both, in sentences); ``expected`` (amplitudes), ``channels`` (a dict a channel),
    ``flagged`` and ``interpolated`` (their names); ``spectra``, ``responses`` and ``reliability`` (curves
    with 95 % limits).
    """
    partition = read_table(images, ["image", "partition"]).set_index("image")["partition"]
    with open_trials(eeg, "eeg", ("n_trials", "n_channels", "n_times")) as (dataset, trials):
        attributes = read_attributes(dataset.file, ["unit", "sfreq", "t0", "channels", "release"])
        unit, sfreq, names = attributes["unit"], float(attributes["sfreq"]), list(attributes["channels"])
        chosen = {name: choose_pictures(trials, partition, name) for name in PARTITIONS}
        pictures = np.concatenate([*chosen.values()])
        sums = sum_trials(dataset, trials, sfreq=sfreq, regions=region_rows(names), chosen=pictures)
        recordings = read_recordings(dataset.file) if "recordings" in dataset.file else None
    expected = expected_range(np.median(sums.rms, axis=0), unit)
    channels = describe_channels(sums, names, unit=unit)
    flagged = [channel["name"] for channel in channels if channel["flags"]]
    if flagged:
        logger.warning("%s: channels %s are flat or out of range", eeg, ", ".join(flagged))
    interpolated = list(attributes.get("interpolated", []))
    times = attributes["t0"] + np.arange(sums.mean.shape[1]) / sfreq
    halves = np.split(sums.halves, [len(chosen["train"])], axis=1)
    return {
        "unit": unit,
        "release": attributes["release"],
        "sfreq": sfreq,
        **{name: float(attributes[name]) for name in ("mains", "soa") if name in attributes},
        "trials": count_trials(trials, partition),
        "recordings": describe_losses(recordings),
        "notes": loss_notes(recordings, interpolated, edge=float(attributes.get("edge", 0))),
        "expected": rounded(expected),
        "channels": channels,
        "flagged": flagged,
        "interpolated": interpolated,
        "spectra": describe_spectra(sums.power, names, sfreq=sfreq),
        "responses": describe_responses(sums, names, times=times),
        "reliability": {
            name: describe_reliability(half, names, times=times)
            for name, half in zip(PARTITIONS, halves, strict=True)
        },
    }


def region_rows(names: list[str]) -> dict[str, np.ndarray]:
    """Find the rows of each region's channels: ``PO7`` is of the electrodes ``PO``, thus occipital."""
    rows = np.array([name.rstrip("z0123456789") for name in names])
    found = {region: np.flatnonzero(np.isin(rows, letters)) for region, letters in REGIONS.items()}
    found[OTHER] = np.setdiff1d(np.arange(len(names)), np.concatenate(list(found.values())))
    return {region: own for region, own in found.items() if len(own)}


def choose_pictures(trials: pd.DataFrame, partition: pd.Series, name: str) -> np.ndarray:
    """Choose at most 1,000 pictures of a partition shown at least twice, evenly spread over their ids."""
    counts = trials["image"].value_counts().sort_index()
    repeated = counts.index[(counts > 1) & (partition[counts.index] == name)].to_numpy()
    evenly = np.linspace(0, len(repeated) - 1, min(MAX_PICTURES, len(repeated))).round().astype(int)
    return repeated[evenly]


def count_trials(trials: pd.DataFrame, partition: pd.Series) -> dict[str, Any]:
    """Count trials by session, and pictures by their number of trials, of each partition.

    Returns
    -------
    For ``train`` and ``test``: n_trials, n_images, ``sessions`` (n_trials by session from 1; empty where the
    release does not tell) and ``repetitions`` (n_images by their number of trials).
    """
    counts = {}
    for name in PARTITIONS:
        own = trials[trials["image"].map(partition) == name]
        sessions = own.loc[own["session"] >= 0, "session"] + 1
        per_image = own["image"].value_counts()
        counts[name] = {
            "n_trials": len(own),
            "n_images": len(per_image),
            "sessions": _tally(sessions),
            "repetitions": _tally(per_image),
        }
    return counts


def _tally(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().sort_index().items()}


def describe_channels(sums: Sums, names: list[str], *, unit: str) -> list[dict[str, Any]]:
    """Describe the amplitude of each channel, and what is wrong with it, see `bad_channels.flag_channels`.

    Returns
    -------
    For each channel: name, region, ``rms``, ``low`` and ``high`` (5 and 95 % of trials), ``flat`` (share of
    trials) and ``flags``: of ``flat``, ``too low``, ``too high``.
    """
    low, rms, high = np.quantile(sums.rms, [0.05, 0.5, 0.95], axis=0)
    flat = sums.flat.mean(axis=0)
    flags = flag_channels(sums.rms, sums.flat, unit)
    region_of = {row: region for region, rows in region_rows(names).items() for row in rows.tolist()}
    return [
        {
            "name": name,
            "region": region_of[row],
            **rounded({"rms": rms[row], "low": low[row], "high": high[row], "flat": flat[row]}),
            "flags": [flag for flag, raised in flags.items() if raised[row]],
        }
        for row, name in enumerate(names)
    ]


def describe_spectra(power: np.ndarray, names: list[str], *, sfreq: float) -> dict[str, Any]:
    """Describe power density in dB re 1 unit² / Hz: regions' median channels, 5 and 95 % of all channels."""
    level = 10 * np.log10(np.maximum(power[:, 1:], np.finfo(np.float32).tiny))  # a dead channel has none
    low, high = np.quantile(level, [0.05, 0.95], axis=0)
    regions = {region: np.median(level[rows], axis=0) for region, rows in region_rows(names).items()}
    frequencies = np.arange(1, power.shape[1]) * sfreq / 2 / (power.shape[1] - 1)
    return rounded({"frequency": frequencies, "low": low, "high": high, "regions": regions})


def describe_responses(sums: Sums, names: list[str], *, times: np.ndarray) -> dict[str, Any]:
    """Average the response to a picture: of each region with 95 % limits, of each channel at a few times.

    Limits are ``mean ± 1.96 SD / sqrt(n_images)``, SD over the pictures' mean trials.
    """
    n_images = len(sums.regional)
    mean = sums.regional.mean(axis=0, dtype=np.float64)
    margin = Z95 * sums.regional.std(axis=0, ddof=1, dtype=np.float64) / np.sqrt(n_images)
    samples = np.abs(times - np.array(TOPOGRAPHY_TIMES)[:, None]).argmin(axis=1)
    maps = {f"{times[sample]:.3f}": rounded(sums.mean[:, sample]) for sample in samples}
    return {
        "n_images": n_images,
        "times": rounded(times),
        "regions": {region: _curve(mean[row], margin[row]) for row, region in enumerate(region_rows(names))},
        "topographies": {time: dict(zip(names, values, strict=True)) for time, values in maps.items()},
    }


def describe_reliability(halves: np.ndarray, names: list[str], *, times: np.ndarray) -> dict[str, Any] | None:
    """Measure how well the mean of half of a picture's trials repeats in the other half, over time.

    Parameters
    ----------
    halves : (2, n_images, n_channels, n_windows) float32, means of even and of odd repetitions.
    times : (n_times,) s, of the samples that the windows are made of.

    Returns
    -------
    n_images, ``times`` (middles of the windows, s) and, for each region, `split_half_course` of its channels;
    None with fewer than 3 pictures that were shown twice, as there is nothing to correlate.
    """
    n_images = halves.shape[1]
    if n_images < 3:
        return None
    regions = region_rows(names).items()
    courses = {region: rounded(split_half_course(*halves[:, :, rows])) for region, rows in regions}
    return {
        "n_images": n_images,
        "times": rounded(reduce(times, "(windows times) -> windows", "mean", times=WINDOW)),
        "regions": {
            region: dict(zip(("low", "mean", "high"), course, strict=True))
            for region, course in courses.items()
        },
    }


def split_half_course(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Measure the reliability of the mean of all trials at each time, over channels, with 95 % limits.

    ``2 r / (1 + r)`` (Spearman 1910, Brown 1910), r the correlation over pictures of the halves, averaged
    over channels. A picture with standard scores a and b moves r by ``a b - r (a² + b²) / 2``; the limits
    of r are those of the mean of these influences, which keeps what channels have in common.

    Parameters
    ----------
    first, second : (n_images, n_channels, n_times) float32, n_images >= 3.

    Returns
    -------
    (3, n_times) float64: lower limit, reliability, upper limit.
    """
    a, b = (_standard_scores(half) for half in (first, second))
    r = (a * b).mean(axis=0)
    influence = (a * b - r * (a**2 + b**2) / 2).mean(axis=1)
    r = r.mean(axis=0)
    margin = Z95 * influence.std(axis=0, ddof=1) / np.sqrt(len(a))
    limits = np.clip([r - margin, r, r + margin], -1 / 3, 1)  # a reliability of -1 to 1
    return 2 * limits / (1 + limits)


def _standard_scores(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)  # a dead channel has none


def _curve(mean: np.ndarray, margin: np.ndarray) -> dict[str, list[float]]:
    return rounded({"low": mean - margin, "mean": mean, "high": mean + margin})
