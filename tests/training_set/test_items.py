"""What is learned from: every combination of targets and pictures, and how much each item counts."""

import numpy as np
import pytest
from helpers.small_lmdb import write_from, write_sources, write_whole

from brain2image.config import load_config
from brain2image.core.errors import InputError
from brain2image.training_set.items import (
    COLUMNS,
    describe_items,
    encode_items,
    item_targets,
    item_weights,
    list_items,
)
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("lmdb"))


@pytest.fixture(scope="module")
def reader(sources):
    return LMDBReader(write_whole(sources))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    ("targets", "pictures"),
    [
        ("measured", "paired"),
        ("predicted", "paired"),
        ("predicted", "all"),
        ("both", "paired"),
        ("both", "all"),
    ],
)
def test_items_of_every_combination(reader, sources, split, targets, pictures):
    items = list_items(reader, split, targets=targets, pictures=pictures)
    assert list(items) == COLUMNS
    assert items.index.tolist() == list(range(len(items)))
    own = sources[3][sources[3]["split"] == split]
    measured, predicted = (items[items["kind"] == kind] for kind in ("measured", "predicted"))
    pairs = own.rename(columns={"eeg_image": "image"})
    if targets == "predicted":
        assert measured.empty
    else:
        names = [name for name in COLUMNS if name not in ("kind", "person")]
        assert measured[names].to_numpy().tolist() == pairs[names].to_numpy().tolist()
    if targets == "measured":
        assert predicted.empty
        return
    known = reader.pictures.set_index("image")
    if pictures == "all" and split == "train":
        expected = set(known.index[known["is_learnable"]])
        assert own["eeg_image"].iloc[0] not in expected  # nearly equals a tested picture
        assert len(expected - set(own["eeg_image"])) == 4
    else:
        expected = set(own["eeg_image"])
    assert predicted["image"].is_unique
    assert set(predicted["image"]) == expected
    assert (predicted["fmri_image"] == -1).all()
    assert (predicted["similarity"] == 1).all()
    for row in predicted.itertuples():
        assert (row.concept, row.cluster) == tuple(known.loc[row.image, ["concept", "cluster"]])


def test_no_item_shows_a_picture_of_another_split(reader):
    judged = set(reader.pictures.loc[reader.pictures["split"] != "train", "image"])
    items = list_items(reader, "train", targets="both", pictures="all")
    assert not set(items["image"]) & judged


def test_targets_are_those_of_their_kind(reader, sources):
    items = list_items(reader, "train", targets="both", pictures="all").sample(frac=1, random_state=0)
    items = items.reset_index(drop=True)  # kinds mixed
    found = item_targets(reader, items)
    assert found.dtype == np.float32
    _, targets, pairs = read_pairs(reader.path, "train")
    for row in items.itertuples():
        if row.kind == "measured":
            expected = targets[pairs["eeg_image"] == row.image][0]
        else:
            place = reader.predicted_index.loc[reader.predicted_index["image"] == row.image, "trial"]
            expected = reader.read("predicted", place)[0]
        np.testing.assert_array_equal(found[row.Index], expected)


def test_eeg_is_encoded_item_by_item(reader, monkeypatch):
    items = list_items(reader, "train")
    expected = read_pairs(reader.path, "train").eeg
    sizes = []

    def encode(eeg):
        sizes.append(len(eeg))
        return eeg[:, 0]

    for block, calls in ((256, [8]), (3, [3, 3, 2])):
        sizes.clear()
        monkeypatch.setattr("brain2image.training_set.items.BLOCK", block)
        np.testing.assert_array_equal(encode_items(reader, items, encode), expected[:, 0])
        assert sizes == calls


def test_measured_targets_count_as_asked(reader):
    items = list_items(reader, "train", targets="both", pictures="all")
    is_measured = (items["kind"] == "measured").to_numpy()
    weights = item_weights(items, measured=3.0)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(weights[is_measured], 3 * weights[~is_measured][0], rtol=1e-6)
    np.testing.assert_allclose(weights[~is_measured], weights[~is_measured][0], rtol=1e-6)
    np.testing.assert_array_equal(item_weights(items), np.ones(len(items)))


@pytest.mark.parametrize("targets", ["measured", "both"])
def test_pairs_count_by_their_similarity(reader, targets):
    items = list_items(reader, "train", targets=targets, pictures="paired")
    weights, is_measured = item_weights(items, similarity=2.0), (items["kind"] == "measured").to_numpy()
    assert weights.mean() == pytest.approx(1, rel=1e-6)
    alike = items["similarity"].to_numpy()[is_measured]
    expected = np.ones(len(items))
    expected[is_measured] = (alike / alike.mean()) ** 2
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-6)
    # of a training on measured pairs alone their common weight has no effect
    if targets == "measured":
        np.testing.assert_allclose(item_weights(items, measured=9.0, similarity=2.0), weights, rtol=1e-6)


def test_similarities_of_zero_or_less_count_nothing(reader):
    items = list_items(reader, "train").assign(similarity=[-0.1, 0.0, *[0.5] * 6])
    np.testing.assert_allclose(item_weights(items, similarity=1.0), [0, 0, *[8 / 6] * 6], rtol=1e-6)
    np.testing.assert_array_equal(item_weights(items), np.ones(8))


def test_what_was_learned_from_is_described(reader):
    items = list_items(reader, "train", targets="both", pictures="all")
    described = {"targets": "both", "people": ["things-01"], "n_pictures": 12, "n_items": 19}
    assert describe_items(reader, items, "both") == described


def test_a_training_set_without_predictions_says_so(tmp_path):
    reader = LMDBReader(write_from(write_sources(tmp_path)))
    message = r"expected predicted embeddings for training\.targets 'both', got none; build it again"
    with pytest.raises(InputError, match=message):
        list_items(reader, "train", targets="both")


def test_a_training_set_of_pairs_alone_says_so(sources):
    reader = LMDBReader(write_from(sources, predicted=sources[0] / "predicted.h5"))
    assert len(list_items(reader, "train", targets="predicted")) == 8
    with pytest.raises(InputError, match="expected pictures that may be learned from, got none"):
        list_items(reader, "train", targets="predicted", pictures="all")


def test_all_pictures_have_no_measured_target():
    with pytest.raises(InputError, match="pictures 'all' needs targets 'predicted' or 'both'") as caught:
        load_config({"training": {"targets": "measured", "pictures": "all"}})
    assert len(str(caught.value).splitlines()) == 1
