"""What a split of the pairs shares between its parts, and what a run's numbers depend on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brain2image.errors import InputError
from brain2image.matching import unit_rows
from brain2image.splits import SPLITS
from brain2image.tables import find_rows

WINDOW = 1000  # samples at 1000 Hz: a trial is the second after its picture's onset
NEAR_DUPLICATE = 0.95  # CLIP cosine from which two pictures count as versions of one another
FINDINGS = ("leaks", "caveats", "unknown")  # the lists of what `audit_run` found
TOLERANCE = 1e-3  # of the targets' deviation; what float32 and another order of summing may change in a mean


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
    pairs : columns things_image, nsd_image, split.
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
    keys = {"things_images": "things_image", "nsd_images": "nsd_image", "concepts": "concept"}
    return {
        "n_pairs": {split: len(part) for split, part in parts.items()},
        "n_left_out": n_matched - len(pairs),
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
        "near_duplicates": {
            split: near_duplicates(parts[split], parts["train"], things=things, nsd=nsd, clip=clip)
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
    pairs, training : columns things_image, nsd_image.
    things, nsd, clip : as in `audit_split`.
    """

    def embeddings(part: pd.DataFrame) -> list[np.ndarray]:
        tables = {"things": things, "nsd": nsd}
        rows = [pd.Index(tables[name]["image"]).get_indexer(part[f"{name}_image"]) for name in tables]
        return [unit_rows(clip[name][own]) for name, own in zip(tables, rows, strict=True)]

    seen = np.concatenate(embeddings(training))
    nearest = [(own @ seen.T).max(axis=1) for own in embeddings(pairs)]
    return int((np.maximum(*nearest) >= NEAR_DUPLICATE).sum())


# What of `audit_split` the audit of a run looks at.
SPLIT_KEYS = ("shared_with_training", "near_duplicates", "ridge_fitted_targets", "overlapping_test_trials")


def audit_run(
    split: Mapping[str, Any],
    *,
    target_dependence: float,
    target_mean: np.ndarray,
    training_targets: np.ndarray,
    best_epoch: int | None,
    history: pd.DataFrame | None,
) -> dict[str, Any]:
    """What the numbers of one run depend on besides the EEG of its test pairs.

    Parameters
    ----------
    split : what `audit_split` returned.
    target_dependence : largest change of a prediction when the test targets were shuffled.
    target_mean : (n_features,) float32, the mean on which the run centres.
    training_targets : (n_pairs, n_features) float32.
    best_epoch, history : epoch whose weights a network kept, and its table ``epoch, val_loss``; None for a
        baseline, which has no checkpoints.

    Returns
    -------
    ``split``; ``target_dependence``; ``statistics_fitted_on`` (train, or other where the mean is not that of
    the training pairs); ``checkpoint_chosen_on`` (validation, or other where another epoch has a lower
    validation loss; None for a baseline); and the names of all findings: ``leaks``, by which answers or test
    pictures reached the training; ``caveats``, which make test pairs differ from new ones; ``unknown``, what
    could not be looked at.
    """
    deviation = np.abs(target_mean - training_targets.mean(axis=0)).max()
    is_from_training = deviation <= TOLERANCE * training_targets.std()
    chosen_on = None
    if history is not None:
        if best_epoch not in set(history["epoch"]):
            raise InputError(
                f"history.csv: expected epoch {best_epoch}, whose weights config.json says were kept, got "
                f"{len(history)} epochs without it; delete both and run again"
            )
        best = history["epoch"][history["val_loss"].idxmin()]
        chosen_on = "validation" if best == best_epoch else "other"
    names = {
        "leaks": {
            **{
                f"test {name} in training": n > 0 for name, n in split["shared_with_training"]["test"].items()
            },
            "near duplicates of training pictures": split["near_duplicates"]["test"] > 0,
            "targets in predictions": target_dependence > 0,
            "statistics not of the training pairs": not is_from_training,
            "checkpoint not chosen on validation": chosen_on == "other",
        },
        "caveats": {
            "ridge-fitted test targets": split["ridge_fitted_targets"]["test"] > 0,
            "raw EEG samples shared with training": (split["overlapping_test_trials"] or 0) > 0,
        },
        "unknown": {"raw EEG samples shared with training": split["overlapping_test_trials"] is None},
    }
    return {
        "split": dict(split),
        "target_dependence": float(target_dependence),
        "statistics_fitted_on": "train" if is_from_training else "other",
        "checkpoint_chosen_on": chosen_on,
        **{finding: [name for name in names[finding] if names[finding][name]] for finding in FINDINGS},
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
