"""Pictures of the EEG that may be trained on, whether they have a partner that was scanned or not."""

import logging

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.tables import pick_rows
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import NEAR_DUPLICATE, find_near_duplicates

logger = logging.getLogger(__name__)


def choose_training_pictures(
    pictures: pd.DataFrame,
    pairs: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    *,
    elsewhere: np.ndarray | None = None,
) -> pd.DataFrame:
    """Choose the pictures from which a network may learn without meeting what it is tested on.

    These are the pictures that the EEG's authors meant for training, but those of a concept of a validation
    or test pair and near duplicates of a picture of such a pair, in either set. The log counts them.

    Parameters
    ----------
    pictures : table of the EEG's pictures: image, concept, partition.
    pairs : columns eeg_image, fmri_image, split.
    eeg, fmri : embeddings of the pictures of both sets.
    elsewhere : (n_images, n_features) float32, pictures on which other data sets are tested.

    Returns
    -------
    Table ``image`` (int64), ``concept`` (str).

    Raises
    ------
    InputError
        When none is left, or a picture has no embedding.
    """
    offered = pictures.loc[pictures["partition"] == "train", ["image", "concept"]]
    tested = pairs[pairs["split"] != "train"]
    concepts = pick_rows(pictures, tested["eeg_image"], source="the table of the EEG's pictures")["concept"]
    unmet = offered[~offered["concept"].isin(concepts)]
    own = [eeg.of(tested["eeg_image"]), fmri.of(tested["fmri_image"])]
    held_out = np.concatenate(own if elsewhere is None or not len(elsewhere) else [*own, elsewhere])
    chosen = unmet[~find_near_duplicates(eeg.of(unmet["image"]), held_out)]
    counts = (
        f"{len(offered)} training pictures: {len(offered) - len(unmet)} left out as their concept is that of "
        f"a validation or test pair, {len(unmet) - len(chosen)} as near duplicates of a picture of such a "
        f"pair (CLIP cosine >= {NEAR_DUPLICATE}), {len(chosen)} chosen"
    )
    if chosen.empty:
        raise InputError(
            f"expected pictures to train on, got none of {counts}; lower split.val and split.test"
        )
    logger.info(counts)
    return chosen.reset_index(drop=True)


def keep_chosen(pairs: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Leave out training pairs of pictures that may not be learned from, where each picture is a pair.

    Without fMRI all pictures are pairs, and some nearly equal one that is tested. The log counts them.

    Parameters
    ----------
    pairs : columns eeg_image, split.
    chosen : of `choose_training_pictures`.

    Raises
    ------
    InputError
        When no training pair is left.
    """
    leaves = (pairs["split"] == "train") & ~pairs["eeg_image"].isin(chosen["image"])
    kept = pairs[~leaves].reset_index(drop=True)
    if not (kept["split"] == "train").any():
        raise InputError(
            f"expected pictures to train on, got none: all {leaves.sum()} nearly equal one of a validation "
            "or test pair; lower split.val and split.test"
        )
    logger.info("%d of %d pairs left out, as their picture may not be learned from", leaves.sum(), len(pairs))
    return kept
