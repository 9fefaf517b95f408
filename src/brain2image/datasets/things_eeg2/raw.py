"""The raw EEG of THINGS-EEG2: continuous volts at 1000 Hz with event codes, checked on reading.

Format: np.save of a dict, written by ``source_to_raw.py`` of gifale95/eeg_encoding; the experiment is
described by Gifford et al., NeuroImage 2022, section 2.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.things_eeg2.sequences import check_lost, count_absent, find_parts, find_sequences
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.units import check_finite, check_rms
from brain2image.formats.lazy_arrays import LazyArray
from brain2image.formats.unpickling import load_arrays, open_arrays

logger = logging.getLogger(__name__)

RAW_SFREQ = 1000  # Hz
RAW_REFERENCE = "Fz"  # of the amplifier; it has no row in the files, and nothing is re-referenced

# Each file is so many recordings, of as many events each, glued together without a mark.
N_PARTS = {"train": 5, "test": 1}
PARTITIONS = {"training": "train", "test": "test"}  # by the names of the files
N_SESSIONS = 4
NAME = re.compile(r"ses-0([1-4])/raw_eeg_(training|test)\.npy$")


@dataclass(frozen=True)
class Recording:
    """One raw file, checked.

    Attributes
    ----------
    data : (64, n_samples) float64, as on disk: 63 channels in volts and the event codes.
    rows : the row of ``data`` that holds each of `CHANNELS`.
    onsets, codes : (n_events,) int64, sample and code of every picture of the whole sequences, targets
        included.
    parts : first sample, and sample after the last, of each part.
    counts : of sequences, of those dropped for each of `left_out.FAULTS`, of stray pulses
        and of joints of parts that are not clear.
    """

    data: np.ndarray
    rows: list[int]
    onsets: np.ndarray
    codes: np.ndarray
    parts: list[tuple[int, int]]
    counts: dict[str, int]


def recording_place(path: str | os.PathLike) -> tuple[int, str]:
    """Find a raw file's session, from 0, and partition (``train`` or ``test``) by its folder and name."""
    name = NAME.search(Path(path).as_posix())
    if name is None:
        raise InputError(
            f"{path}: expected ses-01 to ses-{N_SESSIONS:02d} and raw_eeg_training.npy or raw_eeg_test.npy, "
            "as the release names them; rename it"
        )
    return int(name[1]) - 1, PARTITIONS[name[2]]


def read_recording(path: str | os.PathLike, *, partition: str, n_images: int, max_lost: float) -> Recording:
    """Read and check one raw file.

    Parameters
    ----------
    path : raw_eeg_training.npy or raw_eeg_test.npy.
    partition : ``train`` or ``test``.
    n_images : number of pictures of the partition, hence the largest event code.
    max_lost : share of its sequences that may be lost.

    Raises
    ------
    InputError
        When it is not what the release holds, more is lost, or its parts cannot be told.
    """
    content = load_arrays(path)
    _check_layout(content, path)
    data, names = content["raw_eeg_data"], flat_names(content["ch_names"])
    rows = channel_rows(names, source=path)
    sequences = find_sequences(data[-1], n_images=n_images, source=path)
    check_lost(sequences.lost, len(sequences.onsets), max_lost=max_lost, source=path)
    check_finite(data, rows, CHANNELS, source=path)
    parts, n_unclear = find_parts(
        data, rows, sequences, n_parts=N_PARTS[partition], max_lost=max_lost, source=path
    )
    lost = sequences.lost | {"absent": count_absent(sequences.spans, parts)}
    check_lost(lost, len(sequences.onsets), max_lost=max_lost, source=path)
    _check_volts(data, rows, parts, path)
    counts = {
        "sequences": len(sequences.onsets),
        **lost,
        "stray_pulses": sequences.n_stray,
        "unclear_joints": n_unclear,
    }
    return Recording(data, rows, sequences.onsets.ravel(), sequences.codes.ravel(), parts, counts)


def read_header(path: str | os.PathLike) -> LazyArray | np.ndarray:
    """Open the array of a raw file, (64, n_samples), checked but for its samples, which stay there."""
    content = open_arrays(path)
    _check_layout(content, path)
    channel_rows([str(name) for name in content["ch_names"]], source=path)
    return content["raw_eeg_data"]


def channel_rows(names: Sequence[str], *, source: str | os.PathLike) -> list[int]:
    """Find the position in ``names`` of each of `CHANNELS`; the last name must be ``stim``."""
    *channels, last = names
    missing = [name for name in CHANNELS if name not in channels]
    extra = [name for name in channels if name not in CHANNELS or channels.count(name) > 1]
    if last != "stim" or missing or extra:
        raise InputError(
            f"{source}: expected the 63 THINGS-EEG2 channels and 'stim' as the last row, got {last!r} as the "
            f"last (missing: {', '.join(missing) or 'none'}; extra: {', '.join(extra) or 'none'}); "
            "use the authors' raw release"
        )
    return [channels.index(name) for name in CHANNELS]


def flat_names(names: object) -> list[str]:
    """Return the names in a list or an array, whatever its shape; none in anything else."""
    names = names.ravel() if isinstance(names, np.ndarray) else names
    return [str(name) for name in names] if isinstance(names, list | tuple | np.ndarray) else []


def _check_layout(content: Any, path: str | os.PathLike) -> None:
    keys: Mapping = content if isinstance(content, dict) else {}
    missing = [key for key in ("raw_eeg_data", "ch_names", "sfreq") if key not in keys]
    if missing:
        raise InputError(
            f"{path}: expected a dict with raw_eeg_data, ch_names and sfreq, got "
            f"{', '.join(map(str, keys)) or 'none'} ({type(content).__name__}); "
            "use the authors' raw release, not a preprocessed one"
        )
    data, n_names = content["raw_eeg_data"], len(flat_names(content["ch_names"]))
    expected = f"float64 (64, n_samples) at {RAW_SFREQ} Hz and 64 names"
    if (
        getattr(data, "dtype", None) != np.float64
        or len(data.shape) != 2
        or not len(data) == n_names == len(CHANNELS) + 1
        or not np.array_equal(content["sfreq"], RAW_SFREQ)
    ):
        kind, shape = getattr(data, "dtype", type(data).__name__), getattr(data, "shape", "")
        got = f"{kind} {shape} at {content['sfreq']} Hz"
        raise InputError(
            f"{path}: expected {expected}, got {got} and {n_names} names; use the authors' raw release"
        )


def _check_volts(
    data: np.ndarray, rows: Sequence[int], parts: Sequence[tuple[int, int]], path: str | os.PathLike
) -> None:
    for start, stop in parts:
        # A constant offset is no signal; the median is not moved by a loose electrode.
        variances = [data[row, start:stop].var() for row in rows]
        check_rms(float(np.sqrt(np.median(variances))), "V", source=str(path))
