"""Preprocessed epochs of THINGS-EEG2 in the formats of all public variants, from given trials.

Each function writes one file, the training or the test trials of one subject. What a variant's script does
wrong is kept: ``times`` has 300 entries for 250 samples.
"""

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain2image.core.atomic import atomic_path
from brain2image.formats.files import write_json

TIMES = np.arange(-50, 250) / 250  # s
AUTHORS_TIMES = np.arange(-20, 80) / 100  # s


def write_ubp(
    path: str | Path,
    eeg: np.ndarray,
    *,
    channels: Sequence[str],
    pictures: Sequence[str],
    sessions: np.ndarray,
) -> None:
    """Write UBP's train.pt or test.pt: a ``torch.save`` of a dict of NumPy arrays, pickle protocol 5.

    The zip is written here: torch.save would first build the whole pickle in memory.

    Parameters
    ----------
    eeg : (n_images, n_repetitions, 63, 250) float16.
    channels : 63 names.
    pictures : ``train_images/00001_concept/concept_01b.jpg`` and so on, n_images.
    sessions : (n_images, n_repetitions), from 0.
    """
    n_repetitions = eeg.shape[1]
    folders = [picture.split("/")[-2] for picture in pictures]
    concepts = [picture.split("/")[-1].rsplit("_", 1)[0] for picture in pictures]
    content = {
        "eeg": eeg,
        "label": _repeat(np.unique(folders, return_inverse=True)[1], n_repetitions),
        "img": _repeat(pictures, n_repetitions),
        "text": _repeat(concepts, n_repetitions),
        "session": np.asarray(sessions, np.float64),
        "ch_names": list(channels),
        "times": TIMES,
    }
    with atomic_path(path) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        with archive.open(f"{Path(path).stem}/data.pkl", "w", force_zip64=True) as file:
            pickle.Pickler(file, protocol=5).dump(content)
        archive.writestr(f"{Path(path).stem}/byteorder", "little")
        archive.writestr(f"{Path(path).stem}/version", "3\n")


def write_nice(path: str | Path, eeg: np.ndarray, *, channels: Sequence[str]) -> None:
    """Write NICE's preprocessed_eeg_training.npy or _test.npy: a pickled dict, without the magic of ``.npy``.

    Parameters
    ----------
    eeg : (n_images, n_repetitions, 63, 250) float64.
    """
    content = {"preprocessed_eeg_data": eeg, "ch_names": list(channels), "times": TIMES}
    with atomic_path(path) as scratch, scratch.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def write_neurobridge(path: str | Path, eeg: np.ndarray, *, n_images: int) -> None:
    """Write NeuroBridge's train.npy or test.npy, a plain array.

    Parameters
    ----------
    eeg : (n_images of all concepts, n_repetitions, 63, 250) float32.
    n_images : of each concept; 10 in the training file, 1 in the test file.
    """
    with atomic_path(path) as scratch:
        np.save(scratch, eeg.reshape(-1, n_images, *eeg.shape[1:]))


def write_neurobridge_info(path: str | Path, *, channels: Sequence[str]) -> None:
    """Write the info.json that stands above the subjects' folders."""
    content = {
        "ch_names": list(channels),
        "times": TIMES.tolist(),
        "baseline_duration": 0.2,
        "after_duration": 1.0,
        "normalization": "mvnn",
        "sfreq": 250.0,
        "precision": "fp32",
        "seed": 20200220,
    }
    write_json(path, content)


def write_authors(path: str | Path, eeg: np.ndarray, *, channels: Sequence[str]) -> None:
    """Write the authors' preprocessed_eeg_training.npy or _test.npy: np.save of a dict.

    Parameters
    ----------
    eeg : (n_images, n_repetitions, 17, 100) float64.
    channels : 17 names.
    """
    content = {"preprocessed_eeg_data": eeg, "ch_names": list(channels), "times": AUTHORS_TIMES}
    with atomic_path(path) as scratch:
        np.save(scratch, np.array(content), allow_pickle=True)


def _repeat(values: Sequence | np.ndarray, n_repetitions: int) -> np.ndarray:
    return np.tile(np.asarray(values)[:, None], (1, n_repetitions))
