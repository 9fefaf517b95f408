"""Embeddings belong to pictures by their ids."""

import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import read_embeddings, write_embeddings


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
