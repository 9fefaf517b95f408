"""What may be trained on without meeting what is tested."""

import logging

import numpy as np
import pandas as pd
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs import duplicates
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.duplicates import find_near_duplicates
from brain2image.pairs.training_pictures import choose_training_pictures, keep_chosen


@pytest.fixture
def tables():
    """Ten pictures of five concepts, the last of which is the authors' test; three pairs, one of a split."""
    pictures = pd.DataFrame(
        {
            "image": np.arange(10) + 100,
            "concept": np.repeat(["ant", "bed", "cup", "dog", "elk"], 2),
            "partition": np.repeat(["train", "test"], [8, 2]),
        }
    )
    pairs = pd.DataFrame(
        {"eeg_image": [100, 102, 104], "fmri_image": [0, 1, 2], "split": ["train", "val", "test"]}
    )
    features = np.eye(13, dtype=np.float32)
    eeg = Embeddings(pictures["image"].to_numpy(), features[:10].copy(), "eeg.npz")
    return pictures, pairs, eeg, Embeddings(np.arange(3), features[10:].copy(), "fmri.npz")


def test_concepts_of_val_and_test_and_the_authors_test_pictures_are_left_out(tables, caplog):
    caplog.set_level(logging.INFO)
    chosen = choose_training_pictures(*tables)
    assert list(chosen["image"]) == [100, 101, 106, 107]
    assert list(chosen["concept"]) == ["ant", "ant", "dog", "dog"]
    assert "8 training pictures: 4 left out as their concept" in caplog.text
    assert "0 as near duplicates" in caplog.text


@pytest.mark.parametrize("copied", [0, 6])  # of a training pair, of no pair
@pytest.mark.parametrize(("side", "original"), [("eeg", 2), ("eeg", 4), ("fmri", 1), ("fmri", 2)])
def test_near_duplicates_of_either_picture_of_val_and_test_pairs_are_left_out(tables, copied, side, original):
    _, _, eeg, fmri = tables
    eeg.features[copied] = 3 * {"eeg": eeg, "fmri": fmri}[side].features[original]
    assert set(choose_training_pictures(*tables)["image"]) == {100, 101, 106, 107} - {100 + copied}


def test_no_picture_to_train_on_is_one_line(tables):
    pictures, pairs, eeg, fmri = tables
    left = pictures[pictures["concept"].isin(["ant", "bed", "cup"])]
    with pytest.raises(InputError, match="got none of 6 training pictures: 6 left out"):
        choose_training_pictures(left, pairs.assign(split="test"), eeg, fmri)


@pytest.mark.parametrize("block", [3, 1000])
def test_near_duplicates_equal_the_whole_matrix(rng, monkeypatch, block):
    monkeypatch.setattr(duplicates, "BLOCK_ROWS", block)
    features, others = (rng.standard_normal((n, 3)).astype(np.float32) for n in (50, 40))
    lengths = np.outer(np.linalg.norm(features, axis=1), np.linalg.norm(others, axis=1))
    expected = ((features @ others.T) / lengths >= 0.95).any(axis=1)
    assert 0 < expected.sum() < 50
    np.testing.assert_array_equal(find_near_duplicates(features, others), expected)


def test_where_all_pictures_are_pairs_those_that_may_not_be_learned_from_are_left_out(tables, caplog):
    caplog.set_level(logging.INFO)
    pairs = pd.DataFrame({"eeg_image": range(5), "split": ["train", "train", "train", "val", "test"]})
    kept = keep_chosen(pairs, pd.DataFrame({"image": [0, 2]}))
    assert kept["eeg_image"].tolist() == [0, 2, 3, 4]
    assert "1 of 5 pairs left out" in caplog.text
    with pytest.raises(InputError, match="got none: all 3 nearly equal"):
        keep_chosen(pairs, pd.DataFrame({"image": [3]}))
