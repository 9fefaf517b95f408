"""What the numbers of a run depend on besides its EEG."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError

FINDINGS = ("leaks", "caveats", "unknown")  # the lists of what `audit_run` found
TOLERANCE = 1e-3  # of the targets' deviation; what float32 and another order of summing may change in a mean
# What of `audit_split` the audit of a run looks at.
SPLIT_KEYS = (
    "is_exact",
    *("shared_with_training", "near_duplicates", "picture_encoder"),
    *("ridge_fitted_targets", "overlapping_test_trials", "overlapping_trials", "n_pictures"),
    "whitened_by_test",
)
ALPHA = 0.05


def audit_run(
    split: Mapping[str, Any],
    *,
    target_dependence: float,
    target_mean: np.ndarray,
    training_targets: np.ndarray,
    best_epoch: int | None,
    history: pd.DataFrame | None,
    beyond: Mapping[str, float] | None,
    people: Mapping[str, Any],
) -> dict[str, Any]:
    """Find out what the numbers of one run depend on besides the EEG of its test pairs.

    Parameters
    ----------
    split : what `audit_split` returned.
    target_dependence : largest change of a prediction when the test targets were shuffled.
    target_mean : (n_features,) float32, the mean on which the run centres.
    training_targets : (n_pairs, n_features) float32.
    best_epoch, history : epoch whose weights a network kept, and its table ``epoch, val_loss``; None for a
        baseline, which has no checkpoints.
    people : what `people_audit.audit_people` returned.
    beyond : what `beyond.score_beyond_pictures` found; None of a ceiling, and without a picture encoder.

    Returns
    -------
    ``split``; ``target_dependence``; ``statistics_fitted_on`` (train, or other where the mean is not that of
    the training pairs); ``checkpoint_chosen_on`` (validation, or other where another epoch has a lower
    validation loss; None for a baseline); ``beyond``; ``people``; and the names of all findings: ``leaks``,
    by which answers or test pictures reached the training; ``caveats``, which make test pairs differ from new
    ones; ``unknown``, what could not be looked at.
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
    leaks, caveats, unknown = _split_findings(split)
    leaks |= {
        "targets in predictions": target_dependence > 0,
        "test pairs in anybody's training": any(people["shared_with_training"].values()),
        "tested person in the training of others": _knows_too_much(people),
        "statistics not of the training pairs": not is_from_training,
        "checkpoint not chosen on validation": chosen_on == "other",
    }
    # of exact pairs it is a finding, as one picture may say more to two brains than what the picture encoder
    # makes of its CLIP features
    is_more = beyond is not None and beyond["p"] < ALPHA
    caveats |= {"more is found than pictures explain": is_more and not split["is_exact"]}
    names = dict(zip(FINDINGS, (leaks, caveats, unknown), strict=True))
    return {
        "split": dict(split),
        "target_dependence": float(target_dependence),
        "statistics_fitted_on": "train" if is_from_training else "other",
        "checkpoint_chosen_on": chosen_on,
        "beyond": beyond,
        "people": dict(people),
        **{finding: [name for name in names[finding] if names[finding][name]] for finding in FINDINGS},
    }


def _split_findings(split: Mapping[str, Any]) -> tuple[dict[str, bool], dict[str, bool], dict[str, bool]]:
    """Return which leaks, caveats and unknown things the split has."""
    encoder = (split["picture_encoder"] or {"test": {"pictures": 0, "near_duplicates": 0}})["test"]
    shared, overlapping = split["shared_with_training"]["test"], split["overlapping_test_trials"]
    leaks = {f"test {name} in training": n > 0 for name, n in shared.items()} | {
        "near duplicates of training pictures": split["near_duplicates"]["test"] > 0,
        "test fMRI pictures in the picture encoder": encoder["pictures"] > 0,
        "near duplicates of the picture encoder's pictures": encoder["near_duplicates"] > 0,
    }
    caveats = {
        "ridge-fitted test targets": split["ridge_fitted_targets"]["test"] > 0,
        "raw EEG samples shared with training": (overlapping or 0) > 0,
        "EEG whitened by test trials, too": split["whitened_by_test"] > 0,
    }
    return leaks, caveats, {"raw EEG samples shared with training": overlapping is None}


def _knows_too_much(people: Mapping[str, Any]) -> bool:
    """Tell whether a run of others learned from the tested person, other than by a calibration."""
    return people["people"] == "others" and people["knows_tested"] and not people["is_calibrated"]
