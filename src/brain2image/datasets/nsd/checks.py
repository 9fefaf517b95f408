"""What is known of NSD before a release is opened, and the two lists that say who saw which picture."""

import os

import numpy as np

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import dataset_names, open_dataset, read_rows
from brain2image.formats.unpickling import read_npy

N_IMAGES = 73_000  # pictures of NSD, of which each subject saw 10,000 at most
SESSION_LENGTH = 750  # trials

# Trials and nsdgeneral voxels of each subject, all sessions (NSD data manual, "Technical notes"; MindEye
# source code).
N_TRIALS = {
    "subj01": 30_000,
    "subj02": 30_000,
    "subj03": 24_000,
    "subj04": 22_500,
    "subj05": 30_000,
    "subj06": 24_000,
    "subj07": 30_000,
    "subj08": 22_500,
}
N_VOXELS = {
    "subj01": 15_724,
    "subj02": 14_278,
    "subj03": 15_226,
    "subj04": 13_153,
    "subj05": 13_039,
    "subj06": 17_907,
    "subj07": 12_682,
    "subj08": 14_386,
}
# The first release held back each subject's last sessions for the Algonauts 2023 challenge.
WITHHELD_SESSIONS = 3
# 73KID 2951 in NSD's own 1-based count (nsdexamples, example 2): it tells whether a list counts from 0.
FIRST_SHARED = 2950


def subjects_of(path: str | os.PathLike) -> list[str]:
    """List the subjects, ``subj01`` to ``subj08``, that COCO_73k_subj_indices.hdf5 knows."""
    found = sorted(set(dataset_names(path)) & set(N_TRIALS))
    if not found:
        raise InputError(f"{path}: expected datasets subj01 to subj08, got none of them; download it again")
    return found


def read_indices(path: str | os.PathLike, subject: str) -> np.ndarray:
    """Read which picture each of a subject's trials showed.

    Parameters
    ----------
    path : COCO_73k_subj_indices.hdf5.
    subject : ``subj01`` to ``subj08``.

    Returns
    -------
    (n_trials,) int64, 0-based NSD ids in the order of the trials.
    """
    with open_dataset(path, subject) as dataset:
        found = f"{dataset.dtype} {dataset.shape}"
        # what is too large is not read, as it may claim any size
        is_list = dataset.ndim == 1 and dataset.dtype.kind in "iuf" and len(dataset) <= N_IMAGES
        indices = read_rows(dataset, slice(None)) if is_list else np.empty(0)
    if not is_list or not np.array_equal(indices, np.clip(np.floor(indices), 0, N_IMAGES - 1)):
        limits = f" from {indices.min()} to {indices.max()}" if indices.size else ""
        raise InputError(
            f"{path}: expected one integer from 0 to {N_IMAGES - 1} for each trial of {subject}, got "
            f"{found}{limits}; download it again"
        )
    check_n_trials(len(indices), subject, source=path)
    return indices.astype(np.int64)


def read_shared1000(path: str | os.PathLike) -> np.ndarray:
    """Read the flag of each picture that all subjects were to see, (73000,) bool."""
    flags = read_npy(path, source=path, remedy="download it again")
    if flags.shape != (N_IMAGES,) or not np.isin(flags, (0, 1)).all():
        raise InputError(
            f"{path}: expected {N_IMAGES} flags of 0 or 1, got {flags.dtype} {flags.shape}; download it again"
        )
    flags = flags.astype(bool)
    first = int(np.argmax(flags)) if flags.any() else None
    if first != FIRST_SHARED:
        shifted = first is not None and abs(first - FIRST_SHARED) == 1
        raise InputError(
            f"{path}: expected the first shared picture at {FIRST_SHARED}, counted from 0, got {first}"
            f"{' (off by one: counted from 1?)' if shifted else ''}; download it again"
        )
    return flags


def check_n_trials(n_trials: int, subject: str, *, source: str | os.PathLike) -> None:
    """Raise InputError unless the trials are whole sessions, and not the outdated release's."""
    published = N_TRIALS[subject]
    if n_trials == published - WITHHELD_SESSIONS * SESSION_LENGTH:
        raise InputError(
            f"{source}: expected {published} trials of {subject}, got {n_trials}: this is the outdated "
            f"release without the last {WITHHELD_SESSIONS} sessions; download the file again"
        )
    if not 0 < n_trials <= published or n_trials % SESSION_LENGTH:
        raise InputError(
            f"{source}: expected {published} trials of {subject} (or fewer whole sessions of {SESSION_LENGTH}"
            f"), got {n_trials}; download the file again"
        )
