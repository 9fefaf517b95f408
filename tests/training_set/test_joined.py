"""The training sets of several people read as one: the same bytes, each picture's embedding once."""

import numpy as np
import pytest
from helpers.planted import N_CHANNELS, planted_lmdb, planted_people

from brain2image.core.errors import InputError
from brain2image.datasets.channel_names import shared_channels
from brain2image.datasets.splines import TEN_FIVE, template
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.channel_views import channel_matrix
from brain2image.training_set.items import item_targets, list_items
from brain2image.training_set.joined import FIRST_OF_SET, JoinedReader, open_training_set
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import person_responses, read_pairs, read_training_targets


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return planted_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def joined(paths):
    return open_training_set(paths)


def test_one_training_set_is_read_as_it_is(paths):
    assert type(open_training_set(paths[0])) is type(open_training_set(paths[:1])) is LMDBReader
    assert open_training_set(paths[0]).people == ("things-01",)


def test_every_trial_is_its_persons(paths, joined):
    assert joined.people == ("things-01", "things-02", "things-03")
    assert joined.eeg_index["trial"].tolist() == list(range(len(joined.eeg_index)))
    for person, path in enumerate(paths):
        own, index = LMDBReader(path), joined.eeg_index[joined.eeg_index["person"] == person]
        chosen = index["trial"].to_numpy()[[5, 0, 7]]
        np.testing.assert_array_equal(joined.read("eeg", chosen), own.read("eeg", [5, 0, 7]))
        assert index["image"].tolist() == own.eeg_index["image"].tolist()
    mixed = joined.read("eeg", [200, 0, 400])
    np.testing.assert_array_equal(mixed[1], LMDBReader(paths[0]).eeg(0))


def test_embeddings_belong_to_nobody_and_are_there_once(paths, joined):
    own = LMDBReader(paths[0])
    assert joined.fmri_index["image"].tolist() == own.fmri_index["image"].tolist()
    assert joined.predicted_index["image"].is_unique
    np.testing.assert_array_equal(joined.read("fmri", [3, 1]), own.read("fmri", [3, 1]))
    np.testing.assert_array_equal(read_training_targets(joined), read_training_targets(own))


def test_items_pairs_and_batches_are_of_all_people(paths, joined):
    items = list_items(joined, "train", targets="predicted", pictures="all")
    assert items.groupby("person")["image"].nunique().tolist() == [52, 52, 52]
    assert len(item_targets(joined, items)) == 3 * 52
    for person, path in enumerate(paths):
        theirs, own = read_pairs(joined, "val"), read_pairs(path, "val")
        np.testing.assert_array_equal(theirs.eeg[theirs.table["person"] == person], own.eeg)
        expected = person_responses(LMDBReader(path), items[items["person"] == 0].assign(person=0))
        np.testing.assert_allclose(person_responses(joined, items)[person], expected[0], atol=1e-6)
    held, read = (AlignmentDataset(joined, "train", memory_limit_gb=limit) for limit in (1.0, 0.0))
    for name, values in held[[0, 130, 250]].items():
        np.testing.assert_array_equal(values, read[[0, 130, 250]][name])
    assert held[[0, 130, 250]]["person"].tolist() == [0, 1, 2]


def test_the_memory_counts_everybody(paths, joined):
    size = 1e-9 * 4 * 200 * N_CHANNELS * 3 * 40
    assert AlignmentDataset(paths[0], "train", memory_limit_gb=1.2 * size).in_memory
    assert not AlignmentDataset(joined, "train", memory_limit_gb=1.2 * size).in_memory


def test_what_does_not_fit_together_is_refused(paths, tmp_path):
    with pytest.raises(
        InputError, match="expected training sets of different people, got things-01, things-01"
    ):
        JoinedReader([paths[0], paths[0]])
    other = planted_lmdb(tmp_path, unit="uV").rename(tmp_path / "things-04_subj01.lmdb")
    with pytest.raises(InputError, match=r"things-04.*expected unit whitened, as .*things-01.*, got uV"):
        JoinedReader([paths[0], other])


CAP = ["E5", "E0", "E3", "E7"]


@pytest.fixture(scope="module")
def of_two_sets(tmp_path_factory):
    """Somebody with all channels, and somebody with another cap who saw another set of pictures."""
    folder, found = tmp_path_factory.mktemp("sets"), []
    people = {
        "things-01": {"notch": [50.0], "reference": "Fz"},
        "toy-01": {"cap": CAP, "picture_set": "toy", "notch": [60.0], "reference": "CMS"},
    }
    for name, options in people.items():
        (folder / name).mkdir()
        path = planted_lmdb(folder / name, unit="whitened", person=1, **options)
        found.append(path.rename(folder / f"{name}_subj01.lmdb"))
    return found


def test_people_with_different_caps_share_the_channels_that_both_have(of_two_sets):
    joined = open_training_set(of_two_sets)
    assert joined.meta["channels"] == ["E0", "E3", "E5", "E7"]  # in the order of the first
    whole, part = map(LMDBReader, of_two_sets)
    trials = [0, len(whole.eeg_index)]
    expected = whole.eeg(0)[[0, 3, 5, 7]]
    np.testing.assert_array_equal(joined.read("eeg", trials)[0], expected)
    np.testing.assert_array_equal(joined.read("eeg", trials)[1], part.eeg(0)[[1, 2, 0, 3]])
    np.testing.assert_array_equal(expected, part.eeg(0)[[1, 2, 0, 3]])  # one person's EEG, by two caps
    assert AlignmentDataset(joined, "train")[[0]]["eeg"].shape == (1, 4, 200)


def test_eeg_of_two_places_lacks_the_power_lines_of_both(of_two_sets):
    """New EEG is prepared so, and its reference compared with none."""
    attributes = open_training_set(of_two_sets).describe()["eeg"]
    assert (attributes["notch"], attributes["reference"]) == ([50.0, 60.0], "unknown")
    assert open_training_set(of_two_sets[:1]).describe()["eeg"]["reference"] == "Fz"


def test_a_tested_cap_leaves_out_what_it_lacks(of_two_sets):
    whole, part = of_two_sets
    assert open_training_set(whole, tested=[part]).meta["channels"] == ["E0", "E3", "E5", "E7"]
    with pytest.raises(InputError, match=r"toy-01.*the model, but E1, E2, E4, E6 are missing; set training"):
        LMDBReader(part, LMDBReader(whole).meta["channels"])
    with pytest.raises(InputError, match=r"channels that all people have .* got none"):
        shared_channels([["E0"], ["Fz"]])


def test_one_id_of_two_sets_is_two_pictures(of_two_sets):
    """Of what was scanned it is one picture, as both sets of EEG were matched with the same fMRI."""
    joined, own = open_training_set(of_two_sets), LMDBReader(of_two_sets[1])
    items = list_items(joined, "train", targets="predicted", pictures="all")
    assert not set(items[items["person"] == 0]["image"]) & set(items[items["person"] == 1]["image"])
    assert len(joined.fmri_index) == len(own.fmri_index)
    assert len(joined.predicted_index) == 2 * len(own.predicted_index)
    theirs = items[items["person"] == 1].reset_index(drop=True)
    of_own = theirs.assign(image=theirs["image"] - FIRST_OF_SET, person=0)
    np.testing.assert_array_equal(item_targets(joined, theirs), item_targets(own, of_own))


def test_clusters_of_two_sets_are_others(paths, of_two_sets):
    """K-means of one set has nothing to do with that of another; the people of one set share its clusters."""
    joined, own = open_training_set(of_two_sets), LMDBReader(of_two_sets[1])
    n_clusters = int(max(table["cluster"].max() for table in (own.pairs, own.pictures))) + 1
    for table, theirs in ((joined.pairs, own.pairs), (joined.pictures, own.pictures)):
        first, second = (table.loc[table["person"] == person, "cluster"].tolist() for person in (0, 1))
        assert first == theirs["cluster"].tolist()  # one planted world under two names
        assert second == (theirs["cluster"] + n_clusters).tolist()
    assert AlignmentDataset(joined, "train").n_clusters == 2 * n_clusters
    people = open_training_set(paths)
    assert set(people.pairs["cluster"]) == set(LMDBReader(paths[0]).pairs["cluster"])


def test_clusters_of_two_data_sets_that_showed_the_same_pictures_are_others(paths, tmp_path):
    other = tmp_path / "toy-01_subj01.lmdb"
    other.hardlink_to(paths[1])
    joined = open_training_set([paths[0], other])
    first, second = (set(joined.pairs.loc[joined.pairs["person"] == person, "cluster"]) for person in (0, 1))
    assert not first & second
    assert set(joined.pairs["eeg_image"]) == set(LMDBReader(paths[0]).pairs["eeg_image"])


def test_interpolated_channels_are_those_of_splines():
    """A field that is smooth over the head is found again where an electrode is missing."""
    names = ["Fz", "Cz", "Pz", "Oz", "C3", "C4", "P3", "P4", "F3", "F4", "O1", "O2"]
    positions = template(TEN_FIVE).get_positions()["ch_pos"]
    field = np.array([positions[name] @ [0.5, 1.0, 0.3] for name in names], np.float32)
    own = [name for name in names if name != "Pz"]
    matrix = channel_matrix(own, names, interpolates=True, source="x")
    found = matrix @ field[[names.index(name) for name in own]]
    np.testing.assert_array_equal(np.delete(found, 2), np.delete(field, 2))
    assert abs(found[2] - field[2]) < 0.1 * field.std()
    assert shared_channels([own, ["Pz", "Oz"]], interpolates=True) == [*own, "Pz"]
