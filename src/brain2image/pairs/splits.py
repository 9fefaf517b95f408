"""Training, validation and test pairs that share no picture and, by default, no concept."""

import logging
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.tables import pick_rows

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
TEST = SPLITS.index("test")


def split_pairs(
    pairs: pd.DataFrame,
    eeg_pictures: pd.DataFrame,
    fmri_pictures: pd.DataFrame,
    *,
    train: float,
    val: float,
    test: float,
    seed: int,
    group_by: Literal["image", "concept"],
    test_from: Literal["any", "shared1000"],
) -> pd.DataFrame:
    """Add the columns ``concept`` and ``split`` to a table of pairs; take out the pairs that fit into none.

    MindEye2's ridge was fitted on all NSD pictures but the shared 1,000 (Scotti et al., ICML 2024): only
    their embeddings are predictions, as a test target should be. With ``test_from="shared1000"`` no other
    picture is in the test split. A pair whose concept is in the test split through another pair, but whose
    own NSD picture is not shared, is left out.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, ...; one-to-one.
    eeg_pictures : image, concept.
    fmri_pictures : image, shared1000.
    train, val, test : shares of the pairs, summing to 1.
    seed : seed of the shuffle.
    group_by : what no two splits may share, the ``concept`` or only the ``image`` of the EEG.
    test_from : ``any`` pair, or those whose NSD picture is one of the ``shared1000``.

    Returns
    -------
    The pairs with ``concept`` (str, of the EEG's picture, whatever ``group_by`` says) and ``split``.

    Raises
    ------
    InputError
        When a split would be empty.
    """
    shown = pick_rows(eeg_pictures, pairs["eeg_image"], source="the table of the EEG's pictures")
    seen = pick_rows(fmri_pictures, pairs["fmri_image"], source="the table of the fMRI's pictures")
    concepts, shared = shown["concept"].to_numpy(), seen["shared1000"].to_numpy()
    groups = {"image": pairs["eeg_image"], "concept": concepts}[group_by]
    testable = {"any": np.ones(len(pairs), dtype=bool), "shared1000": shared}[test_from]
    fractions = {"train": train, "val": val, "test": test}
    split = assign_splits(groups, testable, fractions=fractions, seed=seed)
    counts = {name: int((split == name).sum()) for name in SPLITS}
    logger.info("%s; %d of %d pairs left out", counts, (split == "").sum(), len(pairs))
    if counts["test"] < np.floor(test * len(pairs)):
        logger.warning(
            "the test split has %d pairs instead of %.0f: only %d pairs show one of NSD's shared 1,000",
            counts["test"],
            test * len(pairs),
            testable.sum(),
        )
    return pairs.assign(concept=concepts, split=split)[split != ""]


def assign_splits(
    groups: Sequence, testable: np.ndarray, *, fractions: dict[str, float], seed: int
) -> np.ndarray:
    """Assign each pair to a split; pairs of one group stay together.

    Groups are shuffled; each goes to the split that lacks most of its share, so that the size of a split is
    off its share by less than the largest group. Where not every pair may be tested, the test split is
    filled first, and the rest is divided in the ratio of the other two shares.

    Parameters
    ----------
    groups : (n_pairs,) name or number of each pair's group.
    testable : (n_pairs,) bool, whether a pair may be in the test split.
    fractions : share of ``train``, ``val`` and ``test``, summing to 1.
    seed : seed of the shuffle.

    Returns
    -------
    (n_pairs,) str: ``train``, ``val``, ``test``, or nothing for a pair that may not be tested in a group that
    is.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(members)
    n_testable = np.bincount(members, weights=testable)
    order = np.random.default_rng(seed).permutation(len(names))
    lacking = np.array([fractions[split] for split in SPLITS]) * len(members)
    chosen = np.full(len(names), -1)
    if not testable.all():
        for group in order[n_testable[order] > 0]:
            if lacking[TEST] > 0:
                chosen[group] = TEST
                lacking[TEST] -= n_testable[group]
        lacking[:TEST] *= sizes[chosen < 0].sum() / lacking[:TEST].sum()
        lacking[TEST] = -np.inf
    for group in order[chosen[order] < 0]:
        chosen[group] = np.argmax(lacking)
        lacking[chosen[group]] -= sizes[group]
    empty = [split for number, split in enumerate(SPLITS) if number not in chosen]
    if empty:
        raise InputError(
            f"{len(members)} pairs of {len(names)} groups, {int(testable.sum())} of them testable, leave "
            f"{' and '.join(empty)} empty; raise matching.top_k or the share of the split, or change "
            "split.test_from"
        )
    split = np.array(SPLITS)[chosen[members]]
    return np.where((split == "test") & ~testable, "", split)


def keep_measured(
    pairs: pd.DataFrame, trials: pd.DataFrame, *, source: str | os.PathLike = "the EEG"
) -> pd.DataFrame:
    """Leave out the pairs of whose EEG picture a person has no trial; the log counts them.

    Parameters
    ----------
    pairs : columns eeg_image, split; the pairs of all people of a data set.
    trials : image of each EEG trial of the person.
    source : their file, for messages.

    Raises
    ------
    InputError
        When none of a split's pairs is left.
    """
    is_measured = pairs["eeg_image"].isin(trials["image"])
    kept = pairs[is_measured]
    if n_without := int((~is_measured).sum()):
        logger.warning(
            "%s: %d of %d pairs are left out: no trial shows their picture", source, n_without, len(pairs)
        )
    if empty := [split for split in SPLITS if split in set(pairs["split"]) - set(kept["split"])]:
        raise InputError(
            f"{source}: expected trials of some pairs of each split, got none for {' and '.join(empty)} "
            f"({n_without} of {len(pairs)} pairs have no trial); add the missing recordings or leave the "
            "person out"
        )
    return kept
