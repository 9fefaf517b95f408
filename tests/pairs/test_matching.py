"""One-to-one matching against sorting the full matrix."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.pairs import matching
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import match_images, match_one_to_one, unit_rows
from brain2image.pairs.partners import read_partners


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


SEEN, SHARED = np.array([9, 41, 78]), np.array([False, True, True])


def test_only_seen_and_wanted_pictures_are_matched(tables):
    _, eeg, fmri = tables
    fmri.features[3] = eeg.features[7]  # a perfect match in the test partition
    candidates, test_partition = match_images(*tables, seen=SEEN, shared=SHARED, include_test=False)
    assert set(candidates["fmri_image"]) == {9, 41, 78}
    assert candidates["eeg_image"].max() < 16
    assert tuple(test_partition.loc[0, ["eeg_image", "fmri_image"]]) == (17, 41)
    assert test_partition["eeg_image"].tolist() == [17, 16]
    assert set(test_partition["fmri_image"]) == {41, 78}
    with_test, _ = match_images(*tables, seen=SEEN, shared=SHARED, include_test=True)
    assert tuple(with_test.loc[0, ["eeg_image", "fmri_image"]]) == (17, 41)


@pytest.mark.parametrize("lacking", ["test partition", "shared pictures"])
def test_no_test_partition_is_an_empty_table(tables, lacking):
    pictures, *embeddings = tables
    pictures = pictures.assign(partition="train") if lacking == "test partition" else pictures
    shared = SHARED & (lacking != "shared pictures")
    _, test_partition = match_images(pictures, *embeddings, seen=SEEN, shared=shared, include_test=False)
    assert test_partition.empty
    assert list(test_partition) == ["eeg_image", "fmri_image", "similarity"]
    assert test_partition.dtypes.astype(str).tolist() == ["int64", "int64", "float32"]


def test_exact_pairs_are_of_the_pictures_that_both_saw(tables):
    pictures = tables[0].assign(partition="train")
    seen, shared = np.array([3, 11, 12, 17]), np.array([True, True, False, False])
    options = {"shared": shared, "include_test": False}
    candidates, test_partition = match_images(pictures, None, None, seen=seen, **options)
    assert candidates.to_numpy().tolist() == [[11, 11, 1], [12, 12, 1], [17, 17, 1]]
    assert candidates.dtypes.astype(str).tolist() == ["int64", "int64", "float32"]
    assert test_partition.empty
    with pytest.raises(InputError, match=r"both .* people saw, got none of 8 and 4; .* matching\.mode"):
        match_images(pictures, None, None, seen=seen + 100, **options)


def test_pictures_without_an_embedding_are_refused(tables):
    pictures, eeg, fmri = tables
    short, shared = Embeddings(fmri.image[:5], fmri.features[:5], "fmri.npz"), np.ones(6, bool)
    with pytest.raises(InputError, match=r"fmri\.npz: expected each of 6 paired pictures in one row, got 1"):
        match_images(pictures, eeg, short, seen=fmri.image, shared=shared, include_test=False)


def test_without_fmri_each_picture_is_its_own_partner(tables, tmp_path):
    pictures = tables[0]
    candidates, test_partition = match_images(
        pictures, None, None, seen=None, shared=None, include_test=False
    )
    assert candidates["eeg_image"].tolist() == candidates["fmri_image"].tolist() == list(range(10, 16))
    assert test_partition["eeg_image"].tolist() == test_partition["fmri_image"].tolist() == [16, 17]
    with_test, _ = match_images(pictures, None, None, seen=None, shared=None, include_test=True)
    assert with_test["eeg_image"].tolist() == list(range(10, 18))
    pictures.to_parquet(tmp_path / "pictures.parquet")
    partners = read_partners(tmp_path / "pictures.parquet", has_fmri=False)
    assert not partners["shared1000"].any()
    with pytest.raises(InputError, match="shared1000"):
        read_partners(tmp_path / "pictures.parquet", has_fmri=True)
