"""Embeddings belong to pictures by their ids."""

import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import read_embeddings, write_embeddings


def write(path, image, features, clip="ViT, tag", **layers):
    write_embeddings(path, np.array(image), features, clip=clip, layers=layers)


def test_layers_lie_beside_the_projected_embedding(tmp_path, rng):
    features = rng.standard_normal((5, 3)).astype(np.float32)
    write(tmp_path / "a.npz", [7, 3], features[:2], layer_02=2 * features[:2])
    write(tmp_path / "b.npz", [1, 9, 4], features[2:], layer_02=2 * features[2:])
    both = read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    assert both.clip == "ViT, tag"
    np.testing.assert_array_equal(both.layer("layer_02")[both.rows([9, 7])], 2 * features[[3, 0]])
    np.testing.assert_array_equal(both.layer("projected"), features)
    with pytest.raises(InputError, match=r"of layer_03, got projected, layer_02; name it in clip\.layers"):
        both.layer("layer_03")
    write(tmp_path / "c.npz", [2], features[:1])
    with pytest.raises(InputError, match="one width, got projected 3 and projected 3, layer_02 3"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "c.npz"])
    write(tmp_path / "d.npz", [2], features[:1], "ViT, other", layer_02=features[:1])
    with pytest.raises(InputError, match="one model, got ViT, other and ViT, tag"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "d.npz"])


def test_embeddings_are_found_by_their_pictures(tmp_path, rng):
    features = rng.standard_normal((5, 3)).astype(np.float32)
    write(tmp_path / "a.npz", [7, 3], features[:2])
    write(tmp_path / "b.npz", [1, 9, 4], features[2:])
    both = read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    np.testing.assert_array_equal(both.of([9, 7]), features[[3, 0]])
    with pytest.raises(InputError, match="got 1 that are not"):
        both.of([9, 5])
    with pytest.raises(InputError, match="some in several parts"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "a.npz"])
    write(tmp_path / "c.npz", [2], features[:1, :2])
    with pytest.raises(InputError, match=r"one width, got projected 2 and projected 3"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "c.npz"])
    write(tmp_path / "d.npz", [2, 5], features[:1])
    with pytest.raises(InputError, match="expected image"):
        read_embeddings([tmp_path / "d.npz"])
    write(tmp_path / "e.npz", [2], features[:1] * np.nan)
    with pytest.raises(InputError, match="expected finite embeddings"):
        read_embeddings([tmp_path / "e.npz"])
