"""The training sets of several people read as one: the same bytes, each picture's embedding once."""

import numpy as np
import pytest
from helpers.planted import N_CHANNELS, planted_lmdb, planted_people

from brain2image.core.errors import InputError
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.items import item_targets, list_items
from brain2image.training_set.joined import JoinedReader, open_training_set
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
