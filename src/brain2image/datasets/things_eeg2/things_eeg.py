"""THINGS-EEG2's trials: epochs of one second at 200 Hz, from raw recordings or from preprocessed epochs."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from brain2image.core.errors import InputError
from brain2image.datasets.bad_channels import check_bads
from brain2image.datasets.signals import resampling_matrix
from brain2image.datasets.things_eeg2.preprocessed import (
    EPOCHS_N_TIMES,
    EPOCHS_SFREQ,
    Epochs,
    check_whitened,
    read_epochs,
)
from brain2image.datasets.things_eeg2.raw import RAW_REFERENCE, RAW_SFREQ, recording_place
from brain2image.datasets.things_eeg2.sessions import append_recordings
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.trial_files import (
    N_TIMES,
    SFREQ,
    append,
    create_eeg,
    finish_trials,
    named_lines,
)
from brain2image.formats.ahead import map_ahead
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.formats.tables import read_table

logger = logging.getLogger(__name__)

MAINS = 50.0  # Hz, in Berlin
SOA = 0.2  # s from picture to picture, of which one lasts 0.1 s
LAYOUT = {"channels": list(CHANNELS), "mains": MAINS, "soa": SOA, "raw_sfreq": float(RAW_SFREQ)}
BLOCK_TRIALS = 128  # 8 MB as float32: the matrix product runs at full speed, and the cache is not exceeded


def repack_eeg(
    files: Sequence[str | os.PathLike],
    images: str | os.PathLike,
    *,
    out: str | os.PathLike,
    n_threads: int = 1,
    edge: float = 2.0,
    max_lost: float = 0.05,
    baseline: float = 0.0,
    bads: Sequence[str] | None = (),
    whiten: str = "none",
    clip: float = 0.0,
    weigh_trials: bool = False,
    **filters: Any,
) -> None:
    """Write one subject's trials: the recordings' in the order shown, epochs' by picture and repetition.

    Every part of a continuous recording is filtered on its own, see `datasets.signals`. Left out
    are targets and, counted, trials near the ends of a part and sequences that are not whole. A session
    without a file is passed over. In memory are one raw file at a time (2.8 GB) and the epochs of one part;
    of preprocessed files, a block of trials.

    Parameters
    ----------
    files : ses-01/raw_eeg_training.npy and so on, in any order; or the training and the test file of
        preprocessed epochs (and NeuroBridge's info.json), see `things_eeg2.preprocessed`.
    images : the table that `things_images.repack_images` wrote.
    out : HDF5 with ``eeg`` (n_trials, 63, 200) float32 at 200 Hz from the onset on, in microvolts or
        whitened, and ``trials``: image, repetition (of this image, from 0), session (from 0; -1 where the
        release does not tell), onset (sample in its raw file; -1 for epochs) and weight (float32, of mean 1;
        1 unless ``weigh_trials``). Attributes: unit, sfreq, t0, channels, release, reference, mains (Hz,
        where it was recorded), soa (s from picture to picture), raw_sfreq (Hz, of ``onset``), interpolated
        (names of channels), whiten (``release`` of epochs), clip and clipped (share of samples); of raw
        recordings the filters, edge and baseline too, and ``recordings``, a table of what was left out, see
        `left_out.read_recordings`.
    n_threads : threads that resample preprocessed epochs.
    edge : s; trials of raw recordings that reach closer to an end of their part, where the filters distort
        them, are left out.
    max_lost : share of a raw recording's sequences that may be dropped.
    baseline : s before the onset whose mean is subtracted from raw trials; 0 subtracts nothing.
    bads : channels to interpolate; None takes those that `datasets.bad_channels` flags.
    whiten : ``session`` whitens raw trials by the covariance of their session's training trials, see
        `datasets.whitening`; ``none`` leaves them in microvolts. Epochs are whitened already.
    clip : clamp at so many of each channel's standard deviations, the typical one of its training trials; 0
        clamps nothing.
    weigh_trials : whether noisy trials weigh less.
    filters : highpass, lowpass and notch (``mains``, or a list), Hz, of raw recordings. Without them the
        files must be preprocessed epochs, which are not filtered again.

    Raises
    ------
    InputError
        Names every file that is not what the release holds.
    """
    check_bads(bads or (), CHANNELS)
    if not filters:
        _check_baseline(baseline)
    elif whiten == "session":
        _check_sessions(files)
    pictures = read_table(images, ["partition"])
    with atomic_hdf5(out) as file:
        eeg = create_eeg(file, len(CHANNELS))
        attributes: dict[str, Any]
        if filters:
            filters["notch"] = named_lines(filters["notch"], mains=MAINS)
            attributes, release = {"edge": edge, "baseline": baseline, **filters}, "raw"
            trials, counts = append_recordings(eeg, files, pictures, max_lost=max_lost, **attributes)
            file["recordings"] = counts.to_records(index=False)
            attributes["whiten"] = whiten
        else:
            trials, release = _append_epochs(eeg, files, pictures, n_threads=n_threads)
            attributes = {"whiten": "release"}
            logger.info("%s: its release has whitened it; eeg.whiten is for raw recordings", release)
        # a release's whitening has mixed the channels: its epochs are against no electrode
        reference = RAW_REFERENCE if release == "raw" else "unknown"
        finish_trials(
            file,
            trials,
            attributes | LAYOUT | {"release": release, "reference": reference},
            fitted=(trials["image"] < (pictures["partition"] == "train").sum()).to_numpy(),
            bads=bads,
            clip=clip,
            weigh=weigh_trials,
            source=out,
        )


def _check_baseline(baseline: float) -> None:
    """Raise InputError where a baseline is asked for of preprocessed epochs."""
    if baseline:
        raise InputError(
            f"eeg.baseline: expected 0 for preprocessed epochs, got {baseline:g} s; they begin at the onset, "
            "and their release has subtracted a baseline already"
        )


def _check_sessions(files: Sequence[str | os.PathLike]) -> None:
    """Raise InputError where a session has test trials alone, by which nothing may be whitened."""
    places = {recording_place(path): path for path in files}
    for (session, partition), path in places.items():
        if partition == "test" and (session, "train") not in places:
            raise InputError(
                f"{path}: expected raw_eeg_training.npy beside it, by whose trials the test's are whitened "
                "(eeg.whiten), got none; add it, take this file away, or set eeg.whiten to none"
            )


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
            append(eeg, resampled)
    # The median passes over single pictures with artefacts.
    check_whitened(float(np.sqrt(np.median(np.concatenate(powers)))), epochs.eeg.dtype, source=path)
