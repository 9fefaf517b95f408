"""THINGS-EEG2's trials: epochs of one second in microvolts at 200 Hz."""

import logging
import os
from collections.abc import Sequence

import h5py
import numpy as np
import pandas as pd

from brain2image.errors import InputError
from brain2image.files import atomic_path, write_trials
from brain2image.things.raw import CHANNELS, RAW_SFREQ, TARGET, Recording, read_recording
from brain2image.things.signals import cut_epochs, filter_eeg
from brain2image.units import MICROVOLTS_PER_VOLT

logger = logging.getLogger(__name__)

SFREQ = 200  # Hz
N_TIMES = 200  # samples at SFREQ, 0 to 0.995 s
RAW_N_TIMES = N_TIMES * RAW_SFREQ // SFREQ


def repack_eeg(
    sessions: Sequence[str | os.PathLike],
    images: str | os.PathLike,
    *,
    out: str | os.PathLike,
    highpass: float,
    lowpass: float,
    notch: float,
) -> None:
    """Write one subject's trials, in the order in which the pictures were shown.

    Every part of the continuous recording is filtered on its own, see `brain2image.things.signals`. Trials
    whose second runs past the end of their part, and targets, are left out. One raw file at a time is in
    memory (2.8 GB), and the epochs of one part.

    Parameters
    ----------
    sessions : raw_eeg_training.npy and raw_eeg_test.npy of the first session, of the second, and so on.
    images : the table that `brain2image.things.repack_images` wrote.
    out : HDF5 with ``eeg`` (n_trials, 63, 200) float32 in microvolts at 200 Hz from the onset on, and
        ``trials``: image, repetition (of this image, from 0), session (from 0) and onset (sample in its
        raw file).
    highpass, lowpass, notch : Hz.

    Raises
    ------
    InputError
        Names every file that is not what the release holds.
    """
    partitions = pd.read_parquet(images, columns=["partition"])["partition"].value_counts()
    first_image = {"train": 0, "test": int(partitions["train"])}
    tables, problems = [], []
    with atomic_path(out) as scratch, h5py.File(scratch, "w") as file:
        shape = (len(CHANNELS), N_TIMES)
        eeg = file.create_dataset("eeg", (0, *shape), np.float32, maxshape=(None, *shape), chunks=(1, *shape))
        for position, path in enumerate(sessions):
            partition = ("train", "test")[position % 2]
            try:
                recording = read_recording(path, partition=partition, n_images=int(partitions[partition]))
            except InputError as error:
                problems.append(str(error))
                continue
            # after a bad file the others are only checked, so that one run names all that must be mended
            if not problems:
                table = _append_trials(eeg, recording, highpass=highpass, lowpass=lowpass, notch=notch)
                logger.info("%s: %d trials", path, len(table))
                tables.append(
                    table.assign(session=position // 2, image=table["code"] - 1 + first_image[partition])
                )
            del recording  # before the next 2.8 GB
        if problems:
            raise InputError("; ".join(problems))
        trials = pd.concat(tables, ignore_index=True)
        trials["repetition"] = trials.groupby("image").cumcount()
        attributes = {"unit": "uV", "sfreq": float(SFREQ), "t0": 0.0, "channels": list(CHANNELS)}
        write_trials(file, trials[["image", "repetition", "session", "onset"]].astype(np.int64), attributes)


def _append_trials(eeg: h5py.Dataset, recording: Recording, **filters: float) -> pd.DataFrame:
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
        eeg.resize(len(eeg) + len(epochs), axis=0)
        eeg[len(eeg) - len(epochs) :] = epochs
        tables.append(pd.DataFrame({"onset": onsets, "code": recording.codes[kept]}))
    return pd.concat(tables, ignore_index=True)
