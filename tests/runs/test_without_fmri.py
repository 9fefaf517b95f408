"""EEG and pictures alone, without a file of NSD: the numbers that papers on EEG and pictures print."""

import json
import shutil

import numpy as np
import pandas as pd
import yaml
from helpers.checkouts import TINY, clone
from helpers.dry_runs import run_snakemake

BRAINS = "things-01_pictures"
CHANGES = {
    "brains": [BRAINS],
    "baselines": [],
    "runs": {"field": {"model": {"pooling": "none"}, "training": {"targets": "clip"}}},
    "decoding": {},
}


def test_eeg_is_held_against_clip_features_where_there_is_no_fmri(tiny_run, pool, tmp_path):
    """On the EEG and the pictures of the tiny run as if they had been downloaded."""
    checkout = clone(tiny_run, tmp_path / "checkout")
    shutil.rmtree(checkout / "results/raw/nsd")
    config = yaml.safe_load((checkout / TINY).read_text()) | CHANGES
    del config["simulate"]
    (checkout / "alone.yaml").write_text(yaml.safe_dump(config))
    folder = f"results/runs/{BRAINS}/field"
    targets = [f"{folder}/metrics.json", f"results/pairs/{BRAINS}.bounds.json"]
    status, text = pool.apply(run_snakemake, (checkout, *targets), {"config": "alone.yaml"})
    assert status == 0, text
    metrics = json.loads((checkout / folder / "metrics.json").read_text())
    assert metrics["is_field"] and {row["level"] for row in metrics["scores"]} == {"field", "probe"}
    assert metrics["audit"]["leaks"] == []
    pairs = pd.read_parquet(checkout / "results/pairs/things_pictures.parquet")
    assert (pairs["eeg_image"] == pairs["fmri_image"]).all()
    tested, learned = (set(pairs["concept"][pairs["split"] == split]) for split in ("test", "train"))
    assert learned and tested and not tested & learned
    with np.load(checkout / folder / "predictions.npz") as content:
        assert content["targets"].shape == content["predictions"].shape
    bounds = json.loads((checkout / targets[1]).read_text())
    assert (bounds["fmri"], bounds["rsa"]) == (None, None)
    assert bounds["eeg"]["n_images"] == metrics["n_test"]
