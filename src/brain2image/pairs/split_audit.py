"""What a split of the pairs shares between its parts, and what a run's numbers depend on."""

from typing import Any

import numpy as np
import pandas as pd

from brain2image.formats.tables import pick_rows
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import find_near_duplicates
from brain2image.pairs.splits import SPLITS, count_passed_over, keep_measured

WINDOW = 1000  # samples at 1000 Hz: a trial is the second after its picture's onset


def audit_split(
    pairs: pd.DataFrame,
    *,
    eeg_pictures: pd.DataFrame,
    fmri_pictures: pd.DataFrame,
    eeg_trials: pd.DataFrame,
    fmri_trials: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    candidates: pd.DataFrame,
    is_ridge_fitted: bool,
) -> dict[str, Any]:
    """Count what the training and the test pairs have in common.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split; those without an EEG trial are left out first.
    eeg_pictures : image, concept, partition.
    fmri_pictures : image, shared1000.
    eeg_trials : image, session (-1: unknown), onset (sample in its raw file, -1: unknown).
    fmri_trials : image.
    eeg, fmri : embeddings of the pictures of both sets.
    candidates : columns eeg_image, fmri_image; all pairs that could have been chosen, best first.
    is_ridge_fitted : whether the ridge was fitted on fMRI pictures; a simulated one was fitted on none.

    Returns
    -------
    n_pairs : number of pairs of each split.
    n_passed_over : number of candidates that are in no split though a worse one is.
    n_without_eeg : number of pairs of a split of whose picture this person has no EEG trial.
    ridge_fitted_targets : share of each split's pairs whose fMRI picture MindEye2's ridge was fitted on:
        all but the shared 1,000 (Scotti et al., ICML 2024).
    overlapping_test_trials : share of the test pairs' EEG trials that share raw samples with a trial of a
        training pair; None where the EEG's source does not say when its trials were.
    shared_with_training : number of val and test pairs whose EEG picture, fMRI picture or concept is that
        of a training pair.
    near_duplicates : number of val and test pairs with a picture whose CLIP cosine with a picture of a
        training pair, in either set, is 0.95 or more; the same picture counts, too.
    trials_per_image : for each split, how many of its pictures have how many EEG and fMRI trials.
    """
    n_split, n_passed_over = len(pairs), count_passed_over(candidates, pairs)
    pairs = keep_measured(pairs, eeg_trials)
    shown = pick_rows(eeg_pictures, pairs["eeg_image"], source="the table of the EEG's pictures")
    seen = pick_rows(fmri_pictures, pairs["fmri_image"], source="the table of the fMRI's pictures")
    pairs = pairs.assign(
        concept=shown["concept"].to_numpy(), fitted=is_ridge_fitted & ~seen["shared1000"].to_numpy()
    )
    parts = {split: pairs[pairs["split"] == split] for split in SPLITS}
    keys = {"EEG pictures": "eeg_image", "fMRI pictures": "fmri_image", "concepts": "concept"}
    return {
        "n_pairs": {split: len(part) for split, part in parts.items()},
        "n_passed_over": n_passed_over,
        "n_without_eeg": n_split - len(pairs),
        "ridge_fitted_targets": {split: float(part["fitted"].mean()) for split, part in parts.items()},
        "overlapping_test_trials": overlap(
            eeg_trials.merge(eeg_pictures[["image", "partition"]], on="image"),
            training=parts["train"]["eeg_image"],
            test=parts["test"]["eeg_image"],
        ),
        "shared_with_training": {
            split: {
                name: int(parts[split][key].isin(parts["train"][key]).sum()) for name, key in keys.items()
            }
            for split in SPLITS[1:]
        },
        "near_duplicates": {
            split: near_duplicates(parts[split], parts["train"], eeg=eeg, fmri=fmri) for split in SPLITS[1:]
        },
        "trials_per_image": {
            split: {
                "eeg": _trials_per_image(eeg_trials, part["eeg_image"]),
                "fmri": _trials_per_image(fmri_trials, part["fmri_image"]),
            }
            for split, part in parts.items()
        },
    }


def near_duplicates(pairs: pd.DataFrame, training: pd.DataFrame, *, eeg: Embeddings, fmri: Embeddings) -> int:
    """Count pairs with a picture that nearly equals a picture of a training pair.

    Parameters
    ----------
    pairs, training : columns eeg_image, fmri_image.
    eeg, fmri : as in `audit_split`.
    """
    seen = np.concatenate([eeg.of(training["eeg_image"]), fmri.of(training["fmri_image"])])
    own = (eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"]))
    return int(np.logical_or(*(find_near_duplicates(features, seen) for features in own)).sum())


def overlap(eeg: pd.DataFrame, *, training: pd.Series, test: pd.Series) -> float | None:
    """Return the share of test trials whose second overlaps a training trial's in the same raw file.

    Parameters
    ----------
    eeg : trials: image, partition, session, onset (samples at 1000 Hz).
    training, test : ids of the pictures.

    Returns
    -------
    0 to 1; None when an onset is unknown.
    """
    used = eeg[eeg["image"].isin(training) | eeg["image"].isin(test)]
    if (used["onset"] < 0).any():
        return None
    is_test = used["image"].isin(test)
    n_overlapping = 0
    for _, file in used.groupby(["session", "partition"]):
        onsets = np.sort(file.loc[~is_test[file.index], "onset"].to_numpy())
        queries = file.loc[is_test[file.index], "onset"].to_numpy()
        first = np.searchsorted(onsets, queries - WINDOW, side="right")
        n_overlapping += int((first < np.searchsorted(onsets, queries + WINDOW, side="left")).sum())
    return n_overlapping / int(is_test.sum())


def _trials_per_image(trials: pd.DataFrame, images: pd.Series) -> dict[str, int]:
    """Count the pictures (value) that have so many trials (key)."""
    counts = trials["image"].value_counts().reindex(images, fill_value=0).value_counts().sort_index()
    return {str(n_trials): int(n_images) for n_trials, n_images in counts.items()}
