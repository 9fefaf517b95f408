"""People who saw the pictures of the fMRI, from raw files to scores, and learning from another data set."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.checkouts import changed_config, clone, copy_checkout
from helpers.dry_runs import dry_run, run_snakemake

from brain2image.formats.hdf5 import read_trial_table

BRAINS = "alljoined-01_subj01"
PATH = {"pooling": "none"}
CHANGES = {
    "brains": [BRAINS],
    "data.alljoined1": "results/raw/alljoined1",
    "runs": {
        "own": {"model": PATH},
        "cross": {"model": PATH, "people": ["things-01"]},
        "field": {"model": PATH, "training": {"targets": "clip"}},
    },
    "baselines": ["ridge"],
}
TARGETS = [f"results/runs/{BRAINS}/{run}/metrics.json" for run in ("own", "cross", "field")]


@pytest.fixture(scope="module")
def results(pool, tiny_run, tmp_path_factory):
    """Of the tiny run, which has all of THINGS, gone on with."""
    checkout = clone(tiny_run, tmp_path_factory.mktemp("exact") / "checkout")
    config = changed_config(checkout, CHANGES)
    status, text = pool.apply(run_snakemake, (checkout, *TARGETS), {"config": config})
    assert status == 0, text[-5000:]
    return checkout / "results"


def test_people_whom_only_a_run_names_are_simulated_too(pool, tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    content = {
        "data.alljoined1": "results/raw/alljoined1",
        "runs": {"cross": {"model": PATH, "people": ["alljoined-02"]}},
        "baselines": ["ridge"],
    }
    config = changed_config(checkout, content)
    jobs = pool.apply(dry_run, (checkout, "--configfile", config))
    assert {"simulate_alljoined/subj02", "simulate_expdesign", "repack_eeg/alljoined-02"} <= set(jobs)


def test_every_picture_that_both_saw_is_its_own_partner(results):
    pairs = pd.read_parquet(results / "pairs" / "alljoined_subj01.parquet")
    pictures = pd.read_parquet(results / "pictures" / "nsd.parquet")
    shared = set(pictures["image"][pictures["shared1000"]])
    assert (pairs["eeg_image"] == pairs["fmri_image"]).all() and (pairs["similarity"] == 1).all()
    scanned = set(read_trial_table(results / "fmri" / "subj01.h5")["image"])
    assert set(pairs["eeg_image"]) == shared & scanned
    is_tested = pairs["split"] == "test"
    assert not set(pairs["concept"][is_tested]) & set(pairs["concept"][~is_tested])


def test_no_audit_finds_a_leak(results):
    for run in ("own", "cross", "field"):
        audit = json.loads((results / "runs" / BRAINS / run / "metrics.json").read_text())["audit"]
        assert audit["leaks"] == [], run
        assert audit["split"]["is_exact"]
        # of the shared 1,000 MindEye2's ridge knows none
        assert set(audit["split"]["ridge_fitted_targets"].values()) == {0.0}
        assert ("near duplicates elsewhere" in audit["people"]["shared_with_training"]) == (run == "cross")


def test_a_run_from_another_data_set_hears_the_channels_of_both(results):
    config = json.loads((results / "runs" / "people_subj01" / "cross" / "config.json").read_text())
    assert len(config["eeg"]["channels"]) == 59
    assert config["learned_from"]["people"] == ["things-01"]
    whole = json.loads((results / "runs" / BRAINS / "own" / "config.json").read_text())
    assert len(whole["eeg"]["channels"]) == 64
    log = (results / "logs" / "cluster_pairs" / "things_subj01.log").read_text()
    assert "as a picture of theirs nearly equals one on which another data set is tested" in log


def test_scores_against_clip_features_stand_apart(results):
    folders = {run: results / "runs" / BRAINS / run for run in ("own", "field")}
    metrics = {run: json.loads((folder / "metrics.json").read_text()) for run, folder in folders.items()}
    levels = {run: {row["level"] for row in content["scores"]} for run, content in metrics.items()}
    assert levels == {"own": {"image", "transductive", "trial", "probe"}, "field": {"field", "probe"}}
    assert [metrics[run]["is_field"] for run in folders] == [False, True]
    own, field = (np.load(folder / "predictions.npz")["targets"] for folder in folders.values())
    assert own.shape[1] != field.shape[1]
