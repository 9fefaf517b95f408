"""What a split of the pairs shares between its parts, in numbers."""

from typing import Any

import numpy as np
import pandas as pd

from brain2image.splits import SPLITS

WINDOW = 1000  # samples at 1000 Hz: a trial is the second after its picture's onset


def audit_split(
    pairs: pd.DataFrame,
    *,
    things: pd.DataFrame,
    nsd: pd.DataFrame,
    eeg: pd.DataFrame,
    fmri: pd.DataFrame,
) -> dict[str, Any]:
    """Count what the training and the test pairs have in common.

    Parameters
    ----------
    pairs : columns things_image, nsd_image, split.
    things : THINGS pictures: image, concept, partition.
    nsd : NSD pictures: image, shared1000.
    eeg : trials of the EEG: image, session (-1: unknown), onset (sample in its raw file, -1: unknown).
    fmri : trials of the fMRI: image.

    Returns
    -------
    n_pairs : number of pairs of each split.
    ridge_fitted_targets : share of each split's pairs whose NSD picture MindEye2's ridge was fitted on, which
        are all but the shared 1,000 (Scotti et al., ICML 2024).
    overlapping_test_trials : share of the test pairs' EEG trials that share raw samples with a trial of a
        training pair; None where the EEG's source does not say when its trials were.
    shared_with_training : number of val and test pairs whose THINGS picture, NSD picture or concept is that
        of a training pair.
    trials_per_image : for each split, how many of its pictures have how many EEG and fMRI trials.
    """
    concepts = things.set_index("image")["concept"]
    pairs = pairs.assign(
        concept=concepts[pairs["things_image"]].to_numpy(),
        fitted=~nsd.set_index("image")["shared1000"][pairs["nsd_image"]].to_numpy(),
    )
    parts = {split: pairs[pairs["split"] == split] for split in SPLITS}
    keys = {"things_images": "things_image", "nsd_images": "nsd_image", "concepts": "concept"}
    return {
        "n_pairs": {split: len(part) for split, part in parts.items()},
        "ridge_fitted_targets": {split: float(part["fitted"].mean()) for split, part in parts.items()},
        "overlapping_test_trials": overlap(
            eeg.merge(things[["image", "partition"]], on="image"),
            training=parts["train"]["things_image"],
            test=parts["test"]["things_image"],
        ),
        "shared_with_training": {
            split: {
                name: int(parts[split][key].isin(parts["train"][key]).sum()) for name, key in keys.items()
            }
            for split in SPLITS[1:]
        },
        "trials_per_image": {
            split: {
                "eeg": _trials_per_image(eeg, part["things_image"]),
                "fmri": _trials_per_image(fmri, part["nsd_image"]),
            }
            for split, part in parts.items()
        },
    }


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
