"""What a split of the pairs shares between its parts, and what a run's numbers depend on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brain2image.formats.tables import find_rows
from brain2image.pairs.matching import unit_rows
from brain2image.pairs.splits import SPLITS

WINDOW = 1000  # samples at 1000 Hz: a trial is the second after its picture's onset
NEAR_DUPLICATE = 0.95  # CLIP cosine from which two pictures count as versions of one another


def audit_split(
    pairs: pd.DataFrame,
    *,
    things: pd.DataFrame,
    nsd: pd.DataFrame,
    eeg: pd.DataFrame,
    fmri: pd.DataFrame,
    clip: Mapping[str, np.ndarray],
    n_matched: int,
    is_ridge_fitted: bool,
) -> dict[str, Any]:
    """Count what the training and the test pairs have in common.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split.
    things : THINGS pictures: image, concept, partition.
    nsd : NSD pictures: image, shared1000.
    eeg : trials of the EEG: image, session (-1: unknown), onset (sample in its raw file, -1: unknown).
    fmri : trials of the fMRI: image.
    clip : ``things`` and ``nsd``, (n_images, n_features) float32 embeddings in the order of their tables.
    n_matched : number of pairs before they were split.
    is_ridge_fitted : whether the ridge was fitted on NSD pictures; a simulated one was fitted on none.

    Returns
    -------
    n_pairs : number of pairs of each split.
    n_left_out : number of matched pairs that are in no split.
    ridge_fitted_targets : share of each split's pairs whose NSD picture MindEye2's ridge was fitted on, which
        are all but the shared 1,000 (Scotti et al., ICML 2024).
    overlapping_test_trials : share of the test pairs' EEG trials that share raw samples with a trial of a
        training pair; None where the EEG's source does not say when its trials were.
    shared_with_training : number of val and test pairs whose THINGS picture, NSD picture or concept is that
        of a training pair.
    near_duplicates : number of val and test pairs with a picture whose CLIP cosine with a picture of a
        training pair, in either set, is 0.95 or more; the same picture counts, too.
    trials_per_image : for each split, how many of its pictures have how many EEG and fMRI trials.
    """
    rows = {
        name: find_rows(table["image"], pairs[f"{name}_image"], source=f"{name}/images.parquet")
        for name, table in (("things", things), ("nsd", nsd))
    }
    pairs = pairs.assign(
        concept=things["concept"].to_numpy()[rows["things"]],
        fitted=is_ridge_fitted & ~nsd["shared1000"].to_numpy()[rows["nsd"]],
    )
    parts = {split: pairs[pairs["split"] == split] for split in SPLITS}
    keys = {"things_images": "eeg_image", "nsd_images": "fmri_image", "concepts": "concept"}
    return {
        "n_pairs": {split: len(part) for split, part in parts.items()},
        "n_left_out": n_matched - len(pairs),
        "ridge_fitted_targets": {split: float(part["fitted"].mean()) for split, part in parts.items()},
        "overlapping_test_trials": overlap(
            eeg.merge(things[["image", "partition"]], on="image"),
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
            split: near_duplicates(parts[split], parts["train"], things=things, nsd=nsd, clip=clip)
            for split in SPLITS[1:]
        },
        "trials_per_image": {
            split: {
                "eeg": _trials_per_image(eeg, part["eeg_image"]),
                "fmri": _trials_per_image(fmri, part["fmri_image"]),
            }
            for split, part in parts.items()
        },
    }


def near_duplicates(
    pairs: pd.DataFrame,
    training: pd.DataFrame,
    *,
    things: pd.DataFrame,
    nsd: pd.DataFrame,
    clip: Mapping[str, np.ndarray],
) -> int:
    """Number of pairs with a picture that nearly equals a picture of a training pair.

    Parameters
    ----------
    pairs, training : columns eeg_image, fmri_image.
    things, nsd, clip : as in `audit_split`.
    """

    def embeddings(part: pd.DataFrame) -> list[np.ndarray]:
        tables = {"things": things, "nsd": nsd}
        rows = [pd.Index(tables[name]["image"]).get_indexer(part[f"{name}_image"]) for name in tables]
        return [unit_rows(clip[name][own]) for name, own in zip(tables, rows, strict=True)]

    seen = np.concatenate(embeddings(training))
    nearest = [(own @ seen.T).max(axis=1) for own in embeddings(pairs)]
    return int((np.maximum(*nearest) >= NEAR_DUPLICATE).sum())


def overlap(eeg: pd.DataFrame, *, training: pd.Series, test: pd.Series) -> float | None:
    """Share of the test trials whose window of one second overlaps a training trial's in the same raw file.

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
    """Number of pictures (value) that have so many trials (key)."""
    counts = trials["image"].value_counts().reindex(images, fill_value=0).value_counts().sort_index()
    return {str(n_trials): int(n_images) for n_trials, n_images in counts.items()}
