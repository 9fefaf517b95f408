"""NSD's single-trial betas, with the picture of each trial from MindEye2's behaviour files."""

import io
import logging
import os
import tarfile
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pandas as pd

from brain2image.errors import InputError
from brain2image.files import atomic_path, write_trials
from brain2image.nsd.release import (
    N_TRIALS,
    N_VOXELS,
    SESSION_LENGTH,
    check_n_trials,
    open_dataset,
    read_indices,
)

logger = logging.getLogger(__name__)

MEMBER = "behav.npy"
BEHAVIOUR_SHAPE = (1, 17)
# Columns of behav.npy (MindEye2 README): 0-based NSD id, session from 1, 0-based trial = row of the betas.
IMAGE, SESSION, TRIAL = 0, 2, 5
# Of z-scored betas, whichever trials the scores were fitted on.
RMS_RANGE = (0.3, 3.0)
BLOCK = 1000  # trials copied at a time, 63 MB for 15,724 voxels


def repack_fmri(
    betas: str | os.PathLike,
    indices: str | os.PathLike,
    tars: str | os.PathLike,
    *,
    subject: str,
    out: str | os.PathLike,
) -> None:
    """Write one subject's betas with the picture of each, in the order of the trials.

    Parameters
    ----------
    betas : betas_all_subj0X_fp32_renorm.hdf5.
    indices : COCO_73k_subj_indices.hdf5; every trial must agree with ``tars``.
    tars : folder wds/subj0X with train/*.tar and new_test/0.tar.
    subject : ``subj01`` to ``subj08``.
    out : HDF5 with ``betas`` (n_trials, n_voxels) float32, z-scored, and ``trials``: image (0-based NSD id),
        repetition (of this image, from 0) and session (from 0).
    """
    with open_dataset(betas, "betas") as source:
        _check_betas(source, subject, betas)
        behaviour = read_behaviour(tars)
        trials = trial_table(behaviour, read_indices(indices, subject), n_trials=len(source), source=tars)
        with atomic_path(out) as scratch, h5py.File(scratch, "w") as file:
            target = file.create_dataset("betas", source.shape, np.float32, chunks=(1, source.shape[1]))
            rms = _copy_betas(source, target, betas)
            if not RMS_RANGE[0] <= rms <= RMS_RANGE[1]:
                raise InputError(
                    f"{betas}: expected z-scored betas with a root mean square of {RMS_RANGE[0]} to "
                    f"{RMS_RANGE[1]}, got {rms:.3g}; use betas_all_{subject}_fp32_renorm.hdf5"
                )
            write_trials(file, trials)
        logger.info("%s: %d trials, %d voxels, root mean square %.3f", betas, *source.shape, rms)


def read_behaviour(folder: str | os.PathLike) -> np.ndarray:
    """The behaviour rows of all tars of a subject, in no particular order.

    Parameters
    ----------
    folder : wds/subj0X. ``test``, which lacks the last sessions, is never read; ``new_test`` is.

    Returns
    -------
    (n_trials, 17) float64, columns as in MindEye2's README.
    """
    folder = Path(folder)
    test = folder / "new_test" / "0.tar"
    if not test.is_file():
        outdated = "; test/ is outdated and lacks the last sessions" if (folder / "test").is_dir() else ""
        raise InputError(f"{test}: no such file{outdated}; download {folder.name}/new_test/0.tar")
    training = sorted((folder / "train").glob("*.tar"))
    if not training:
        raise InputError(f"{folder / 'train'}: expected tars of the training trials, got none; download them")
    rows, problems = [], []
    for path in (*training, test):
        try:
            rows.extend(read_tar(path))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("; ".join(problems))
    return np.concatenate(rows)


def read_tar(path: str | os.PathLike) -> list[np.ndarray]:
    """The ``behav.npy`` of every sample of a webdataset tar, each (1, 17) float64.

    Members are grouped by the name before the first dot; their order means nothing. Nothing is unpacked.
    """
    samples: dict[str, np.ndarray | None] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, kind = _sample_key(member, path)
                if member.isdir():
                    continue
                samples.setdefault(key, None)
                if kind == MEMBER:
                    if samples[key] is not None:
                        raise InputError(
                            f"{path}: expected one {MEMBER} in {key}, got two; download it again"
                        )
                    samples[key] = _load_row(tar.extractfile(member).read(), f"{path}: {member.name}")
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path}: cannot read this tar ({error}); download it again") from None
    without = [key for key, row in samples.items() if row is None]
    if without or not samples:
        raise InputError(
            f"{path}: expected a {MEMBER} in every sample, got {len(samples)} samples and none in "
            f"{', '.join(without[:3]) or 'any'}; download it again"
        )
    return list(samples.values())


def trial_table(
    behaviour: np.ndarray, indices: np.ndarray, *, n_trials: int, source: str | os.PathLike
) -> pd.DataFrame:
    """One row a trial: image, repetition, session, all int64 from 0.

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


def _sample_key(member: tarfile.TarInfo, path: str | os.PathLike) -> tuple[str, str]:
    """A member's sample and kind: its name up to the first dot of the file name, and from there on."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise InputError(
            f"{path}: expected plain files below the tar's own folder, got {member.name!r}; "
            "this is not the release's tar"
        )
    stem, _, kind = name.name.partition(".")
    return f"{name.parent}/{stem}", kind


def _load_row(content: bytes, source: str) -> np.ndarray:
    try:
        row = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{source}: cannot read this .npy ({error}); download the tar again") from None
    if row.shape != BEHAVIOUR_SHAPE or row.dtype != np.float64:
        raise InputError(
            f"{source}: expected float64 {BEHAVIOUR_SHAPE}, got {row.dtype} {row.shape}; "
            "download the tar again"
        )
    if not np.isfinite(row[0, [IMAGE, SESSION, TRIAL]]).all():
        raise InputError(
            f"{source}: expected a picture, a session and a trial, got NaN; download the tar again"
        )
    return row


def _check_betas(betas: h5py.Dataset, subject: str, path: str | os.PathLike) -> None:
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


def _copy_betas(source: h5py.Dataset, target: h5py.Dataset, path: str | os.PathLike) -> float:
    """Copy block by block; return the root mean square."""
    total = 0.0
    for start in range(0, len(source), BLOCK):
        block = source[start : start + BLOCK]
        if not np.isfinite(block).all():
            row = start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise InputError(
                f"{path}: expected finite betas, got NaN or infinity in row {row}; download it again"
            )
        total += float(np.square(block, dtype=np.float64).sum())
        target[start : start + BLOCK] = block
    return float(np.sqrt(total / source.size))
