"""The pictures nearest to an embedding."""

import numpy as np
import pytest
from helpers.projections import SOURCE, write_projection

from brain2image.core.errors import InputError
from brain2image.translation import retrieval


def test_nearest_pictures_are_those_of_the_centred_mean(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK_TRIALS", 3)
    images, embedding = np.array([5, 9, 5, 7, 9, 5]), rng.standard_normal((6, 4)).astype(np.float32)
    write_projection(tmp_path / "subj01.h5", embedding, images)
    centre = np.full(4, 0.3, np.float32)
    options = {"centre": centre, "sha256": SOURCE["sha256"]}
    gallery = retrieval.read_gallery(tmp_path / "subj01.h5", **options, top_k=3)
    assert gallery.images.tolist() == [5, 7, 9]
    queries = rng.standard_normal((2, 4)).astype(np.float32)
    found, similarities = gallery.nearest(queries, top_k=3)
    means = np.array([embedding[images == image].mean(axis=0) for image in (5, 7, 9)])
    for query, pictures, values in zip(queries, found, similarities, strict=True):
        a, b = query - centre, means - centre
        cosines = b @ a / np.linalg.norm(a) / np.linalg.norm(b, axis=1)
        assert pictures.tolist() == gallery.images[np.argsort(-cosines)].tolist()
        np.testing.assert_allclose(values, np.sort(cosines)[::-1], rtol=1e-5)
    with pytest.raises(InputError, match="spaces of different checkpoints are unrelated"):
        retrieval.read_gallery(tmp_path / "subj01.h5", **options | {"sha256": "cd" * 32}, top_k=1)
    with pytest.raises(InputError, match="expected top_k from 1 to 3, its pictures, got 4"):
        retrieval.read_gallery(tmp_path / "subj01.h5", **options, top_k=4)
