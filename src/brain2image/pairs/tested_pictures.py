"""The pictures of validation and test pairs of one data set, from which no other may let a model learn."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.tables import REMEDY, read_npz
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import NEAR_DUPLICATE, find_near_duplicates

logger = logging.getLogger(__name__)


def write_tested(
    out: str | os.PathLike,
    pairs: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    *,
    splits: Sequence[str],
) -> None:
    """Write the CLIP features of both pictures of every validation and test pair.

    Parameters
    ----------
    out : ``.npz`` with ``eeg`` and ``fmri`` (n_pairs, n_features) float32, ``is_test`` (n_pairs,) bool and
        ``clip``, the identity of the model.
    pairs : columns eeg_image, fmri_image, split.
    eeg, fmri : embeddings of the pictures of both sets.
    splits : ``val``, and ``test`` where anybody of the data set is tested.
    """
    judged = pairs[pairs["split"].isin(splits)]
    with atomic_path(out) as path, open(path, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            eeg=eeg.of(judged["eeg_image"]),
            fmri=fmri.of(judged["fmri_image"]),
            is_test=(judged["split"] == "test").to_numpy(),
            clip=np.array(eeg.clip),
        )


def read_tested(
    files: Sequence[str | os.PathLike], *, clip: str, test_only: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Read the features of the pictures of validation and test pairs of several data sets.

    Parameters
    ----------
    clip : identity of the model whose features they must be.
    test_only : whether those of validation pairs are left aside.

    Returns
    -------
    (n_pairs, n_features) float32 of the EEG's and of the fMRI's pictures; without files no rows.

    Raises
    ------
    InputError
        When a file is missing or damaged, or of another model.
    """
    sides: list[tuple[np.ndarray, np.ndarray]] = []
    for file in files:
        content = read_npz(file, what="tested pictures", names=["eeg", "fmri", "is_test", "clip"])
        if str(content["clip"]) != clip:
            raise InputError(f"{file}: expected features of {clip}, got {content['clip']}; {REMEDY}")
        rows = content["is_test"] | (not test_only)
        sides.append((content["eeg"][rows], content["fmri"][rows]))
    if not sides:
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)
    eeg, fmri = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    return eeg, fmri


def leave_out_tested(
    pairs: pd.DataFrame, eeg: Embeddings, fmri: Embeddings, *, elsewhere: np.ndarray, tested: np.ndarray
) -> pd.DataFrame:
    """Leave out training and validation pairs with a picture that another data set is tested on.

    Training pairs go for its validation pictures, too; validation pairs do not, as neither is learned from:
    two data sets that showed the same pictures may validate by the same ones.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split.
    eeg, fmri : embeddings of the pictures of both sets.
    elsewhere : (n_images, n_features) float32, the pictures on which other data sets are validated or tested.
    tested : those of them on which they are tested.

    Raises
    ------
    InputError
        When no pair of a split is left.
    """
    if not len(elsewhere):
        return pairs
    sides = (eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"]))
    leaves = np.zeros(len(pairs), bool)
    for split, images in {"train": elsewhere, "val": tested}.items():
        if len(images):
            is_known = np.logical_or(*(find_near_duplicates(features, images) for features in sides))
            leaves |= is_known & (pairs["split"] == split).to_numpy()
    logger.info(
        "%d of %d pairs left out, as a picture of theirs nearly equals one on which another data set is "
        "tested (CLIP cosine >= %.2f)",
        *(leaves.sum(), len(pairs), NEAR_DUPLICATE),
    )
    kept = pairs[~leaves].reset_index(drop=True)
    if lacking := sorted(set(pairs["split"]) - set(kept["split"])):
        raise InputError(
            f"expected {' and '.join(lacking)} pairs of other pictures than those on which another data set "
            "is tested, got none; lower split.test or, of look-alikes, raise matching.top_k"
        )
    return kept
