"""NSD's single-trial betas in MindEye2's release, with the picture of each trial from its behaviour files."""

import logging
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.nsd.checks import (
    N_IMAGES,
    N_TRIALS,
    N_VOXELS,
    SESSION_LENGTH,
    check_n_trials,
    read_indices,
    read_shared1000,
)
from brain2image.formats.hdf5 import atomic_hdf5, link_dataset, open_dataset, write_trials
from brain2image.formats.tars import find_samples, read_array

logger = logging.getLogger(__name__)

MEMBER = "behav.npy"
BEHAVIOUR_SHAPE = (1, 17)
# Columns of behav.npy (MindEye2 README): 0-based NSD id, session from 1, 0-based trial = row of the betas,
# and whether the picture is one of the shared 1,000.
IMAGE, SESSION, TRIAL, SHARED = 0, 2, 5, 16
# Trials in new_test/, and in the outdated test/ without the last sessions, by the number of all trials
# (MindEye2, Train.ipynb).
N_TEST_TRIALS = {30_000: 3000, 24_000: 2371, 22_500: 2188}
N_OUTDATED_TEST_TRIALS = {30_000: 2770, 24_000: 2113, 22_500: 1985}


def repack_fmri(
    betas: str | os.PathLike,
    indices: str | os.PathLike,
    shared1000: str | os.PathLike,
    tars: str | os.PathLike,
    *,
    subject: str,
    out: str | os.PathLike,
) -> None:
    """Write which picture each of a subject's betas belongs to, in the order of the trials.

    The betas themselves, 1.9 GB, stay where they are: ``out`` links to them. Whoever reads them checks their
    values.

    Parameters
    ----------
    betas : betas_all_subj0X_fp32_renorm.hdf5.
    indices : COCO_73k_subj_indices.hdf5; every trial must agree with ``tars``.
    shared1000 : shared1000.npy; every trial must agree with it too.
    tars : folder wds/subj0X with train/*.tar and new_test/0.tar.
    subject : ``subj01`` to ``subj08``.
    out : HDF5 with ``betas`` (n_trials, n_voxels) float32, z-scored, an external link whose path is relative
        to the folder of ``out``; and ``trials``: image (0-based NSD id), repetition (of this image, from 0)
        and session (from 0).
    """
    with open_dataset(betas, "betas") as source:
        check_betas(source, subject, betas)
        n_trials, n_voxels = source.shape
    training, test = read_behaviour(tars, n_trials=n_trials)
    behaviour = np.concatenate([training, test])
    trials = trial_table(behaviour, read_indices(indices, subject), n_trials=n_trials, source=tars)
    check_shared(training, test, read_shared1000(shared1000), source=tars)
    with atomic_hdf5(out) as file:
        link_dataset(file, "betas", betas, out=out)
        write_trials(file, trials)
    logger.info("%s: %d trials, %d voxels", betas, n_trials, n_voxels)


def read_behaviour(folder: str | os.PathLike, *, n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the behaviour rows of all tars of a subject, in no particular order.

    Parameters
    ----------
    folder : wds/subj0X. ``test``, which lacks the last sessions, is never read; ``new_test`` is.
    n_trials : number of rows of the betas.

    Returns
    -------
    training, test : (n_rows, 17) float64, columns as in MindEye2's README.
    """
    folder = Path(folder)
    test = folder / "new_test" / "0.tar"
    if not test.is_file():
        outdated = "; test/ is outdated and lacks the last sessions" if (folder / "test").is_dir() else ""
        raise InputError(f"{test}: no such file{outdated}; download {folder.name}/new_test/0.tar")
    training = sorted((folder / "train").glob("*.tar"))
    if not training:
        raise InputError(f"{folder / 'train'}: expected tars of the training trials, got none; download them")
    rows: dict[Path, np.ndarray] = {}
    problems = []
    for path in (*training, test):
        try:
            rows[path] = read_tar(path)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("; ".join(problems))
    if len(rows[test]) == N_OUTDATED_TEST_TRIALS.get(n_trials):
        raise InputError(
            f"{test}: expected {N_TEST_TRIALS[n_trials]} trials, got {len(rows[test])}: this is the outdated "
            f"test/0.tar without the last sessions; download {folder.name}/new_test/0.tar"
        )
    return np.concatenate([rows[path] for path in training]), rows[test]


def read_tar(path: str | os.PathLike) -> np.ndarray:
    """Read the behaviour of every sample of a tar, (n_samples, 17) float64. Nothing is unpacked."""
    samples = find_samples(path, [MEMBER])
    with open(path, "rb") as file:
        rows = []
        for sample, members in samples.items():
            source = f"{path}: {sample}.{MEMBER}"
            rows.append(_checked_row(read_array(file, members[MEMBER], source=source), source))
    return np.concatenate(rows)


def check_shared(
    training: np.ndarray, test: np.ndarray, shared: np.ndarray, *, source: str | os.PathLike
) -> None:
    """Raise InputError unless the test trials, and no others, show pictures of the shared 1,000.

    This tells ids that are counted from 1, and tars in the wrong folder.

    Parameters
    ----------
    training, test : (n_rows, 17) float64, see `read_behaviour`.
    shared : (73000,) bool, see `checks.read_shared1000`.
    source : the folder of the tars, for messages.
    """
    for folder, rows, expected in (("train", training, False), ("new_test", test, True)):
        flags = (shared[rows[:, IMAGE].astype(np.int64)], rows[:, SHARED])
        wrong = np.flatnonzero((flags[0] != expected) | (flags[1] != expected))
        if wrong.size:
            raise InputError(
                f"{source}: expected {'only' if expected else 'no'} pictures of shared1000.npy in {folder}/, "
                f"got {wrong.size} trials that are not so (first: picture {rows[wrong[0], IMAGE]:g}); "
                "download the tars and shared1000.npy from one release"
            )


def trial_table(
    behaviour: np.ndarray, indices: np.ndarray, *, n_trials: int, source: str | os.PathLike
) -> pd.DataFrame:
    """Make a table of one row a trial: image, repetition, session, all int64 from 0.

    Parameters
    ----------
    behaviour : (n_rows, 17) float64, see `read_behaviour`; every trial once.
    indices : (n_trials,) int64, the picture of each trial from another file.
    n_trials : number of rows of the betas.
    source : the folder of the tars, for messages.
    """
    rows = behaviour[:, TRIAL]
    counts = np.bincount(rows[(rows >= 0) & (rows < n_trials)].astype(np.int64), minlength=n_trials)
    outside = int(len(rows) - counts.sum())
    if (counts != 1).any() or outside or (rows != np.floor(rows)).any():
        wrong = np.flatnonzero(counts != 1)
        raise InputError(
            f"{source}: expected every one of the {n_trials} rows of the betas once, got "
            f"{(counts == 0).sum()} rows without a trial, {(counts > 1).sum()} with several, {outside} "
            "trials outside"
            + (f" (first row {wrong[0]})" if len(wrong) else "")
            + "; download all tars of train/ and new_test/, and the betas, from one release"
        )
    behaviour = behaviour[np.argsort(rows)]
    _check_agreement(behaviour, indices, source)
    trials = pd.DataFrame({"image": indices, "session": np.arange(n_trials) // SESSION_LENGTH})
    trials.insert(1, "repetition", trials.groupby("image").cumcount())
    return trials.astype(np.int64)


def _check_agreement(behaviour: np.ndarray, indices: np.ndarray, source: str | os.PathLike) -> None:
    n_trials = len(behaviour)
    if len(indices) != n_trials:
        raise InputError(
            f"{source}: expected as many trials as COCO_73k_subj_indices.hdf5, got {n_trials} and "
            f"{len(indices)}; download both from one release"
        )
    comparisons = {
        "the picture of COCO_73k_subj_indices.hdf5": (behaviour[:, IMAGE], indices),
        "the session of the trial's place": (
            behaviour[:, SESSION],
            np.arange(n_trials) // SESSION_LENGTH + 1,
        ),
    }
    for what, (got, expected) in comparisons.items():
        if (different := np.flatnonzero(got != expected)).size:
            trial = different[0]
            raise InputError(
                f"{source}: expected {what}, {expected[trial]}, in trial {trial}, got {got[trial]:g} "
                f"({different.size} trials differ); download both from one release"
            )


def _checked_row(row: np.ndarray, source: str) -> np.ndarray:
    if row.shape != BEHAVIOUR_SHAPE or row.dtype != np.float64:
        raise InputError(
            f"{source}: expected float64 {BEHAVIOUR_SHAPE}, got {row.dtype} {row.shape}; "
            "download the tar again"
        )
    if not np.isfinite(row[0, [IMAGE, SESSION, TRIAL, SHARED]]).all():
        raise InputError(
            f"{source}: expected a picture, a session, a trial and shared1000, got NaN; "
            "download the tar again"
        )
    if not 0 <= row[0, IMAGE] < N_IMAGES:
        raise InputError(
            f"{source}: expected a picture from 0 to {N_IMAGES - 1}, got {row[0, IMAGE]:g}; "
            "download the tar again"
        )
    return row


def check_betas(betas: h5py.Dataset, subject: str, path: str | os.PathLike) -> None:
    """Raise InputError unless the betas have the type and the shape of this subject's."""
    if betas.ndim != 2 or betas.dtype != np.float32 or betas.shape[1] == 0:
        raise InputError(
            f"{path}: expected float32 (n_trials, n_voxels), got {betas.dtype} {betas.shape}; "
            f"use betas_all_{subject}_fp32_renorm.hdf5"
        )
    check_n_trials(len(betas), subject, source=path)
    # fewer sessions may come with fewer voxels: synthetic data
    if len(betas) == N_TRIALS[subject] and betas.shape[1] != N_VOXELS[subject]:
        raise InputError(
            f"{path}: expected {N_VOXELS[subject]} voxels of {subject}, got {betas.shape[1]}; "
            "is it another subject's file?"
        )
