"""Data sets say of themselves what the workflow needs; one of one's own is one file."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.checkouts import ROOT, TINY, clone
from helpers.dry_runs import run_snakemake

from brain2image.core.errors import InputError
from brain2image.datasets.base import EEGDataset
from brain2image.datasets.registry import list_datasets, load_datasets

TOY = ROOT / "tests" / "helpers" / "toy_dataset.py"


def test_the_built_in_data_sets():
    assert list_datasets() == ["alljoined", "things", "nsd"]
    assert list_datasets([str(TOY)]) == ["alljoined", "things", "toy", "nsd"]


@pytest.mark.parametrize("dataset", load_datasets((str(TOY),)).values(), ids=lambda dataset: dataset.name)
def test_a_data_set_keeps_the_contract(dataset):
    for name in ("title", "picture_title", "folders", "people", "releases", "picture_reader"):
        assert getattr(dataset, name), name
    if isinstance(dataset, EEGDataset):
        assert all(person.startswith(f"{dataset.name}-") for person in dataset.people)
    labels = {dataset.label(person) for person in dataset.people}
    assert len(labels) == len(dataset.people)
    assert all("{person}" in "".join(paths) for paths in dataset.releases.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DATASET = 1", "expected DATASET, an EEGDataset or FMRIDataset"),
        (
            "from brain2image.datasets.things_eeg2.things_eeg2 import DATASET",
            "there is a data set 'things' already",
        ),
    ],
)
def test_a_file_without_a_data_set(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        load_datasets((str(tmp_path / "mine.py"),))


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="expected a Python file"):
        load_datasets((str(tmp_path / "none.py"),))


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
