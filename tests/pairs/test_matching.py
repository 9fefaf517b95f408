"""One-to-one matching against sorting the full matrix, splits and clusters against their promises."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.pairs import matching
from brain2image.pairs.clustering import cluster_pairs
from brain2image.pairs.embeddings import Embeddings, read_embeddings, write_embeddings
from brain2image.pairs.matching import match_images, match_one_to_one, unit_rows
from brain2image.pairs.splits import SPLITS, assign_splits, keep_measured, split_pairs


def sort_the_full_matrix(a, b, top_k):
    """The obvious way: sort all n_a × n_b similarities, take what is free."""
    similarity = unit_rows(a) @ unit_rows(b).T
    order = sorted(np.ndindex(similarity.shape), key=lambda cell: (-similarity[cell], *cell))
    pairs = []
    for i, j in order:
        if len(pairs) < top_k and all(i != other[0] and j != other[1] for other in pairs):
            pairs.append((i, j))
    return np.array(pairs)


@given(
    n_a=st.integers(1, 25),
    n_b=st.integers(1, 25),
    share=st.floats(0.01, 1),
    n_hubs=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_equals_sorting_the_full_matrix(n_a, n_b, share, n_hubs, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n_a, 6)).astype(np.float32), rng.standard_normal((n_b, 6)).astype(np.float32)
    a[:n_hubs] = b[0] + 0.1 * a[:n_hubs]  # several rows that want the same partner
    top_k = max(1, int(share * min(n_a, n_b)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "BLOCK_ROWS", 4)  # several blocks, and several passes
        patch.setattr(matching, "CANDIDATES_PER_PAIR", 1)
        pairs, similarity = match_one_to_one(a, b, top_k=top_k)
    np.testing.assert_array_equal(pairs, sort_the_full_matrix(a, b, top_k))
    assert np.all(np.diff(similarity) <= 0)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == top_k


def test_equal_similarities_go_by_row_then_column():
    a = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    pairs, _ = match_one_to_one(a, a, top_k=3)
    np.testing.assert_array_equal(pairs, [(0, 0), (1, 1), (2, 2)])


def test_hubs_never_shorten_the_list(rng):
    hub = rng.standard_normal(8).astype(np.float32)
    a = hub + 0.01 * rng.standard_normal((300, 8)).astype(np.float32)
    b = np.concatenate([hub[None], rng.standard_normal((299, 8)).astype(np.float32)])
    pairs, _ = match_one_to_one(a, b, top_k=300)
    assert len(pairs) == 300


def test_the_pool_is_bounded(rng, monkeypatch):
    sizes = []
    original = np.concatenate

    def count(parts):
        sizes.append(sum(map(len, parts)))
        return original(parts)

    monkeypatch.setattr(np, "concatenate", count)
    a, b = rng.standard_normal((2, 3000, 16)).astype(np.float32)
    match_one_to_one(a, b, top_k=10)
    assert 200 <= max(sizes) < 1000  # of nine million cells


def test_too_many_pairs_and_zero_embeddings_are_named():
    ones = np.ones((3, 2), np.float32)
    with pytest.raises(InputError, match="top_k = 4 pictures on both sides, got 3 and 3"):
        match_one_to_one(ones, ones, top_k=4)
    with pytest.raises(InputError, match="top_k = 0 pictures"):
        match_one_to_one(ones, ones, top_k=0)
    with pytest.raises(InputError, match="one width, got 2 and 1"):
        match_one_to_one(ones, ones[:, :1], top_k=1)
    with pytest.raises(InputError, match="1 bad rows \\(first: 2\\)"):
        match_one_to_one(ones, np.array([[1, 1], [1, 1], [0, 0]], np.float32), top_k=1)


@pytest.fixture
def tables(rng):
    pictures = pd.DataFrame({"image": 10 + np.arange(8), "partition": ["train"] * 6 + ["test"] * 2})
    features = [rng.standard_normal((n, 4)).astype(np.float32) for n in (8, 6)]
    eeg = Embeddings(pictures["image"].to_numpy(), features[0], "eeg.npz")
    return pictures, eeg, Embeddings(np.array([5, 9, 40, 41, 77, 78]), features[1], "fmri.npz")


def test_only_seen_and_wanted_pictures_are_matched(tables):
    _, eeg, fmri = tables
    fmri.features[3] = eeg.features[7]  # a perfect match in the test partition
    options = {"seen": np.array([9, 41, 78]), "top_k": 3}
    pairs = match_images(*tables, **options, include_test=False)
    assert set(pairs["fmri_image"]) == {9, 41, 78}
    assert pairs["eeg_image"].max() < 16
    with_test = match_images(*tables, **options, include_test=True)
    assert tuple(with_test.loc[0, ["eeg_image", "fmri_image"]]) == (17, 41)


def test_pictures_without_an_embedding_are_refused(tables):
    pictures, eeg, fmri = tables
    short = Embeddings(fmri.image[:5], fmri.features[:5], "fmri.npz")
    with pytest.raises(InputError, match=r"fmri\.npz: expected each of 6 paired pictures in one row, got 1"):
        match_images(pictures, eeg, short, seen=fmri.image, top_k=2, include_test=False)


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
    assert list(split) == [*pairs, "split"]
    assert 0 < len(pairs) - len(split) < 250  # pairs of tested concepts whose own picture is not shared
    counts = split["split"].value_counts()
    assert counts["train"] / counts["val"] == pytest.approx(8, rel=0.1)


def test_by_image_no_pair_is_left_out_and_a_shortage_is_logged(pictures, caplog):
    caplog.set_level(logging.WARNING)
    pairs, things, nsd = pictures
    split = split_pairs(*pictures, **SHARES, group_by="image", test_from="shared1000")
    assert len(split) == len(pairs)
    assert split["split"].value_counts().to_dict() == {"train": 800, "val": 100, "test": 100}
    assert not caplog.records
    few = nsd.assign(shared1000=nsd["image"].isin(pairs["fmri_image"][:30]))
    split = split_pairs(pairs, things, few, **SHARES, group_by="image", test_from="shared1000")
    assert (split["split"] == "test").sum() == 30
    assert "the test split has 30 pairs instead of 100: only 30 pairs show one" in caplog.text


def pairs_of(n_pairs, n_training):
    """A table of pairs, the first of which are training pairs."""
    split = np.where(np.arange(n_pairs) < n_training, "train", "test")
    return pd.DataFrame({"eeg_image": np.arange(n_pairs), "fmri_image": np.arange(n_pairs), "split": split})


def cluster(pairs, eeg, fmri, n_clusters):
    sides = [Embeddings(np.arange(len(pairs)), features, "clip.npz") for features in (eeg, fmri)]
    return cluster_pairs(pairs, *sides, n_clusters=n_clusters, seed=0)


def test_clusters_are_fitted_on_training_pairs_alone(rng):
    centres = 5 * np.eye(4, 10, dtype=np.float32)
    truth = np.arange(80) % 4
    eeg, fmri = (centres[truth] + 0.3 * rng.standard_normal((80, 10)).astype(np.float32) for _ in range(2))
    pairs = pairs_of(80, 60)
    labelled = cluster(pairs, eeg, fmri, 4)
    assert list(labelled) == ["eeg_image", "fmri_image", "cluster", "split"]
    labels = labelled["cluster"]
    assert len({tuple(pair) for pair in zip(labels, truth, strict=True)}) == 4  # one label a true cluster
    eeg[60:] = fmri[60:] = -centres[0] - 1  # test pairs elsewhere leave the training labels alone
    np.testing.assert_array_equal(cluster(pairs, eeg, fmri, 4)["cluster"][:60], labels[:60])


def test_too_few_training_pairs_for_the_clusters_are_named(rng):
    embeddings = rng.standard_normal((4, 3)).astype(np.float32)
    with pytest.raises(InputError, match="n_clusters = 5 training pairs, got 4"):
        cluster(pairs_of(4, 4), embeddings, embeddings, 5)


def test_pairs_without_a_trial_are_left_out_and_counted(caplog):
    pairs = pairs_of(6, 4)
    kept = keep_measured(pairs, pd.DataFrame({"image": [0, 0, 2, 3, 5]}))
    assert kept["eeg_image"].tolist() == [0, 2, 3, 5]
    assert "2 of 6 pairs are left out" in caplog.text
    with pytest.raises(InputError, match=r"got none for test \(2 of 6 pairs have no trial\)"):
        keep_measured(pairs, pd.DataFrame({"image": [0, 1, 2, 3]}))


def test_embeddings_are_found_by_their_pictures(tmp_path, rng):
    features = rng.standard_normal((5, 3)).astype(np.float32)
    write_embeddings(tmp_path / "a.npz", np.array([7, 3]), features[:2])
    write_embeddings(tmp_path / "b.npz", np.array([1, 9, 4]), features[2:])
    both = read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    np.testing.assert_array_equal(both.of([9, 7]), features[[3, 0]])
    with pytest.raises(InputError, match="got 1 that are not"):
        both.of([9, 5])
    with pytest.raises(InputError, match="some in several parts"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "a.npz"])
    write_embeddings(tmp_path / "c.npz", np.array([2]), features[:1, :2])
    with pytest.raises(InputError, match=r"one width, got \[2, 3\]"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "c.npz"])
    write_embeddings(tmp_path / "d.npz", np.array([2, 5]), features[:1])
    with pytest.raises(InputError, match="expected image"):
        read_embeddings([tmp_path / "d.npz"])
    write_embeddings(tmp_path / "e.npz", np.array([2]), features[:1] * np.nan)
    with pytest.raises(InputError, match="expected finite embeddings"):
        read_embeddings([tmp_path / "e.npz"])
