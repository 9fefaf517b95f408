"""A data set of one's own, from one file beside the config to scores and figures."""

import re
import shutil

import numpy as np
import pandas as pd
import yaml
from helpers.checkouts import ROOT, TINY, clone
from helpers.dry_runs import run_snakemake

TOY = ROOT / "tests" / "helpers" / "toy_dataset.py"


def test_a_data_set_of_ones_own_runs(tiny_run, pool, tmp_path, rng):
    """On the tiny run's NSD files as if they had been downloaded: nothing of those is made again."""
    checkout = clone(tiny_run, tmp_path / "checkout")
    shutil.copy(TOY, checkout / "toy.py")
    (checkout / "mine").mkdir()
    np.save(checkout / "mine" / "toy-01.npy", rng.normal(size=(60, 8, 200)) * 10)
    config = yaml.safe_load((checkout / TINY).read_text())
    del config["simulate"]
    config |= {
        "datasets": ["toy.py"],
        "brains": ["toy-01_subj01"],
        "data": {"nsd": "results/raw/nsd", "toy_eeg": "mine", "toy_pictures": "results/raw/things/images"},
        "baselines": ["ridge"],
    }
    (checkout / "toy.yaml").write_text(yaml.safe_dump(config))
    targets = [
        "results/runs/toy-01_subj01/ridge/metrics.json",
        "results/figures/toy_subj01/pairs.svg",
        "results/figures/toy-01/channels.svg",
    ]
    status, text = pool.apply(run_snakemake, (checkout, *targets), {"config": "toy.yaml"})
    assert status == 0, text
    assert all((checkout / target).is_file() for target in targets)
    made = set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", text, re.MULTILINE))
    assert "repack_eeg" in made
    assert not {"repack_fmri", "project_fmri"} & made
    pairs = pd.read_parquet(checkout / "results/pairs/toy_subj01.parquet")
    assert pairs["eeg_image"].min() >= 100
