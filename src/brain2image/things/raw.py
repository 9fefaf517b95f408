"""The raw EEG of THINGS-EEG2: continuous volts at 1000 Hz with event codes, checked on reading.

Format: np.save of a dict, written by ``source_to_raw.py`` of gifale95/eeg_encoding; the experiment is
described by Gifford et al., NeuroImage 2022, section 2.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from brain2image.errors import InputError
from brain2image.lazy_arrays import LazyArray
from brain2image.things.signals import find_step
from brain2image.units import check_rms
from brain2image.unpickling import load_arrays, open_arrays

logger = logging.getLogger(__name__)

# One frozen order, front to back, as the published 63-channel pipelines use it: CBraMod's positional
# convolution runs over the channel axis, so the order changes its output.
_FRONT_TO_BACK = (
    "Fp1 Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 F2 F4 F6 F8 FT9 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 FT10 "
    "T7 C5 C3 C1 Cz C2 C4 C6 T8 TP9 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 TP10 "
    "P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"
)
CHANNELS = tuple(_FRONT_TO_BACK.split())
RAW_SFREQ = 1000  # Hz
RAW_REFERENCE = "Fz"  # of the amplifier; it has no row in the files, and nothing is re-referenced

# Each file is so many recordings, of as many events each, glued together without a mark.
N_PARTS = {"train": 5, "test": 1}
TARGET = 99999  # code of the pictures that ask for a key press
SEQUENCE_LENGTH = 20  # pictures
SOA = 200  # ms between the onsets within a sequence
# A display frame can be late (17 ms); a lost or an additional pulse leaves a gap off by 100 ms or more.
SOA_TOLERANCE = 50  # ms, each gap
SOA_MEDIAN_TOLERANCE = 5  # ms, the median gap


@dataclass(frozen=True)
class Recording:
    """One raw file, checked.

    Attributes
    ----------
    data : (64, n_samples) float64, as on disk: 63 channels in volts and the event codes.
    rows : the row of ``data`` that holds each of `CHANNELS`.
    onsets, codes : (n_events,) int64, sample and code of every picture, targets included.
    parts : first sample, and sample after the last, of each part.
    """

    data: np.ndarray
    rows: list[int]
    onsets: np.ndarray
    codes: np.ndarray
    parts: list[tuple[int, int]]


def read_recording(path: str | os.PathLike, *, partition: str, n_images: int) -> Recording:
    """Read and check one raw file.

    Parameters
    ----------
    path : raw_eeg_training.npy or raw_eeg_test.npy.
    partition : ``train`` or ``test``.
    n_images : number of pictures of the partition, hence the largest event code.
    """
    content = load_arrays(path)
    _check_layout(content, path)
    data, names = content["raw_eeg_data"], flat_names(content["ch_names"])
    rows = channel_rows(names, source=path)
    onsets, codes = find_events(data[-1], n_images=n_images, source=path)
    n_parts = N_PARTS[partition]
    check_sequences(onsets, n_parts=n_parts, source=path)
    _check_finite(data, rows, path)
    parts = find_parts(data, rows, onsets, n_parts=n_parts)
    _check_volts(data, rows, parts, path)
    return Recording(data, rows, onsets, codes, parts)


def read_header(path: str | os.PathLike) -> LazyArray | np.ndarray:
    """The array of a raw file, (64, n_samples), checked but for its samples, which stay in the file."""
    content = open_arrays(path)
    _check_layout(content, path)
    channel_rows([str(name) for name in content["ch_names"]], source=path)
    return content["raw_eeg_data"]


def channel_rows(names: Sequence[str], *, source: str | os.PathLike) -> list[int]:
    """The position in ``names`` of each of `CHANNELS`; the last name must be ``stim``."""
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
    """The names in a list or an array, whatever its shape; none in anything else."""
    names = names.ravel() if isinstance(names, np.ndarray) else names
    return [str(name) for name in names] if isinstance(names, list | tuple | np.ndarray) else []


def find_events(
    stim: np.ndarray, *, n_images: int, source: str | os.PathLike
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets (samples) and codes of all pictures, both (n_events,) int64.

    Parameters
    ----------
    stim : (n_samples,) float64, 0 but for one sample at each onset: the picture's number from 1, or 99999.
    n_images : the largest number.
    source : the file, for messages.
    """
    onsets = np.flatnonzero(stim)
    codes = stim[onsets]
    known = (codes == TARGET) | ((codes >= 1) & (codes <= n_images) & (codes == np.floor(codes)))
    if not known.all():
        first = int(np.flatnonzero(~known)[0])
        raise InputError(
            f"{source}: expected event codes 1 to {n_images} or {TARGET}, got {codes[first]:g} at sample "
            f"{onsets[first]} ({(~known).sum()} such events); are training and test file exchanged, "
            "or pictures missing?"
        )
    return onsets.astype(np.int64), codes.astype(np.int64)


def check_sequences(onsets: np.ndarray, *, n_parts: int, source: str | os.PathLike) -> None:
    """Raise InputError unless the onsets are sequences of 20 pictures, 200 ms apart, in equal parts."""
    unit = n_parts * SEQUENCE_LENGTH
    if len(onsets) == 0 or len(onsets) % unit:
        raise InputError(
            f"{source}: expected a multiple of {unit} events ({n_parts} parts of sequences of "
            f"{SEQUENCE_LENGTH} pictures), got {len(onsets)}; the recording is not whole, download it again"
        )
    gaps = np.diff(onsets.reshape(-1, SEQUENCE_LENGTH), axis=1)
    wrong = np.abs(gaps - SOA) > SOA_TOLERANCE
    if wrong.any():
        sequence, picture = (int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{source}: expected about {SOA} ms between the pictures of a sequence, got "
            f"{gaps[sequence, picture]} ms after picture {picture + 1} of sequence {sequence + 1}; "
            "an event pulse was lost or added, download the file again"
        )
    if abs(np.median(gaps) - SOA) > SOA_MEDIAN_TOLERANCE:
        raise InputError(
            f"{source}: expected a median of {SOA} ms between pictures, got {np.median(gaps):g} ms; "
            f"is the sampling rate {RAW_SFREQ} Hz?"
        )


def find_parts(
    data: np.ndarray, rows: Sequence[int], onsets: np.ndarray, *, n_parts: int
) -> list[tuple[int, int]]:
    """First sample, and sample after the last, of each part of a file that was glued together.

    The file does not say where one part ends. All parts have as many events, and where the amplifier was
    started anew all channels jump: a boundary is the largest step between the last event of a part and the
    first of the next.

    Parameters
    ----------
    data : (n_rows, n_samples) float64, volts in ``rows``.
    onsets : (n_events,) samples.
    """
    boundaries = [0]
    n_events = len(onsets) // n_parts
    for first_event in range(n_events, len(onsets), n_events):
        start, stop = int(onsets[first_event - 1]), int(onsets[first_event])
        step, size = find_step(data[:, start : stop + 1][rows])
        logger.info("part boundary at sample %d, a step of %.0f times the usual one", start + step, size)
        boundaries.append(start + step)
    boundaries.append(data.shape[1])
    return list(pairwise(boundaries))


def _check_layout(content: object, path: str | os.PathLike) -> None:
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


def _check_finite(data: np.ndarray, rows: Sequence[int], path: str | os.PathLike) -> None:
    # row by row, to hold no second copy of the file
    broken = [name for name, row in zip(CHANNELS, rows, strict=True) if not np.isfinite(data[row]).all()]
    if broken:
        raise InputError(
            f"{path}: expected finite volts, got NaN or infinity in {', '.join(broken)}; download it again"
        )


def _check_volts(
    data: np.ndarray, rows: Sequence[int], parts: Sequence[tuple[int, int]], path: str | os.PathLike
) -> None:
    for start, stop in parts:
        # A constant offset is no signal; the median is not moved by a loose electrode.
        variances = [data[row, start:stop].var() for row in rows]
        check_rms(float(np.sqrt(np.median(variances))), "V", source=str(path))
