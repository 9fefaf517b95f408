"""What a training learns from: EEG pictures, each with a measured or a predicted embedding."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import list_eeg_trials, list_trials, trial_means

Targets = Literal["measured", "predicted", "both", "clip"]
Pictures = Literal["paired", "all"]
BLOCK = 256  # items whose EEG is in memory at once
COLUMNS = ["person", "image", "kind", "fmri_image", "concept", "cluster", "similarity"]


def list_items(
    reader: LMDBReader, split: str, *, targets: Targets = "measured", pictures: Pictures = "paired"
) -> pd.DataFrame:
    """List the EEG pictures of a split, each with the kind of its target; with ``both`` a pair is two items.

    Parameters
    ----------
    split : ``train`` or ``val``.
    targets : ``measured``, the mean over the partner's repetitions; ``predicted``, what the picture encoder
        predicts of the EEG's own picture; ``both``; or ``clip``, of a `clip_targets.ClipTargets`.
    pictures : ``paired``, those of the pairs, or ``all`` that may be learned from. Of val always the pairs'.

    Returns
    -------
    person (its number among the reader's), image, kind (``measured`` or ``predicted``), fmri_image (of a
    predicted target -1), concept, cluster and similarity (of a predicted target 1).

    Raises
    ------
    InputError
        When there are none, or predictions are not stored.
    """
    pairs = reader.pairs_of(split).rename(columns={"eeg_image": "image"}).assign(kind="measured")
    if targets == "measured":
        return pairs[COLUMNS].reset_index(drop=True)
    if reader.predicted_index.empty:
        raise InputError(
            f"{reader.path}: expected predicted embeddings for training.targets {targets!r}, got none; build "
            "it again with them"
        )
    shown = reader.pictures[reader.pictures["image"].isin(pairs["image"])]
    if pictures == "all" and split == "train":
        shown = reader.pictures[reader.pictures["is_learnable"] & (reader.pictures["split"] == "train")]
    if shown.empty:
        raise InputError(f"{reader.path}: expected pictures that may be learned from, got none")
    predicted = shown.assign(kind="predicted", fmri_image=-1, similarity=1.0)[COLUMNS]
    parts = [predicted, pairs[COLUMNS]] if targets == "both" else [predicted]
    return pd.concat(parts, ignore_index=True)


def describe_items(reader: LMDBReader, items: pd.DataFrame, targets: Targets) -> dict[str, Any]:
    """Say what was learned from, as ``config.json`` does: targets, people, numbers of pictures and items."""
    return {
        "targets": targets,
        "people": list(reader.people),
        "n_pictures": int(items["image"].nunique()),
        "n_items": len(items),
    }


def item_targets(reader: LMDBReader, items: pd.DataFrame) -> np.ndarray:
    """Read the target of every item, (n_items, n_features) float32 in embedding units."""
    targets = np.empty((len(items), reader.meta["n_features"]), np.float32)
    for kind, rows in items.groupby("kind"):
        targets[rows.index] = trial_means(reader, *target_sources(reader, str(kind), rows))
    return targets


def target_sources(reader: LMDBReader, kind: str, items: pd.DataFrame) -> tuple[str, list[np.ndarray]]:
    """Name where the targets of items of one kind are stored, and their numbers."""
    if kind == "measured":
        return "fmri", list_trials(reader.fmri_index, items["fmri_image"])
    return "predicted", list_trials(reader.predicted_index, items["image"])


def item_weights(items: pd.DataFrame, *, measured: float = 1.0, similarity: float = 0.0) -> np.ndarray:
    """Return how much every item counts in the losses, (n_items,) float32 of mean 1.

    ``measured * (similarity of the pair / the pairs' mean) ** similarity`` of an item with a measured target,
    1 of one with a predicted target, divided by the mean.

    Parameters
    ----------
    items : of `list_items`.
    measured : of measured targets beside predicted ones.
    similarity : exponent; 0 counts all pairs alike.
    """
    is_measured = (items["kind"] == "measured").to_numpy()
    alike = items["similarity"].to_numpy(np.float64).clip(min=0)
    weights = np.ones(len(items))
    if is_measured.any():
        weights[is_measured] = measured * (alike[is_measured] / alike[is_measured].mean()) ** similarity
    return (weights / weights.mean()).astype(np.float32)


def encode_items(
    reader: LMDBReader,
    items: pd.DataFrame,
    encode: Callable[[np.ndarray], np.ndarray],
    *,
    centres: np.ndarray | None = None,
) -> np.ndarray:
    """Encode the mean EEG of every item, a block at a time, as what is encoded may be far smaller.

    Parameters
    ----------
    encode : from (n, n_channels, n_times) float32 to (n, n_inputs).
    centres : (n_people, n_channels, n_times) float32, what is subtracted of each person's EEG; None: nothing.

    Returns
    -------
    (n_items, n_inputs) of the encoder's type.
    """
    trials = list_eeg_trials(reader, items)
    person = items["person"].to_numpy()
    encoded = []
    for start in range(0, len(trials), BLOCK):
        rows = slice(start, start + BLOCK)
        eeg = trial_means(reader, "eeg", trials[rows])
        encoded.append(encode(eeg if centres is None else eeg - centres[person[rows]]))
    return np.concatenate(encoded)
