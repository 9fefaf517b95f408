"""THINGS-EEG2's trials: epochs of one second at 200 Hz, from raw recordings or from preprocessed epochs."""

import logging
import os
from collections.abc import Sequence
from functools import partial

import h5py
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from brain2image.ahead import map_ahead
from brain2image.errors import InputError
from brain2image.files import atomic_hdf5, write_trials
from brain2image.tables import read_table
from brain2image.things.epochs import (
    EPOCHS_N_TIMES,
    EPOCHS_SFREQ,
    Epochs,
    check_whitened,
    read_epochs,
)
from brain2image.things.raw import CHANNELS, RAW_SFREQ, TARGET, Recording, read_recording
from brain2image.things.signals import cut_epochs, filter_eeg, resampling_matrix
from brain2image.units import MICROVOLTS_PER_VOLT

logger = logging.getLogger(__name__)

SFREQ = 200  # Hz
N_TIMES = 200  # samples at SFREQ, 0 to 0.995 s
RAW_N_TIMES = N_TIMES * RAW_SFREQ // SFREQ
BLOCK_TRIALS = 128  # 8 MB as float32: the matrix product runs at full speed, and the cache is not exceeded


def repack_eeg(
    files: Sequence[str | os.PathLike],
    images: str | os.PathLike,
    *,
    out: str | os.PathLike,
    n_threads: int = 1,
    **filters: float,
) -> None:
    """Write one subject's trials: the recordings' in the order shown, epochs' by picture and repetition.

    Every part of a continuous recording is filtered on its own, see `brain2image.things.signals`. Trials
    whose second runs past the end of their part, and targets, are left out. One raw file at a time is in
    memory (2.8 GB), and the epochs of one part; of preprocessed files, a block of trials.

    Parameters
    ----------
    files : raw_eeg_training.npy and raw_eeg_test.npy of the first session, of the second, and so on; or the
        training and the test file of preprocessed epochs (and NeuroBridge's info.json), see
        `brain2image.things.epochs`.
    images : the table that `brain2image.things.repack_images` wrote.
    out : HDF5 with ``eeg`` (n_trials, 63, 200) float32 at 200 Hz from the onset on, in microvolts (raw) or
        whitened (epochs), and ``trials``: image, repetition (of this image, from 0), session (from 0; -1
        where the release does not tell) and onset (sample in its raw file; -1 for epochs). Attributes: unit,
        sfreq, t0, channels, release, and the filters of raw recordings.
    n_threads : threads that resample preprocessed epochs.
    filters : highpass, lowpass and notch, Hz, of raw recordings. Without them the files must be preprocessed
        epochs, which are not filtered again.

    Raises
    ------
    InputError
        Names every file that is not what the release holds.
    """
    pictures = read_table(images, ["partition"])
    append = _append_recordings if filters else partial(_append_epochs, n_threads=n_threads)
    with atomic_hdf5(out) as file:
        shape = (len(CHANNELS), N_TIMES)
        eeg = file.create_dataset("eeg", (0, *shape), np.float32, maxshape=(None, *shape), chunks=(1, *shape))
        trials, release = append(eeg, files, pictures, **filters)
        trials["repetition"] = trials.groupby("image").cumcount()
        attributes = {
            "unit": "uV" if release == "raw" else "whitened",
            "sfreq": float(SFREQ),
            "t0": 0.0,
            "channels": list(CHANNELS),
            "release": release,
            **filters,
        }
        write_trials(file, trials[["image", "repetition", "session", "onset"]].astype(np.int64), attributes)


def _append(eeg: h5py.Dataset, epochs: np.ndarray) -> None:
    eeg.resize(len(eeg) + len(epochs), axis=0)
    eeg[len(eeg) - len(epochs) :] = epochs


def _append_epochs(
    eeg: h5py.Dataset, files: Sequence[str | os.PathLike], pictures: pd.DataFrame, *, n_threads: int
) -> tuple[pd.DataFrame, str]:
    """Append the trials of preprocessed files; return image, session and onset of each, and the release."""
    info = next(iter(files[2:]), None)
    names = pictures["path"].str.split("/").str[-2:].str.join("/")
    found, problems = [], []
    for partition, path in zip(("train", "test"), files, strict=False):
        wanted = pictures["partition"] == partition
        try:
            found.append((path, read_epochs(path, pictures=names[wanted].tolist(), info=info)))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("; ".join(problems))
    tables, first_image = [], 0
    for path, epochs in found:
        _append_resampled(eeg, epochs, path, n_threads=n_threads)
        n_images, n_repetitions = epochs.sessions.shape
        image = np.repeat(np.arange(first_image, first_image + n_images), n_repetitions)
        tables.append(pd.DataFrame({"image": image, "session": epochs.sessions.ravel(), "onset": -1}))
        first_image += n_images
        logger.info("%s: %d trials of %s", path, len(image), epochs.release)
    return pd.concat(tables, ignore_index=True), epochs.release


def _append_resampled(eeg: h5py.Dataset, epochs: Epochs, path: str | os.PathLike, *, n_threads: int) -> None:
    """Append one file's trials to ``eeg``, block by block, and check their samples on the way."""
    matrix = resampling_matrix(EPOCHS_N_TIMES, SFREQ, EPOCHS_SFREQ)
    n_images, n_repetitions = epochs.sessions.shape
    n_block = max(1, BLOCK_TRIALS // n_repetitions)
    powers = []

    def resample(start: int) -> tuple[np.ndarray, np.ndarray]:
        block = np.take(epochs.eeg[start : start + n_block], epochs.rows, axis=2).astype(np.float32)
        flat = block.reshape(len(block), -1)
        power = np.einsum("ij,ij->i", flat, flat) / flat.shape[1]
        return power, (block.reshape(-1, EPOCHS_N_TIMES) @ matrix).reshape(-1, len(CHANNELS), N_TIMES)

    starts = range(0, n_images, n_block)
    with threadpool_limits(1):  # the blocks run side by side, each product on one thread
        blocks = map_ahead(resample, starts, n_threads=n_threads, n_ahead=2 * n_threads)
        for start, (power, resampled) in zip(starts, blocks, strict=True):
            if not np.isfinite(power).all():
                image = start + int(np.flatnonzero(~np.isfinite(power))[0])
                raise InputError(
                    f"{path}: expected finite EEG, got NaN or infinity in picture {image}; download it again"
                )
            powers.append(power)
            _append(eeg, resampled)
    # The median passes over single pictures with artefacts.
    check_whitened(float(np.sqrt(np.median(np.concatenate(powers)))), epochs.eeg.dtype, source=path)


def _append_recordings(
    eeg: h5py.Dataset, files: Sequence[str | os.PathLike], pictures: pd.DataFrame, **filters: float
) -> tuple[pd.DataFrame, str]:
    """Append the trials of raw recordings; return image, session and onset of each, and the release."""
    partitions = pictures["partition"].value_counts()
    first_image = {"train": 0, "test": int(partitions["train"])}
    tables, problems = [], []
    for position, path in enumerate(files):
        partition = ("train", "test")[position % 2]
        try:
            recording = read_recording(path, partition=partition, n_images=int(partitions[partition]))
        except InputError as error:
            problems.append(str(error))
            continue
        # after a bad file the others are only checked, so that one run names all that must be mended
        if not problems:
            table = _append_parts(eeg, recording, **filters)
            logger.info("%s: %d trials", path, len(table))
            table["image"] = table.pop("code") - 1 + first_image[partition]
            tables.append(table.assign(session=position // 2))
        del recording  # before the next 2.8 GB
    if problems:
        raise InputError("; ".join(problems))
    return pd.concat(tables, ignore_index=True), "raw"


def _append_parts(eeg: h5py.Dataset, recording: Recording, **filters: float) -> pd.DataFrame:
    """Append a recording's epochs to ``eeg``; return the onset and code of each."""
    tables = []
    wanted = recording.codes != TARGET
    for start, stop in recording.parts:
        in_part = wanted & (recording.onsets >= start) & (recording.onsets < stop)
        kept = in_part & (recording.onsets + RAW_N_TIMES <= stop)
        if n_dropped := int(in_part.sum() - kept.sum()):
            logger.warning("left out %d trials that run past the end of a part (sample %d)", n_dropped, stop)
        microvolts = recording.data[:, start:stop][recording.rows]
        microvolts *= MICROVOLTS_PER_VOLT
        microvolts = filter_eeg(microvolts, RAW_SFREQ, **filters)
        onsets = recording.onsets[kept]
        epochs = cut_epochs(microvolts, onsets - start, n_times=N_TIMES, step=RAW_SFREQ // SFREQ)
        _append(eeg, epochs)
        tables.append(pd.DataFrame({"onset": onsets, "code": recording.codes[kept]}))
    return pd.concat(tables, ignore_index=True)
