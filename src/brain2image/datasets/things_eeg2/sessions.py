"""The trials of THINGS-EEG2's raw recordings, and what of these was left out."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.left_out import COLUMNS, COUNTS, FAULTS
from brain2image.datasets.signals import cut_epochs
from brain2image.datasets.things_eeg2.raw import (
    N_PARTS,
    N_SESSIONS,
    RAW_SFREQ,
    Recording,
    read_recording,
    recording_place,
)
from brain2image.datasets.things_eeg2.sequences import TARGET
from brain2image.datasets.trial_files import N_TIMES, SFREQ, append_parts

logger = logging.getLogger(__name__)


def append_recordings(
    eeg: h5py.Dataset,
    files: Sequence[str | os.PathLike],
    pictures: pd.DataFrame,
    *,
    max_lost: float,
    **recipe: Any,
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


def _append_parts(eeg: h5py.Dataset, recording: Recording, **recipe: Any) -> tuple[pd.DataFrame, int]:
    """Append a recording's epochs to ``eeg``; return onset and code of each, and how many lay near an end."""
    is_picture = recording.codes != TARGET
    onsets, codes = recording.onsets[is_picture], recording.codes[is_picture]
    kept = append_parts(
        eeg,
        lambda start, stop: recording.data[:, start:stop][recording.rows],
        recording.parts,
        onsets,
        sfreq=RAW_SFREQ,
        cut=partial(cut_epochs, n_times=N_TIMES, step=RAW_SFREQ // SFREQ),
        **recipe,
    )
    return pd.DataFrame({"onset": onsets[kept], "code": codes[kept]}), len(onsets) - len(kept)
