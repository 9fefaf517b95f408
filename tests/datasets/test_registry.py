"""Data sets say of themselves what the workflow needs; one of one's own is one file."""

import pytest
from helpers.checkouts import ROOT

from brain2image.core.errors import InputError
from brain2image.datasets.base import EEGDataset
from brain2image.datasets.registry import list_datasets, load_datasets

TOY = ROOT / "tests" / "helpers" / "toy_dataset.py"  # tests/runs has a run of it


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
