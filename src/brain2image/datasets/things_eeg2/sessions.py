"""The trials of THINGS-EEG2's raw recordings, and what of these was left out."""

import logging
import os
from collections.abc import Mapping, Sequence
from itertools import product

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.left_out import COLUMNS, COUNTS, FAULTS
from brain2image.datasets.signals import cut_epochs, filter_eeg
from brain2image.datasets.things_eeg2.raw import (
    N_PARTS,
    N_SESSIONS,
    RAW_SFREQ,
    Recording,
    read_recording,
    recording_place,
)
from brain2image.datasets.things_eeg2.sequences import TARGET
from brain2image.datasets.units import MICROVOLTS_PER_VOLT

logger = logging.getLogger(__name__)

SFREQ = 200  # Hz
N_TIMES = 200  # samples at SFREQ, 0 to 0.995 s
RAW_N_TIMES = N_TIMES * RAW_SFREQ // SFREQ


def append(eeg: h5py.Dataset, epochs: np.ndarray) -> None:
    """Append trials (n_trials, n_channels, n_times) to a dataset that can grow."""
    eeg.resize(len(eeg) + len(epochs), axis=0)
    eeg[len(eeg) - len(epochs) :] = epochs


def append_recordings(
    eeg: h5py.Dataset,
    files: Sequence[str | os.PathLike],
    pictures: pd.DataFrame,
    *,
    max_lost: float,
    **recipe: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Append the trials of raw recordings; return image, session and onset of each, and what was left out."""
    partitions = pictures["partition"].value_counts()
    first_image = {"train": 0, "test": int(partitions["train"])}
    tables, counts, problems = [], [], []
    by_place = {recording_place(path): path for path in files}
    for session, partition in product(range(N_SESSIONS), N_PARTS):
        count = dict.fromkeys(COUNTS, 0) | {"session": session, "is_test": int(partition == "test")}
        counts.append(count)
        path = by_place.get((session, partition))
        if path is None:
            logger.warning("session %d has no %s file: its trials are missing", session + 1, partition)
            continue
        try:
            recording = read_recording(
                path, partition=partition, n_images=int(partitions[partition]), max_lost=max_lost
            )
        except InputError as error:
            problems.append(str(error))
            continue
        # after a bad file the others are only checked, so that one run names all that must be mended
        if not problems:
            table, n_near_edge = _append_parts(eeg, recording, **recipe)
            count |= recording.counts | {"is_there": 1, "trials": len(table), "near_edge": n_near_edge}
            _log_counts(path, count, edge=recipe["edge"])
            table["image"] = table.pop("code") - 1 + first_image[partition]
            tables.append(table.assign(session=session))
        del recording  # before the next 2.8 GB
    if problems:
        raise InputError("; ".join(problems))
    if not any(len(table) for table in tables):
        raise InputError(
            f"expected trials {recipe['edge']:g} s or more (eeg.edge) from the ends of their part, got none "
            f"in {', '.join(map(str, files)) or 'no file'}"
        )
    return pd.concat(tables, ignore_index=True), pd.DataFrame(counts)[COLUMNS].astype(np.int64)


def _log_counts(path: str | os.PathLike, count: Mapping[str, int], *, edge: float) -> None:
    """Say how many trials a recording gave, and a line for each kind of loss."""
    logger.info("%s: %d trials", path, count["trials"])
    n_sequences = sum(count[name] for name in ("sequences", *FAULTS))
    lines = {
        **{f"dropped %d of {n_sequences} sequences, {text}": count[fault] for fault, text in FAULTS.items()},
        "passed over %d pulses that belong to no sequence": count["stray_pulses"],
        f"left out %d trials that reach within {edge:g} s of an end of their part": count["near_edge"],
        "%d joints of parts have no clear step: an offset there rings for seconds": count["unclear_joints"],
    }
    for text, n in lines.items():
        if n:
            logger.warning(f"%s: {text}", path, n)


def _append_parts(
    eeg: h5py.Dataset, recording: Recording, *, edge: float, baseline: float, **filters: float
) -> tuple[pd.DataFrame, int]:
    """Append a recording's epochs to ``eeg``; return onset and code of each, and how many lay near an end."""
    tables, n_near_edge = [], 0
    n_edge, n_baseline = round(edge * RAW_SFREQ), round(baseline * RAW_SFREQ)
    wanted = recording.codes != TARGET
    for start, stop in recording.parts:
        onsets, codes = recording.onsets, recording.codes
        in_part = wanted & (onsets >= start) & (onsets < stop)
        is_inside = (onsets - n_baseline - n_edge >= start) & (onsets + RAW_N_TIMES + n_edge <= stop)
        kept = in_part & is_inside
        n_near_edge += int(in_part.sum() - kept.sum())
        microvolts = recording.data[:, start:stop][recording.rows]
        microvolts *= MICROVOLTS_PER_VOLT
        microvolts = filter_eeg(microvolts, RAW_SFREQ, **filters)
        epochs = cut_epochs(
            microvolts,
            onsets[kept] - start,
            n_times=N_TIMES,
            step=RAW_SFREQ // SFREQ,
            n_baseline=n_baseline,
        )
        append(eeg, epochs)
        tables.append(pd.DataFrame({"onset": onsets[kept], "code": codes[kept]}))
    return pd.concat(tables, ignore_index=True), n_near_edge
