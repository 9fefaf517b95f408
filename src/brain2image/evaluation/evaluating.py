"""Everything that is known of one run's predictions: scores, and the audit of what they depend on."""

from pathlib import Path
from typing import Any

from brain2image.evaluation.predictions import read_predictions
from brain2image.evaluation.run_audit import SPLIT_KEYS, audit_run
from brain2image.evaluation.scores import evaluate
from brain2image.formats.tables import read_result, read_table
from brain2image.training_set.means import read_training_targets

TRAINING = ("best_epoch", "network_share")


def evaluate_run(
    predictions: str | Path,
    lmdb: str | Path,
    audit: str | Path,
    *,
    config: str | Path | None,
    history: str | Path | None,
    n_permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Score the predictions of a run, and audit them.

    Parameters
    ----------
    predictions : ``predictions.npz``.
    lmdb : the training set.
    audit : what `split_audit.audit_split` found, as JSON.
    config, history : of a network's training; None of baselines.
    n_permutations, seed : see `scores.evaluate`.

    Returns
    -------
    What `scores.evaluate` returns, ``training`` (best epoch and the network's share; None of baselines) and
    ``audit``, see `run_audit.audit_run`.
    """
    content = read_predictions(predictions)
    training = {key: read_result(config, TRAINING)[key] for key in TRAINING} if config else None
    found = audit_run(
        read_result(audit, SPLIT_KEYS),
        target_dependence=float(content.target_dependence),
        target_mean=content.target_mean,
        training_targets=read_training_targets(lmdb),
        best_epoch=training["best_epoch"] if training else None,
        history=read_table(history, ["epoch", "val_loss"]) if history else None,
    )
    scores = evaluate(content, n_permutations=n_permutations, seed=seed)
    return scores | {"training": training, "audit": found}
