"""Whose pictures a run of several people knows: planted leaks are found."""

import pandas as pd
import pytest
from helpers.planted import planted_people

from brain2image.evaluation.people_audit import audit_people
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.lmdb_store import LMDBReader


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return [LMDBReader(path) for path in planted_people(tmp_path_factory.mktemp("people"), 2)]


@pytest.fixture
def test_pairs(readers):
    return readers[0].pairs_of("test")


def test_people_who_saw_the_same_split_share_nothing(readers, test_pairs):
    found = audit_people(test_pairs, "things-03", readers, people="others")
    assert found["learned_from"] == ["things-01", "things-02"]
    assert not found["knows_tested"]
    assert set(found["shared_with_training"].values()) == {0}


def test_pictures_that_another_person_learned_from_are_counted(readers, test_pairs):
    """As where the other person's pairs were divided in another way."""
    other = open_training_set(readers[1].path)
    moved = other.pictures["image"].isin(test_pairs["eeg_image"][:3])
    other.pictures.loc[moved, "split"] = "train"
    other.pairs.loc[other.pairs["fmri_image"] == test_pairs["fmri_image"].iloc[0], "split"] = "train"
    found = audit_people(test_pairs, "things-01", [other], people=["things-02"])
    assert found["shared_with_training"] == {"EEG pictures": 3, "concepts": 3, "fMRI pictures": 1}


def test_the_tested_person_is_known(readers, test_pairs):
    assert audit_people(test_pairs, "things-01", readers, people="all")["knows_tested"]
    assert isinstance(test_pairs, pd.DataFrame)
