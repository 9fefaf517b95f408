"""The CLIP features of the pictures in place of the fMRI."""

import numpy as np
import pytest
from helpers.planted import planted_lmdb

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.clip_targets import ClipTargets
from brain2image.training_set.items import item_targets, list_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs, read_training_targets


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return LMDBReader(planted_lmdb(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def pictures(reader):
    """Features of all pictures, and of one that nobody saw."""
    images = np.append(reader.pictures["image"], 999)
    features = np.random.default_rng(0).standard_normal((len(images), 5)).astype(np.float32)
    return Embeddings(images, features, "clip.npz", "a model")


def test_every_picture_is_its_own_partner(reader, pictures):
    view = ClipTargets(reader, pictures)
    for split in ("val", "test"):
        pairs, own = read_pairs(view, split), read_pairs(reader, split)
        np.testing.assert_array_equal(pairs.eeg, own.eeg)
        np.testing.assert_array_equal(pairs.targets, pictures.of(own.table["eeg_image"]))
        assert pairs.table["fmri_image"].tolist() == own.table["eeg_image"].tolist()
    training = reader.pairs_of("train")["eeg_image"]
    np.testing.assert_array_equal(read_training_targets(view), pictures.of(training.unique()))
    assert view.describe()["fmri"] == {"clip": "a model"}
    assert view.describe()["predicted"] is None


def test_all_pictures_are_learned_from_and_no_tested_one(reader, pictures):
    view = ClipTargets(reader, pictures)
    items = list_items(view, "train", targets="clip", pictures="all")
    expected = list_items(reader, "train", targets="predicted", pictures="all")
    assert items["image"].tolist() == expected["image"].tolist()
    np.testing.assert_array_equal(item_targets(view, items), pictures.of(items["image"]))
    tested = set(reader.pairs_of("test")["eeg_image"])
    assert not tested & set(view.predicted_index["image"])
    batch = AlignmentDataset(view, "train", targets="clip", pictures="all")[[0]]
    np.testing.assert_array_equal(batch["target"][0], pictures.of(batch["image"].numpy())[0])


def test_a_picture_without_features_is_refused(reader, pictures):
    few = pictures._replace(image=pictures.image[5:], features=pictures.features[5:])
    with pytest.raises(InputError, match=r"clip\.npz: expected features of all \d+ pictures .* 5 have none"):
        ClipTargets(reader, few)
