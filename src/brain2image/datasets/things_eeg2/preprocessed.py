"""The preprocessed EEG of THINGS-EEG2, as three published pipelines write it, checked on reading.

All three cut the raw recordings from -0.2 to 1 s, subtract the mean before the onset, resample to 250 Hz,
keep the samples from the onset on, draw 2 (test: 20) repetitions a session, and whiten the channels by the
covariance of each session's training epochs:

- ubp: HaitaoWuTJU/Uncertainty-aware-Blur-Prior, preprocess/process_eeg_whiten.py (torch.save of a dict)
- nice: eeyhsong/NICE-EEG, dataset/preprocessing.py; ATM has the same (a pickled dict)
- neurobridge: feroooooo/NeuroBridge, preprocess_eeg.py (plain arrays, and an info.json for all subjects)

Their ``times`` have 300 entries for 250 samples and are not read.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.things_eeg2.raw import flat_names
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.units import RMS_RANGES, check_rms
from brain2image.formats.files import read_json
from brain2image.formats.lazy_arrays import LazyArray
from brain2image.formats.unpickling import open_arrays

logger = logging.getLogger(__name__)

EPOCHS_SFREQ = 250  # Hz
EPOCHS_N_TIMES = 250  # samples from the onset on
N_SESSIONS = 4
FLOATS = ("float16", "float32", "float64")

# The key of a pickled dict that tells what wrote it.
KEYS = {
    "raw_eeg_data": "raw",
    "eeg": "ubp",
    "preprocessed_eeg_data": "nice",
    "data": "neurobridge's older preprocess.py",
}
REFUSED = {
    "raw": "a raw recording; put it into sub-XX/ses-0Y/ under the name that it was released with",
    "authors": "the authors' own preprocessing, 17 channels at 100 Hz, from which 63 channels at 200 Hz "
    "cannot be had; use their raw release, or that of ubp, nice or neurobridge",
    "neurobridge's older preprocess.py": "a dict with 'data' of NeuroBridge's older preprocess.py; "
    "run its preprocess_eeg.py, which writes train.npy, test.npy and info.json",
}


@dataclass(frozen=True)
class Epochs:
    """One preprocessed file, checked but for its samples.

    Attributes
    ----------
    release : ubp, nice or neurobridge.
    eeg : (n_images, n_repetitions, 63, 250) float16, float32 or float64, no unit; channels in the file's
        order. It may be a `LazyArray`.
    rows : the position on the channel axis of each of `CHANNELS`.
    sessions : (n_images, n_repetitions) int64, from 0; -1 where the release does not tell.
    """

    release: str
    eeg: np.ndarray | LazyArray
    rows: list[int]
    sessions: np.ndarray


def recognise(path: str | os.PathLike) -> str:
    """Tell what a file of THINGS-EEG2 is: raw, ubp, nice, neurobridge or authors, by its content.

    Raises
    ------
    InputError
        When it cannot be read or is none of these.
    """
    return _recognise(open_arrays(path), path)


def read_epochs(
    path: str | os.PathLike, *, pictures: Sequence[str], info: str | os.PathLike | None = None
) -> Epochs:
    """Read what one preprocessed file says about its trials; the samples stay in the file.

    Parameters
    ----------
    path : the training or the test file of one subject.
    pictures : ``folder/file.jpg`` of every picture of this partition, in the order of the event codes.
    info : NeuroBridge's info.json.

    Raises
    ------
    InputError
        When the file is none of the three, or not the 63 channels and one second of these pictures.
    """
    content = open_arrays(path)
    release = _recognise(content, path)
    if release not in READERS:
        raise InputError(f"{path}: expected epochs of 63 channels at 250 Hz, got {REFUSED[release]}")
    eeg, names = READERS[release](content, info, path)
    _check_layout(eeg, len(pictures), path)
    rows = _channel_rows(names, path)
    sessions = np.full(eeg.shape[:2], -1)
    if release == "ubp":
        _check_pictures(content, eeg.shape[:2], pictures, path)
        sessions = _sessions(content, eeg.shape[:2], path)
    return Epochs(release, eeg, rows, sessions)


def check_whitened(rms: float, dtype: np.dtype, *, source: str | os.PathLike) -> None:
    """Raise InputError unless a root mean square is that of whitened EEG.

    NeuroBridge's ``--zscore`` leaves the channels correlated, but has the same scale and no unit: it passes
    for whitened. UBP's script can leave the whitening out; it then writes volts.

    Parameters
    ----------
    rms : root mean square of the samples as they stand in the file.
    dtype : in which they stand there.
    """
    low, high = RMS_RANGES["V"]
    if low <= rms <= high:
        rounded = ", rounded by float16 to steps of 0.06 uV" if dtype == np.float16 else ""
        raise InputError(
            f"{source}: expected whitened EEG (root mean square about 1), got {rms:.3g}: volts, written "
            f"without whitening{rounded}; use the raw release or whitened epochs"
        )
    check_rms(rms, "whitened", source=str(source))


def _recognise(content: Any, path: str | os.PathLike) -> str:
    if isinstance(content, np.ndarray | LazyArray):
        return "neurobridge"
    keys = content if isinstance(content, dict) else {}
    release = next((KEYS[key] for key in KEYS if key in keys), None)
    if release is None:
        raise InputError(
            f"{path}: expected an array, or a dict with one of {', '.join(KEYS)}, got "
            f"{', '.join(map(str, keys)) or 'no key'} ({type(content).__name__}); docs/data.md lists them"
        )
    # the authors' files and NICE's have the same names and keys
    is_authors = release == "nice" and _shape(content["preprocessed_eeg_data"])[2:] == (17, 100)
    return "authors" if is_authors else release


def _shape(array: object) -> tuple[int, ...]:
    return array.shape if isinstance(array, np.ndarray | LazyArray) else ()


def _field(content: Mapping, key: str, path: str | os.PathLike) -> Any:
    if key not in content:
        raise InputError(
            f"{path}: expected the key {key!r}, got {', '.join(map(str, content))}; download it again"
        )
    return content[key]


def _array(content: Mapping, key: str, path: str | os.PathLike) -> np.ndarray:
    value = _field(content, key, path)
    if not isinstance(value, np.ndarray | LazyArray):
        raise InputError(f"{path}: expected an array {key!r}, got {type(value).__name__}; download it again")
    return np.asarray(value)


def _read_ubp(content: dict, info: str | os.PathLike | None, path: str | os.PathLike) -> tuple[Any, Any]:
    return content["eeg"], _field(content, "ch_names", path)


def _read_nice(content: dict, info: str | os.PathLike | None, path: str | os.PathLike) -> tuple[Any, Any]:
    return content["preprocessed_eeg_data"], _field(content, "ch_names", path)


def _read_neurobridge(
    content: np.ndarray | LazyArray, info: str | os.PathLike | None, path: str | os.PathLike
) -> tuple[Any, Any]:
    """Make one axis of concepts and their pictures; the channels stand in info.json."""
    if len(content.shape) != 5:
        raise InputError(
            f"{path}: expected an array (n_concepts, n_images, n_repetitions, 63, 250) as NeuroBridge writes "
            f"it, got {content.shape}; download it again"
        )
    if info is None:
        raise InputError(f"{path}: expected info.json in the folder above the subject's, got none; add it")
    n_concepts, n_images, *trial = content.shape
    return content.reshape(n_concepts * n_images, *trial), _read_info(info)


READERS: dict[str, Callable[[Any, str | os.PathLike | None, str | os.PathLike], tuple[Any, Any]]]
READERS = {"ubp": _read_ubp, "nice": _read_nice, "neurobridge": _read_neurobridge}


def _read_info(path: str | os.PathLike) -> list[str]:
    info, keys = read_json(path), ("ch_names", "sfreq", "normalization")
    if not isinstance(info, dict) or not set(keys) <= set(info):
        found = ", ".join(info) if isinstance(info, dict) else type(info).__name__
        raise InputError(
            f"{path}: expected {', '.join(keys)} as NeuroBridge writes them, got {found}; copy it again from "
            "the same release"
        )
    names, sfreq, normalization = (info[key] for key in keys)
    if sfreq != EPOCHS_SFREQ:
        raise InputError(f"{path}: expected {EPOCHS_SFREQ} Hz, got {sfreq}; make it with --rfreq 250")
    logger.info("%s: normalization %s", path, normalization)
    return names


def _check_layout(eeg: Any, n_images: int, path: str | os.PathLike) -> None:
    shape, dtype = _shape(eeg), getattr(eeg, "dtype", type(eeg).__name__)
    expected = (len(CHANNELS), EPOCHS_N_TIMES)
    if dtype not in FLOATS or len(shape) != 4 or shape[2:] != expected or 0 in shape:
        raise InputError(
            f"{path}: expected float (n_images, n_repetitions, 63, 250), 63 channels and 1 s at 250 Hz, got "
            f"{dtype} {shape}; download it again, or use the raw release"
        )
    if len(eeg) != n_images:
        raise InputError(
            f"{path}: expected {n_images} pictures, as many as the picture folder holds, got {len(eeg)}; "
            "are training and test file exchanged, or pictures missing?"
        )


def _channel_rows(names: Sequence[str], path: str | os.PathLike) -> list[int]:
    names = flat_names(names)
    missing = [name for name in CHANNELS if name not in names]
    extra = [name for name in names if name not in CHANNELS or names.count(name) > 1]
    if missing or extra:
        raise InputError(
            f"{path}: expected the 63 THINGS-EEG2 channels, got {len(names)} names "
            f"(missing: {', '.join(missing) or 'none'}; extra: {', '.join(extra) or 'none'}); "
            "download it again, or use the raw release"
        )
    return [names.index(name) for name in CHANNELS]


def _check_pictures(
    content: dict, shape: tuple[int, int], pictures: Sequence[str], path: str | os.PathLike
) -> None:
    """Compare the file's own picture names with the order of the event codes, in which its rows stand.

    The preparer's folder listing gave the names: where it was unsorted, or had files more or fewer, every
    name and label after is wrong, but not the EEG. Nobody can tell from outside, so nothing is guessed.
    """
    named = _array(content, "img", path)
    if named.shape != shape or named.dtype.kind != "U":
        raise InputError(
            f"{path}: expected names 'img' {shape}, got {named.dtype} {named.shape}; download it again"
        )
    expected = np.array(pictures)[:, None]
    found = np.array([["/".join(name.split("/")[-2:]) for name in row] for row in named.tolist()])
    if (wrong := np.argwhere(found != expected)).size:
        image, repetition = wrong[0].tolist()
        raise InputError(
            f"{path}: expected {pictures[image]} as its picture {image}, got {found[image, repetition]} "
            f"({len(np.unique(wrong[:, 0]))} pictures differ); its labels were made from another picture "
            "folder, use another preparation or the raw release"
        )


def _sessions(content: dict, shape: tuple[int, int], path: str | os.PathLike) -> np.ndarray:
    sessions = _array(content, "session", path)
    if sessions.shape != shape or not np.isin(sessions, np.arange(N_SESSIONS)).all():
        raise InputError(
            f"{path}: expected sessions {shape} from 0 to {N_SESSIONS - 1}, got {sessions.shape} with "
            f"{', '.join(np.unique(sessions.astype(str))[:6])}; download it again"
        )
    return sessions.astype(np.int64)
