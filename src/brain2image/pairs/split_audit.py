"""What a split of the pairs shares between its parts, and what a run's numbers depend on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brain2image.formats.tables import pick_rows
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import find_near_duplicates
from brain2image.pairs.overlap import overlapping
from brain2image.pairs.splits import SPLITS, count_passed_over


class Stored(NamedTuple):
    """What a training set holds, from `lmdb_store.LMDBReader`."""

    pairs: pd.DataFrame  # eeg_image, fmri_image, split
    pictures: pd.DataFrame  # image, split of the EEG's pictures
    eeg_trials: pd.DataFrame  # image, session (-1: unknown), onset (sample of its raw file, -1: unknown)
    fmri_trials: pd.DataFrame  # image
    overlapping_trials: dict[str, int] | None  # n_dropped of n_trials; None: nobody knows
    eeg_attributes: Mapping[str, Any]  # of the EEG: raw_sfreq (Hz, of the onsets), whiten, clip


def audit_split(
    pairs: pd.DataFrame,
    *,
    stored: Stored,
    eeg_pictures: pd.DataFrame,
    fmri_pictures: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    candidates: pd.DataFrame,
    is_ridge_fitted: bool,
    is_exact: bool,
    encoder_images: Sequence[int] | None,
) -> dict[str, Any]:
    """Count what test pairs have in common with all that is learned from.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split, before pairs without an EEG trial were left out.
    stored : what the training set holds.
    eeg_pictures : image, concept, partition.
    fmri_pictures : image, shared1000.
    eeg, fmri : embeddings of the pictures of both sets.
    candidates : columns eeg_image, fmri_image; all pairs that could have been chosen, best first.
    is_ridge_fitted : whether the ridge was fitted on fMRI pictures; a simulated one was fitted on none.
    is_exact : whether the EEG's and the fMRI's people saw the very same pictures.
    encoder_images : ids of the fMRI pictures that the picture encoder was fitted on; None where nobody learns
        from its predictions.

    Returns
    -------
    is_exact : as given.
    n_pairs : number of pairs of each split.
    n_passed_over : number of candidates that are in no split though a worse one is.
    n_without_eeg : number of pairs of a split of whose picture this person has no EEG trial.
    n_pictures : number of EEG pictures that are learned from, those of the training pairs and all others.
    ridge_fitted_targets : share of each split's pairs whose fMRI picture MindEye2's ridge was fitted on:
        all but the shared 1,000 (Scotti et al., ICML 2024).
    overlapping_test_trials : share of the test pairs' EEG trials that share raw samples with a trial that is
        learned from; None where the EEG's source does not say when its trials were.
    whitened_by_test : share of the test pairs whose EEG was among that by which the EEG was whitened, or by
        whose amplitudes it was clamped: all of the pictures that the EEG's authors meant for training.
    overlapping_trials : how many of all training trials were left out because of such an overlap, see
        `lmdb_build.write_lmdb`.
    shared_with_training : number of val and test pairs whose EEG picture or concept is that of a picture that
        is learned from, or whose fMRI picture is that of a training pair.
    near_duplicates : number of val and test pairs with a picture whose CLIP cosine with a picture that is
        learned from, of either set, is 0.95 or more; the same picture counts, too.
    picture_encoder : number of val and test pairs whose fMRI picture the picture encoder was fitted on
        (``pictures``), and of those with a picture that nearly equals one of these (``near_duplicates``);
        None without one.
    trials_per_image : for each split, how many of its pictures have how many EEG and fMRI trials.
    """
    kept = stored.pairs.assign(
        concept=_concepts(eeg_pictures, stored.pairs["eeg_image"]),
        fitted=is_ridge_fitted & ~_is_shared(fmri_pictures, stored.pairs["fmri_image"]),
    )
    parts = {split: kept[kept["split"] == split] for split in SPLITS}
    learned = stored.pictures.loc[stored.pictures["split"] == "train", "image"]
    known = {
        "EEG pictures": ("eeg_image", learned),
        "fMRI pictures": ("fmri_image", parts["train"]["fmri_image"]),
        "concepts": ("concept", _concepts(eeg_pictures, learned)),
    }
    seen = np.concatenate([eeg.of(learned), fmri.of(parts["train"]["fmri_image"])])
    return {
        "is_exact": is_exact,
        "n_pairs": {split: len(part) for split, part in parts.items()},
        "n_passed_over": count_passed_over(candidates, pairs),
        "n_without_eeg": len(pairs) - len(kept),
        "n_pictures": len(learned),
        "ridge_fitted_targets": {split: float(part["fitted"].mean()) for split, part in parts.items()},
        "overlapping_test_trials": _overlapping_share(
            stored, eeg_pictures, test=parts["test"]["eeg_image"], learned=learned
        ),
        "whitened_by_test": _whitened_share(stored, eeg_pictures, parts["test"]["eeg_image"]),
        "overlapping_trials": stored.overlapping_trials,
        "shared_with_training": {
            split: {name: int(parts[split][key].isin(values).sum()) for name, (key, values) in known.items()}
            for split in SPLITS[1:]
        },
        "near_duplicates": {
            split: _count_near_duplicates(parts[split], seen, eeg=eeg, fmri=fmri) for split in SPLITS[1:]
        },
        "picture_encoder": _audit_encoder(parts, encoder_images, eeg=eeg, fmri=fmri),
        "trials_per_image": {
            split: {
                "eeg": _trials_per_image(stored.eeg_trials, part["eeg_image"]),
                "fmri": _trials_per_image(stored.fmri_trials, part["fmri_image"]),
            }
            for split, part in parts.items()
        },
    }


def _audit_encoder(
    parts: Mapping[str, pd.DataFrame], images: Sequence[int] | None, *, eeg: Embeddings, fmri: Embeddings
) -> dict[str, dict[str, int]] | None:
    """Count pairs with a picture that the picture encoder was fitted on, and those with a near one."""
    if images is None:
        return None
    seen = fmri.of(images)
    return {
        split: {
            "pictures": int(parts[split]["fmri_image"].isin(images).sum()),
            "near_duplicates": _count_near_duplicates(parts[split], seen, eeg=eeg, fmri=fmri),
        }
        for split in SPLITS[1:]
    }


def _concepts(pictures: pd.DataFrame, images: pd.Series) -> np.ndarray:
    return pick_rows(pictures, images, source="the table of the EEG's pictures")["concept"].to_numpy()


def _is_shared(pictures: pd.DataFrame, images: pd.Series) -> np.ndarray:
    return pick_rows(pictures, images, source="the table of the fMRI's pictures")["shared1000"].to_numpy()


def _count_near_duplicates(
    pairs: pd.DataFrame, seen: np.ndarray, *, eeg: Embeddings, fmri: Embeddings
) -> int:
    """Count pairs with a picture that nearly equals one of those whose features are ``seen``."""
    own = (eeg.of(pairs["eeg_image"]), fmri.of(pairs["fmri_image"]))
    return int(np.logical_or(*(find_near_duplicates(features, seen) for features in own)).sum())


def _overlapping_share(
    stored: Stored, pictures: pd.DataFrame, *, test: pd.Series, learned: pd.Series
) -> float | None:
    """Return the share of test trials whose second overlaps that of a trial that is learned from."""
    trials = stored.eeg_trials
    shown = pick_rows(pictures, trials["image"], source="the table of the EEG's pictures")
    placed = trials.assign(partition=shown["partition"].to_numpy())
    is_test = placed["image"].isin(test)
    is_learned = placed["image"].isin(learned)
    found = overlapping(placed[is_test], placed[is_learned], sfreq=stored.eeg_attributes.get("raw_sfreq"))
    return None if found is None else float(found.mean())


def _whitened_share(stored: Stored, pictures: pd.DataFrame, test: pd.Series) -> float:
    """Return the share of test pictures by whose EEG all EEG was whitened or clamped, without labels."""
    recipe = stored.eeg_attributes
    if recipe.get("whiten", "none") == "none" and not recipe.get("clip", 0):
        return 0.0
    shown = pick_rows(pictures, test, source="the table of the EEG's pictures")
    return float((shown["partition"] == "train").mean())


def _trials_per_image(trials: pd.DataFrame, images: pd.Series) -> dict[str, int]:
    """Count the pictures (value) that have so many trials (key)."""
    counts = trials["image"].value_counts().reindex(images, fill_value=0).value_counts().sort_index()
    return {str(n_trials): int(n_images) for n_trials, n_images in counts.items()}
