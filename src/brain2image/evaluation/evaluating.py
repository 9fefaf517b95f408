"""Everything that is known of one run's predictions: scores, and the audit of what they depend on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.constants.target_kinds import CLIP
from brain2image.evaluation.beyond import score_beyond_pictures
from brain2image.evaluation.cluster_probe import probe_clusters, prototypes
from brain2image.evaluation.people_audit import OtherSets, audit_people
from brain2image.evaluation.predictions import Predictions, read_predictions
from brain2image.evaluation.run_audit import SPLIT_KEYS, audit_run
from brain2image.evaluation.scores import EMBEDDING, evaluate
from brain2image.evaluation.statistics import shuffle_answers
from brain2image.formats.hdf5 import open_trials, read_rows
from brain2image.formats.tables import find_rows, read_result, read_table
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.training_set.clip_targets import ClipTargets
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_training_targets, target_means

TRAINING = ("best_epoch", "network_share")


def evaluate_run(
    predictions: str | Path,
    lmdb: str | Path,
    audit: str | Path,
    *,
    config: str | Path | None,
    history: str | Path | None,
    predicted: str | Path | None,
    clip: Sequence[str | Path] = (),
    learned: Sequence[str | Path],
    others: Mapping[str, Sequence[str]] | None = None,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Score the predictions of a run, and audit them.

    Parameters
    ----------
    predictions : ``predictions.npz``.
    lmdb : the training set.
    audit : what `split_audit.audit_split` found, as JSON.
    config : of a network or a baseline, None of a ceiling.
    history : of a network's training; None of others.
    predicted : HDF5 with the picture encoder's ``predicted_embedding`` of the EEG's pictures; None where
        nobody learns from it.
    clip : embeddings of the pictures, of a run that learned from these and no fMRI.
    learned : the training sets that it learned from, of whomsoever.
    others : of a run that learned from other sets of pictures, the files that `OtherSets.read` takes.
    n_permutations, seed : see `scores.evaluate`.

    Returns
    -------
    What `scores.evaluate` returns (where no fMRI was learned from the rows of level image, as level
    ``field``), ``people`` (whose EEG was learned from), ``calibration`` (n_pictures and n_trials of one, or
    None), ``training`` (best epoch and the network's share; None of baselines), ``is_field``, ``confusion``
    (see `cluster_probe`),
    ``learned_from`` (in words) and ``audit``, see `run_audit.audit_run`.
    """
    content = read_predictions(predictions)
    record = read_result(config, ["learned_from", *(TRAINING if history else ())]) if config else {}
    readers, own = [LMDBReader(path) for path in learned], LMDBReader(lmdb)
    training = {key: record[key] for key in TRAINING} if history else None
    reader = _learned(readers, record["learned_from"]["people"] if config else own.people, clip)
    found = audit_run(
        read_result(audit, SPLIT_KEYS),
        target_dependence=float(content.target_dependence),
        target_mean=content.target_mean,
        training_targets=read_training_targets(reader),
        best_epoch=training["best_epoch"] if training else None,
        history=read_table(history, ["epoch", "val_loss"]) if history else None,
        # a ceiling knows more than the picture's features, so that it must find more
        beyond=_score_beyond(
            content, predicted if config and not clip else None, n_permutations=n_permutations, seed=seed
        ),
        people=audit_people(
            own.pairs_of("test"),
            own.people[0],
            readers,
            own=own.meta["picture_set"],
            people=record.get("people", "own"),
            is_calibrated="calibration" in record,
            others=OtherSets.read(others) if others else None,
        ),
    )
    space = CLIP if clip else EMBEDDING
    scores = evaluate(content, n_permutations=n_permutations, seed=seed, space=space)
    row, confusion = _probe(content, _with_targets(own, clip), n_permutations=n_permutations, seed=seed)
    return scores | {
        "scores": [*(_as_field(scores["scores"]) if clip else scores["scores"]), {"space": space, **row}],
        "is_field": bool(clip),
        "confusion": confusion,
        "people": _in_a_word(record.get("people", "own")),
        "calibration": record.get("calibration"),
        "training": training,
        "learned_from": _in_words(record["learned_from"]) if config else "what was simulated",
        "audit": found,
    }


def _learned(readers: Sequence[LMDBReader], people: Sequence[str], clip: Sequence[str | Path]) -> LMDBReader:
    """Open what a run was trained on as one; a calibration changes no statistics of the embeddings."""
    reader = open_training_set([reader.path for reader in readers if reader.people[0] in people])
    return _with_targets(reader, clip)


def _with_targets(reader: LMDBReader, clip: Sequence[str | Path]) -> LMDBReader:
    """Return a reader whose targets are CLIP features where these are given."""
    return ClipTargets(reader, read_embeddings(clip)) if clip else reader


def _as_field(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark scores against CLIP features, which are not to be read beside those against fMRI."""
    return [row | {"level": "field"} for row in scores if row["level"] == "image"]


def _probe(
    content: Predictions, own: LMDBReader, *, n_permutations: int, seed: int
) -> tuple[dict[str, Any], list[list[int]]]:
    """Find in which cluster predictions lie, by the tested person's training pairs.

    Whoever is learned from: clusters of another set of pictures are others.
    """
    trained, of_picture = own.pairs_of("train"), own.pairs_of("test").set_index("eeg_image")["cluster"]
    targets = target_means(own, trained["fmri_image"]) - content.target_mean
    n_clusters = int(own.pairs["cluster"].max()) + 1
    concepts, orders = _shuffles(content, n_permutations=n_permutations, seed=seed)
    row, confusion = probe_clusters(
        content.predictions - content.target_mean,
        of_picture[content.eeg_image].to_numpy(),
        prototypes(targets, trained["cluster"].to_numpy(), n_clusters=n_clusters),
        concepts=concepts,
        orders=orders,
        seed=seed,
    )
    return {"n_trials": "all", **row}, confusion


def _shuffles(content: Predictions, *, n_permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the test pairs' concepts, and orders that shuffle these."""
    concepts = pd.factorize(content.concept)[0]
    return concepts, shuffle_answers(concepts, n_permutations=n_permutations, seed=seed)


def _in_a_word(people: str | list[str]) -> str:
    return people if isinstance(people, str) else " ".join(people)


def _in_words(learned_from: dict[str, Any]) -> str:
    """Say what was learned from: ``predicted, 14060 pictures, 3 people``."""
    n_people, n_scanned = len(learned_from["people"]), learned_from.get("n_scanned")
    text = f"{learned_from['targets']}, {learned_from['n_pictures']} pictures"
    if n_scanned:  # what was measured of those that were scanned, whoever saw them
        text = f"scanned, {n_scanned} pictures"
    return f"{text}, {n_people} people" if n_people > 1 else text


def _score_beyond(
    content: Predictions, predicted: str | Path | None, *, n_permutations: int, seed: int
) -> dict[str, float] | None:
    if predicted is None:
        return None
    with open_trials(predicted, "predicted_embedding", ("n_images", "n_features")) as (data, images):
        rows = find_rows(images["image"], content.eeg_image, source=predicted)
        expected = np.stack([read_rows(data, int(row)) for row in rows])
    _, orders = _shuffles(content, n_permutations=n_permutations, seed=seed)
    return score_beyond_pictures(content.predictions, content.targets, expected, orders)
