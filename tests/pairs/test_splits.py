"""Splits by concept: no concept in two, shares kept, only testable pairs tested."""

import logging

import numpy as np
import pandas as pd
import pytest
from helpers.pair_tables import pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.pairs.splits import SPLITS, assign_splits, keep_measured, split_pairs

concept_lists = st.lists(st.integers(0, 60), min_size=30, max_size=200).map(
    lambda ids: [f"concept{i}" for i in ids]
)


def assign(groups, *, seed=0, testable=None, fractions=(0.8, 0.1, 0.1)):
    testable = np.ones(len(groups), dtype=bool) if testable is None else np.asarray(testable)
    return assign_splits(groups, testable, fractions=dict(zip(SPLITS, fractions, strict=True)), seed=seed)


@given(concepts=concept_lists, seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_no_concept_is_in_two_splits_and_shares_are_kept(concepts, seed):
    largest = max(concepts.count(concept) for concept in set(concepts))
    try:
        split = assign(concepts, seed=seed)
    except InputError:
        assert largest > 0.1 * len(concepts) or len(set(concepts)) < 10
        return
    for concept in set(concepts):
        assert len({chosen for chosen, name in zip(split, concepts, strict=True) if name == concept}) == 1
    for name, fraction in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(np.sum(split == name) - fraction * len(concepts)) <= largest


@given(concepts=concept_lists, seed=st.integers(0, 100), data=st.data())
@settings(max_examples=60, deadline=None)
def test_only_testable_pairs_are_tested_and_their_groups_are_in_no_other_split(concepts, seed, data):
    testable = np.array(data.draw(st.lists(st.booleans(), min_size=len(concepts), max_size=len(concepts))))
    try:
        split = assign(concepts, seed=seed, testable=testable)
    except InputError:
        assert testable.sum() == 0 or len(set(concepts)) < 12
        return
    assert testable[split == "test"].all()
    tested = {name for chosen, name in zip(split, concepts, strict=True) if chosen == "test"}
    for chosen, name, may in zip(split, concepts, testable, strict=True):
        assert (name in tested) == (chosen == "test" or (chosen == "" and not may))
    rest = np.sum((split == "train") | (split == "val"))
    largest = max(concepts.count(concept) for concept in set(concepts))
    assert abs(np.sum(split == "val") - rest / 9) <= largest


def test_the_split_depends_on_the_seed_alone():
    concepts = [f"concept{i % 50}" for i in range(200)]
    first, again, other = (assign(concepts, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_empty_split_is_named():
    with pytest.raises(InputError, match=r"10 of them testable, leave val and test empty; raise"):
        assign(["cat"] * 10)
    with pytest.raises(InputError, match=r"0 of them testable, leave test empty"):
        assign([f"concept{i}" for i in range(100)], testable=np.zeros(100, bool))


@pytest.fixture
def pictures(rng):
    """1,000 pairs of 400 concepts, and the tables of their pictures."""
    things = pd.DataFrame({"image": np.arange(1200), "concept": [f"c{i % 400}" for i in range(1200)]})
    nsd = pd.DataFrame({"image": 3 * np.arange(1500), "shared1000": rng.random(1500) < 0.15})
    pairs = pd.DataFrame(
        {
            "eeg_image": rng.permutation(1200)[:1000],
            "fmri_image": 3 * rng.permutation(1500)[:1000],
            "similarity": np.linspace(0.9, 0.3, 1000),
        }
    )
    return pairs, things, nsd


SHARES = {"train": 0.8, "val": 0.1, "test": 0.1, "seed": 0}


def test_test_pairs_are_pictures_that_the_ridge_has_not_seen(pictures):
    pairs, things, nsd = pictures
    split = split_pairs(*pictures, **SHARES, group_by="concept", test_from="shared1000")
    shared = nsd.set_index("image")["shared1000"]
    assert shared[split.loc[split["split"] == "test", "fmri_image"]].all()
    assert 98 <= (split["split"] == "test").sum() <= 103
    concept = things.set_index("image")["concept"][split["eeg_image"]].to_numpy()
    assert split["split"].groupby(concept).nunique().max() == 1
    assert list(split) == [*pairs, "concept", "split"]
    assert 0 < len(pairs) - len(split) < 250  # pairs of tested concepts whose own picture is not shared
    counts = split["split"].value_counts()
    assert counts["train"] / counts["val"] == pytest.approx(8, rel=0.1)


def test_by_image_no_pair_is_left_out_and_a_shortage_is_logged(pictures, caplog):
    caplog.set_level(logging.WARNING)
    pairs, things, nsd = pictures
    split = split_pairs(*pictures, **SHARES, group_by="image", test_from="shared1000")
    assert len(split) == len(pairs)
    assert split["concept"].tolist() == [f"c{image % 400}" for image in split["eeg_image"]]
    assert split["split"].value_counts().to_dict() == {"train": 800, "val": 100, "test": 100}
    assert not caplog.records
    few = nsd.assign(shared1000=nsd["image"].isin(pairs["fmri_image"][:30]))
    split = split_pairs(pairs, things, few, **SHARES, group_by="image", test_from="shared1000")
    assert (split["split"] == "test").sum() == 30
    assert "the test split has 30 pairs instead of 100: only 30 pairs show one" in caplog.text


def test_pairs_without_a_trial_are_left_out_and_counted(caplog):
    pairs = pairs_of(6, 4)
    kept = keep_measured(pairs, pd.DataFrame({"image": [0, 0, 2, 3, 5]}))
    assert kept["eeg_image"].tolist() == [0, 2, 3, 5]
    assert "2 of 6 pairs are left out" in caplog.text
    with pytest.raises(InputError, match=r"got none for test \(2 of 6 pairs have no trial\)"):
        keep_measured(pairs, pd.DataFrame({"image": [0, 1, 2, 3]}))
