"""No data set is learned from by pictures on which another one is tested."""

import numpy as np
import pandas as pd
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.tested_pictures import leave_out_tested, read_tested, write_tested
from brain2image.pairs.training_pictures import choose_training_pictures

AXES = np.eye(30, dtype=np.float32)


@pytest.fixture
def sides():
    """Six pairs of pictures that are all unlike."""
    pairs = pd.DataFrame({"eeg_image": range(6), "fmri_image": range(10, 16)})
    pairs["split"] = ["train"] * 3 + ["val", "test", "test"]
    eeg = Embeddings(np.arange(8), AXES[:8], "eeg.npz", "a model")
    return pairs, eeg, Embeddings(np.arange(10, 16), AXES[10:16], "fmri.npz", "a model")


def test_both_pictures_of_judged_pairs_are_kept(sides, tmp_path):
    write_tested(tmp_path / "a.npz", *sides, splits=["val", "test"])
    eeg, fmri = read_tested([tmp_path / "a.npz"], clip="a model")
    np.testing.assert_array_equal(eeg, AXES[3:6])
    np.testing.assert_array_equal(fmri, AXES[13:16])
    eeg, _ = read_tested([tmp_path / "a.npz"] * 2, clip="a model", test_only=True)
    np.testing.assert_array_equal(eeg, AXES[[4, 5, 4, 5]])
    with pytest.raises(InputError, match=r"a\.npz: expected features of another, got a model"):
        read_tested([tmp_path / "a.npz"], clip="another")
    assert [len(side) for side in read_tested([], clip="a model")] == [0, 0]
    write_tested(tmp_path / "b.npz", *sides, splits=["val"])  # nobody is tested on its test pairs
    np.testing.assert_array_equal(read_tested([tmp_path / "b.npz"], clip="a model")[0], AXES[3:4])


def test_pairs_that_another_data_set_is_tested_on_are_left_out(sides):
    """By the EEG's picture, by the fMRI's; those that are tested stay."""
    pairs, eeg, fmri = sides
    tested = AXES[[0, 12, 14, 29]] + 0.1 * AXES[20]
    kept = leave_out_tested(pairs, eeg, fmri, elsewhere=tested, tested=tested)
    assert kept["eeg_image"].tolist() == [1, 3, 4, 5]
    assert leave_out_tested(pairs, eeg, fmri, elsewhere=AXES[:0], tested=AXES[:0]) is pairs
    with pytest.raises(InputError, match="expected val pairs of other pictures"):
        leave_out_tested(pairs, eeg, fmri, elsewhere=AXES[[3]], tested=AXES[[3]])


def test_two_data_sets_may_be_validated_by_the_same_pictures(sides):
    """As two that showed the fMRI's own pictures draw the same ones; what is learned from goes."""
    pairs, eeg, fmri = sides
    kept = leave_out_tested(pairs, eeg, fmri, elsewhere=AXES[[1, 3]], tested=AXES[:0])
    assert kept["eeg_image"].tolist() == [0, 2, 3, 4, 5]


def test_pictures_that_another_data_set_is_tested_on_are_not_learned_from(sides):
    pictures = pd.DataFrame({"image": range(8), "concept": list("abcdefgh"), "partition": "train"})
    chosen = choose_training_pictures(pictures, *sides)
    assert chosen["image"].tolist() == [0, 1, 2, 6, 7]
    elsewhere = AXES[[1, 7]] + 0.1 * AXES[20]
    chosen = choose_training_pictures(pictures, *sides, elsewhere=elsewhere)
    assert chosen["image"].tolist() == [0, 2, 6]
