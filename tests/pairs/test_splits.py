"""Splits by concept: no concept in two, as many pairs as were asked for, only those tested that may be."""

import logging

import numpy as np
import pandas as pd
import pytest
from helpers.pair_tables import pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.pairs.splits import SPLITS, count_passed_over, draw_groups, keep_measured, split_pairs

N_THINGS, N_NSD, N_TEST_PARTITION = 1200, 1500, 40
SHARES = {"n_pairs": 500, "val": 0.1, "test": 0.1}


def draw_tables(seed, *, n_concepts=400, shared=0.15):
    """1,200 candidates, 40 pairs of the test partition, and the tables of their pictures."""
    rng = np.random.default_rng(seed)
    shown, tested = np.arange(N_THINGS), N_THINGS + np.arange(N_TEST_PARTITION)
    concepts = [f"c{i}" for i in rng.integers(0, n_concepts, N_THINGS)] + [f"t{i}" for i in tested]
    things = pd.DataFrame({"image": [*shown, *tested], "concept": concepts})
    nsd = pd.DataFrame({"image": 3 * np.arange(N_NSD), "shared1000": rng.random(N_NSD) < shared})
    is_shared = nsd["shared1000"].to_numpy()
    partners = rng.permutation(nsd["image"][is_shared])[:N_TEST_PARTITION]

    def pairs(eeg, fmri):
        return pd.DataFrame(
            {"eeg_image": eeg, "fmri_image": fmri, "similarity": np.linspace(0.9, 0.3, len(eeg))}
        )

    candidates = pairs(rng.permutation(shown), 3 * rng.permutation(N_NSD)[:N_THINGS])
    return candidates, pairs(tested[: len(partners)], partners), things, nsd


def sizes(split):
    return split["split"].value_counts().reindex(SPLITS).tolist()


@given(
    seed=st.integers(0, 1000),
    n_concepts=st.integers(30, 600),
    group_by=st.sampled_from(["image", "concept"]),
    test_from=st.sampled_from(["any", "shared1000", "test_partition"]),
)
@settings(max_examples=40, deadline=None)
def test_every_split_has_its_number_and_shares_nothing(seed, n_concepts, group_by, test_from):
    tables = draw_tables(seed, n_concepts=n_concepts)
    candidates, test_partition, things, nsd = tables
    options = SHARES | {"n_pairs": 300}
    split = split_pairs(*tables, **options, seed=seed, group_by=group_by, test_from=test_from)
    n_test = N_TEST_PARTITION if test_from == "test_partition" else 30
    assert sizes(split) == [240, 30, n_test]
    assert split["eeg_image"].is_unique
    assert split["fmri_image"].is_unique
    assert split["similarity"].is_monotonic_decreasing
    assert list(split) == [*candidates, "concept", "split"]
    assert split["concept"].tolist() == things.set_index("image")["concept"][split["eeg_image"]].tolist()
    if group_by == "concept":
        assert split.groupby("concept")["split"].nunique().max() == 1
    if test_from != "any":
        shared = nsd.set_index("image")["shared1000"]
        assert shared[split.loc[split["split"] == "test", "fmri_image"]].all()
    known = pd.concat([candidates, test_partition])[["eeg_image", "fmri_image"]]
    assert len(split.merge(known)) == len(split)


def test_training_pairs_are_the_best_that_share_nothing():
    tables = draw_tables(0)
    candidates, _, things, _ = tables
    split = split_pairs(*tables, **SHARES, seed=0, group_by="concept", test_from="shared1000")
    concept = things.set_index("image")["concept"]
    taken = set(concept[split.loc[split["split"] != "train", "eeg_image"]])
    free = candidates[~concept[candidates["eeg_image"]].isin(taken).to_numpy()]
    best = split.loc[split["split"] == "train", "eeg_image"].tolist()
    assert best == free["eeg_image"][:400].tolist()
    n_worst = candidates.index[candidates["eeg_image"] == best[-1]].item()
    n_passed_over = count_passed_over(candidates, split)
    assert n_passed_over == n_worst + 1 - 500 > 20


def test_test_pairs_are_drawn_from_the_best_and_from_more_only_where_there_are_too_few():
    tables = draw_tables(0, shared=0.3)  # 150 of the best 500 may be tested, 50 are
    options = SHARES | {"group_by": "concept", "test_from": "shared1000"}
    first, again, other = (split_pairs(*tables, **options, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    tested = [set(split.loc[split["split"] == "test", "eeg_image"]) for split in (first, other)]
    assert tested[0] != tested[1]
    best = set(tables[0]["eeg_image"][:500])
    assert tested[0] | tested[1] <= best
    few = draw_tables(0, shared=0.05)  # 25 of the best 500 and 60 of all
    tested = split_pairs(*few, **options, seed=0).query("split == 'test'")
    assert len(tested) == 50
    assert not set(tested["eeg_image"]) <= best


def test_pictures_of_the_test_partition_take_their_partners_from_training():
    candidates, test_partition, things, nsd = draw_tables(0)
    test_partition["fmri_image"] = candidates["fmri_image"][:N_TEST_PARTITION].to_numpy()
    tables = candidates, test_partition, things, nsd
    split = split_pairs(*tables, **SHARES, seed=0, group_by="image", test_from="test_partition")
    assert split["fmri_image"].is_unique
    assert set(split.loc[split["split"] == "test", "eeg_image"]) == set(test_partition["eeg_image"])
    trained = split.loc[split["split"] != "test", "eeg_image"]
    assert set(trained) == set(candidates["eeg_image"][40:490])
    assert count_passed_over(candidates, split) == 40


def test_without_a_number_all_candidates_are_divided():
    """As exact pairs are; only what shares a group with another split is left over."""
    candidates, test_partition, things, nsd = draw_tables(0)
    options = SHARES | {"n_pairs": None, "seed": 0, "group_by": "image"}
    split = split_pairs(candidates, test_partition[:0], things, nsd, **options, test_from="any")
    assert len(split) == len(candidates)
    shares = split["split"].value_counts() / len(split)
    assert shares.round(2).to_dict() == {"train": 0.8, "val": 0.1, "test": 0.1}


def test_auto_tests_what_there_is(caplog):
    caplog.set_level(logging.INFO)
    candidates, test_partition, things, nsd = draw_tables(3)
    none_shared, options = nsd.assign(shared1000=False), SHARES | {"seed": 0, "group_by": "concept"}
    tables = {
        "test_partition": (candidates, test_partition, things, nsd),
        "shared1000": (candidates, test_partition[:0], things, nsd),
        "any": (candidates, test_partition[:0], things, none_shared),
    }
    for kind, asked in tables.items():
        expected = split_pairs(*asked, **options, test_from=kind)
        pd.testing.assert_frame_equal(split_pairs(*asked, **options, test_from="auto"), expected)
        assert f"split.test_from: auto is {kind} here" in caplog.text


def test_beside_a_test_partition_all_candidates_are_learned_from_or_validated():
    candidates, *others = draw_tables(3, n_concepts=1200)
    options = SHARES | {"n_pairs": None, "seed": 0, "group_by": "image"}
    split = split_pairs(candidates, *others, **options, test_from="test_partition")
    n_train, n_val, n_test = sizes(split)
    assert (n_val, n_test) == (120, N_TEST_PARTITION)
    is_partner = candidates["fmri_image"].isin(others[0]["fmri_image"]).sum()
    assert n_train + n_val == len(candidates) - is_partner


def test_shortages_are_logged(caplog):
    caplog.set_level(logging.WARNING)
    few = draw_tables(0, shared=0.02)
    options = SHARES | {"seed": 0, "group_by": "concept"}
    n_tested = sizes(split_pairs(*few, **options, test_from="shared1000"))[2]
    assert 10 < n_tested < 50
    assert f"the test split has {n_tested} pairs instead of 50: there are no more" in caplog.text
    split = split_pairs(*few, **options | {"n_pairs": 1200}, test_from="any")
    assert f"the train split has {sizes(split)[0]} pairs instead of 960" in caplog.text


def test_what_is_lacking_is_named():
    candidates, test_partition, things, nsd = draw_tables(0)
    options = SHARES | {"seed": 0, "group_by": "concept"}
    none = test_partition[:0]
    with pytest.raises(InputError, match=r"none for test \(split.test_from: test_partition\);.* keeps no"):
        split_pairs(candidates, none, things, nsd, **options, test_from="test_partition")
    unshared = nsd.assign(shared1000=False)
    with pytest.raises(InputError, match=r"none for test \(split.test_from: shared1000\);.* take .*: any"):
        split_pairs(candidates, test_partition, things, unshared, **options, test_from="shared1000")
    with pytest.raises(InputError, match=r"matching.top_k = 1201 pairs of pictures, got 1200"):
        split_pairs(candidates, none, things, nsd, **options | {"n_pairs": 1201}, test_from="any")
    cats = things.assign(concept="cat")
    with pytest.raises(InputError, match=r"none for train and val .*; raise matching.top_k"):
        split_pairs(candidates, none, cats, nsd, **options, test_from="any")


def test_groups_are_drawn_whole_until_there_are_enough():
    pairs = pd.DataFrame({"group": list("aabbccdd")})
    rng = np.random.default_rng(0)
    drawn = draw_groups(pairs, 3, rng=rng)["group"].value_counts()
    assert sorted(drawn) == [1, 2]
    assert len(draw_groups(pairs, 9, rng=rng)) == 8


def test_pairs_without_a_trial_are_left_out_and_counted(caplog):
    pairs = pairs_of(6, 4)
    kept = keep_measured(pairs, pd.DataFrame({"image": [0, 0, 2, 3, 5]}))
    assert kept["eeg_image"].tolist() == [0, 2, 3, 5]
    assert "2 of 6 pairs are left out" in caplog.text
    with pytest.raises(InputError, match=r"got none for test \(2 of 6 pairs have no trial\)"):
        keep_measured(pairs, pd.DataFrame({"image": [0, 1, 2, 3]}))
