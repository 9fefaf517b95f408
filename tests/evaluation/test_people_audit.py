"""Whose pictures a run of several people knows: planted leaks are found."""

import numpy as np
import pandas as pd
import pytest
from helpers.planted import planted_lmdb, planted_people

from brain2image.evaluation.people_audit import OtherSets, audit_people
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.lmdb_store import LMDBReader


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return [LMDBReader(path) for path in planted_people(tmp_path_factory.mktemp("people"), 2)]


@pytest.fixture
def test_pairs(readers):
    return readers[0].pairs_of("test")


def test_people_who_saw_the_same_split_share_nothing(readers, test_pairs):
    found = audit_people(test_pairs, "things-03", readers, own="", people="others")
    assert found["learned_from"] == ["things-01", "things-02"]
    assert not found["knows_tested"]
    assert set(found["shared_with_training"].values()) == {0}


def test_pictures_that_another_person_learned_from_are_counted(readers, test_pairs):
    """As where the other person's pairs were divided in another way."""
    other = open_training_set(readers[1].path)
    moved = other.pictures["image"].isin(test_pairs["eeg_image"][:3])
    other.pictures.loc[moved, "split"] = "train"
    other.pairs.loc[other.pairs["fmri_image"] == test_pairs["fmri_image"].iloc[0], "split"] = "train"
    found = audit_people(test_pairs, "things-01", [other], own="", people=["things-02"])
    assert found["shared_with_training"] == {"EEG pictures": 3, "concepts": 3, "fMRI pictures": 1}


def embeddings(images, first):
    """Embeddings of pictures that are all unlike; a picture of another set has other features."""
    features = np.eye(200, dtype=np.float32)[first + np.arange(len(images))]
    return Embeddings(np.asarray(images), features, "clip.npz", "a model")


def test_pictures_of_another_set_are_known_by_their_looks(tmp_path, test_pairs):
    """One id is another picture there, so that only near duplicates of what is tested count."""
    path = planted_lmdb(tmp_path, picture_set="nsd").rename(tmp_path / "nsd-01_subj01.lmdb")
    reader = LMDBReader(path)
    seen = {"": embeddings(reader.pictures["image"], 0), "nsd": embeddings(reader.pictures["image"], 100)}
    scanned = embeddings(reader.pairs["fmri_image"], 100)
    tested = test_pairs["eeg_image"].to_numpy()
    others = OtherSets(seen[""].of(tested), scanned.of(test_pairs["fmri_image"]), seen, scanned)
    options = {"own": "", "people": ["nsd-01"], "others": others}
    shared = audit_people(test_pairs, "things-01", [reader], **options)["shared_with_training"]
    assert shared == {"EEG pictures": 0, "concepts": 0, "fMRI pictures": 0, "near duplicates elsewhere": 0}
    known = reader.pictures.loc[reader.pictures["split"] == "train", "image"][:2]
    others.eeg[:2] = seen["nsd"].of(known)
    shared = audit_people(test_pairs, "things-01", [reader], **options)["shared_with_training"]
    assert shared["near duplicates elsewhere"] == 2


def test_the_tested_person_is_known(readers, test_pairs):
    assert audit_people(test_pairs, "things-01", readers, own="", people="all")["knows_tested"]
    assert isinstance(test_pairs, pd.DataFrame)
