"""Training, validation and test pairs that share no picture and, by default, no concept."""

import logging
import os
from typing import Literal

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.tables import pick_rows

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
TestFrom = Literal["auto", "any", "shared1000", "test_partition"]
# What to do where a split is empty.
_MORE = "raise matching.top_k or the share of the split"
REMEDIES = {
    "any": _MORE,
    "shared1000": f"{_MORE}, or take split.test_from: any",
    "test_partition": f"{_MORE}; where the data set keeps no pictures for testing, or the fMRI has none of "
    "NSD's shared 1,000, take split.test_from: shared1000 or any",
}


def split_pairs(
    candidates: pd.DataFrame,
    test_partition: pd.DataFrame,
    eeg_pictures: pd.DataFrame,
    fmri_pictures: pd.DataFrame,
    *,
    n_pairs: int | None,
    val: float,
    test: float,
    seed: int,
    group_by: Literal["image", "concept"],
    test_from: TestFrom,
    is_logged: bool = True,
) -> pd.DataFrame:
    """Choose test, validation and training pairs, in this order, and add ``concept`` and ``split``.

    MindEye2's ridge was fitted on all NSD pictures but the shared 1,000 (Scotti et al., ICML 2024): only
    their embeddings are predictions, as a test target should be. So others are tested only by ``any``.

    - Test: with ``test_partition``, every picture that the EEG's authors kept for testing and that a shared
      picture was found for. Otherwise groups are drawn at random from the ``n_pairs`` best candidates, or
      from as many as hold enough pairs that may be tested, until they have enough pairs.
    - Validation: groups are drawn likewise from the best of what shares no group and no picture with test.
    - Training: the best of what shares none with both. Candidates that are passed over are thus made up for
      by the next best.

    Parameters
    ----------
    candidates : columns eeg_image, fmri_image, similarity; one-to-one, best first.
    test_partition : the same of the pictures that the EEG's authors kept for testing, with shared pictures.
    eeg_pictures : image, concept.
    fmri_pictures : image, shared1000.
    n_pairs : number of pairs of which the shares are taken; None: all candidates, and none is left over.
    val, test : shares; the rest is for training. With ``test_from="test_partition"`` all of it is tested.
    seed : seed of the drawing.
    group_by : what no two splits may share, the ``concept`` or only the ``image`` of the EEG.
    test_from : ``any`` pair, those whose NSD picture is one of the ``shared1000``, or the ``test_partition``;
        ``auto``: the last of these that there is.
    is_logged : whether the log says how many were chosen and passed over.

    Returns
    -------
    The pairs that were chosen, best first, with ``concept`` (str, of the EEG's picture, whatever ``group_by``
    says) and ``split``.

    Raises
    ------
    InputError
        When there are fewer than ``n_pairs`` candidates, or a split would be empty.
    """
    takes_all = n_pairs is None
    n_pairs = len(candidates) if n_pairs is None else n_pairs
    if not 1 <= n_pairs <= len(candidates):
        raise InputError(
            f"expected at least matching.top_k = {n_pairs} pairs of pictures, got {len(candidates)}, as many "
            "as the smaller side has pictures; choose matching.top_k from 1 to this number"
        )
    if test_from == "auto":
        test_from = _resolve_auto(test_partition, fmri_pictures)
    n_val, n_test = round(val * n_pairs), round(test * n_pairs)
    n_train = n_pairs - n_val - n_test
    rng = np.random.default_rng(seed)
    left = _with_groups(candidates, eeg_pictures, group_by)
    if test_from == "test_partition":
        tested = _with_groups(test_partition, eeg_pictures, group_by)
        n_train, n_test = n_train + takes_all * n_test, len(tested)
    else:
        tested = _draw_tested(
            left, fmri_pictures, n_pairs=n_pairs, n_test=n_test, test_from=test_from, rng=rng
        )
    left = left[~left["group"].isin(tested["group"]) & ~left["fmri_image"].isin(tested["fmri_image"])]
    validated = draw_groups(left.head(n_train + n_val), n_val, rng=rng)
    trained = left[~left["group"].isin(validated["group"])].head(n_train)
    parts = {"train": trained, "val": validated, "test": tested}
    empty = [split for split, part in parts.items() if part.empty]
    if empty:
        raise InputError(
            f"expected pairs for every split, got none for {' and '.join(empty)} (split.test_from: "
            f"{test_from}); {REMEDIES[test_from]}"
        )
    chosen = pd.concat([part.assign(split=split) for split, part in parts.items()])
    chosen = chosen.sort_values("similarity", ascending=False, kind="stable", ignore_index=True)
    if is_logged:
        _log_sizes(parts, {"train": n_train, "val": n_val, "test": n_test})
        logger.info("%d of the best candidates passed over", count_passed_over(candidates, chosen))
    return chosen.drop(columns="group")


def _resolve_auto(test_partition: pd.DataFrame, fmri_pictures: pd.DataFrame) -> TestFrom:
    """Return what is tested where only the tables say what there is."""
    known: dict[TestFrom, bool] = {
        "test_partition": len(test_partition) > 0,
        "shared1000": bool(fmri_pictures["shared1000"].any()),
        "any": True,
    }
    found = next(name for name, is_there in known.items() if is_there)
    logger.info("split.test_from: auto is %s here", found)
    return found


def _with_groups(pairs: pd.DataFrame, eeg_pictures: pd.DataFrame, group_by: str) -> pd.DataFrame:
    """Add to pairs the concept of the EEG's picture, and the group, which is this or the picture."""
    shown = pick_rows(eeg_pictures, pairs["eeg_image"], source="the table of the EEG's pictures")
    return pairs.assign(concept=shown["concept"].to_numpy(), group=shown[group_by].to_numpy())


def _draw_tested(
    candidates: pd.DataFrame,
    fmri_pictures: pd.DataFrame,
    *,
    n_pairs: int,
    n_test: int,
    test_from: TestFrom,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw groups from the best candidates that may be tested, from more than n_pairs if need be."""
    seen = pick_rows(fmri_pictures, candidates["fmri_image"], source="the table of the fMRI's pictures")
    may_be_tested = seen["shared1000"].to_numpy() | (test_from == "any")
    n_among_best = int(may_be_tested[:n_pairs].sum())
    return draw_groups(candidates[may_be_tested].head(max(n_among_best, n_test)), n_test, rng=rng)


def draw_groups(pairs: pd.DataFrame, n_pairs: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw groups of pairs at random until they hold ``n_pairs``, and take the first so many of their pairs.

    Parameters
    ----------
    pairs : column group; best first.
    n_pairs : how many; fewer where there are not as many.
    """
    sizes = pairs["group"].value_counts().sort_index()
    sizes = sizes.iloc[rng.permutation(len(sizes))]
    n_before = sizes.cumsum() - sizes  # pairs of the groups that were drawn before
    return pairs[pairs["group"].isin(sizes.index[n_before < n_pairs])].head(n_pairs)


def _log_sizes(parts: dict[str, pd.DataFrame], wanted: dict[str, int]) -> None:
    """Log the number of pairs of each split, and warn of one that has fewer than were asked for."""
    logger.info("%s", {split: len(part) for split, part in parts.items()})
    for split, part in parts.items():
        if len(part) < wanted[split]:
            logger.warning(
                "the %s split has %d pairs instead of %d: there are no more candidates",
                *(split, len(part), wanted[split]),
            )


def count_passed_over(candidates: pd.DataFrame, pairs: pd.DataFrame) -> int:
    """Count the candidates that are in no split though a worse one is.

    Parameters
    ----------
    candidates, pairs : columns eeg_image, fmri_image; the candidates best first.
    """
    keys = ["eeg_image", "fmri_image"]
    is_taken = candidates.merge(pairs[keys], how="left", on=keys, indicator=True)["_merge"] == "both"
    n_looked_at = int(np.flatnonzero(is_taken).max(initial=-1)) + 1
    return n_looked_at - int(is_taken.sum())


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
