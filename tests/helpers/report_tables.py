"""Tables of results that the report is made of."""

import pandas as pd
from PIL import Image

PAIRS = ("things-01_subj01", "things-02_subj01")
CLEAN = {
    "whitened_by_test": 0.0,
    "is_exact": False,
    "n_pairs": {"train": 80, "val": 10, "test": 10},
    "n_passed_over": 37,
    "ridge_fitted_targets": {"train": 0.9, "val": 0.9, "test": 0.0},
    "overlapping_test_trials": 0.0,
    "shared_with_training": {"test": {"EEG pictures": 0, "fMRI pictures": 0, "concepts": 0}},
    "near_duplicates": {"val": 0, "test": 0},
    "picture_encoder": {"test": {"pictures": 0, "near_duplicates": 0}},
    "overlapping_trials": {"n_dropped": 12, "n_trials": 1234},
    "n_pictures": 90,
}
LEAKY = CLEAN | {
    "whitened_by_test": 1.0,
    "ridge_fitted_targets": {"train": 0.9, "test": 0.86},
    "overlapping_test_trials": 0.5,
    "shared_with_training": {"test": {"EEG pictures": 1, "fMRI pictures": 2, "concepts": 3}},
    "near_duplicates": {"test": 4},
    "picture_encoder": {"test": {"pictures": 1, "near_duplicates": 2}},
}
LEARNED_FROM = ("predicted, 80 pictures", "predicted, 90 pictures")  # of networks, of baselines
BOUNDS = {
    "eeg": {"n_images": 10, "top1": 0.2, "two_way": 0.8, "cosine": 0.1, "reliability": 0.24},
    "fmri": None,
    "rsa": None,
    "pairing": {"top1": 0.9, "two_way": 0.99} | {f"similarity_q{q:02d}": 0.8 for q in (5, 25, 50, 75, 95)},
}


def people_of(run):
    """Whose EEG a run learned from, by its name."""
    return next((people for people in ("others", "all") if f"_{people}" in run), "own")


def summary(pairs=PAIRS[:1], p=0.0005, **top1):
    rows = [
        {
            "brains": pair,
            "run": run,
            "seed": None if run.startswith("ridge") or run == "ceiling" else 0,
            "n_test": 10,
            "n_concepts": 8,
            "learned_from": "what was simulated"
            if run == "ceiling"
            else LEARNED_FROM[run in ("ridge", "pls")],
            "people": people_of(run),
            "n_calibration": int(run.partition("_cal-")[2]) if "_cal-" in run else None,
            "best_epoch": None if run in ("ridge", "ceiling") else 3,
            "network_share": None if run in ("ridge", "ceiling") else 0.5,
            "n_trials": "all",
            "level": "image",
            "space": "embedding",
            "direction": "forward",
            "n_gallery": 10,
            "metric": metric,
            "value": value,
            "chance": 0.1,
            "p": p,
            "low": value - 0.1,
            "high": value + 0.1,
            "share_of_ceiling": 0.5 if "ceiling" in top1 else None,
        }
        for pair in pairs
        for run, value in top1.items()
        for metric in ("top1", "mrr")
    ]
    return pd.DataFrame(rows)


def comparisons(difference, p_holm, pairs=PAIRS[:1], run="flatten", baseline="ridge"):
    row = {"run": run, "baseline": baseline, "metric": "top1", "difference": difference}
    bounds = {"low": difference - 0.05, "high": difference + 0.05}
    bounds |= {"p": p_holm, "p_floor": 0.001, "p_holm": p_holm}
    return pd.DataFrame([{"brains": pair, **row, **bounds} for pair in pairs])


def pictures(n):
    return [Image.new("RGB", (8, 8), (8 * i, 0, 0)) for i in range(n)]
