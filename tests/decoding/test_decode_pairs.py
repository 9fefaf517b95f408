"""Embeddings through the backbone find their pictures, and the linear way does what a ridge does."""

import h5py
import numpy as np
import pytest
from helpers.small_decoding import N_FITTED, N_PAIRS, N_TOKENS, WIDTH, write_decoding
from sklearn.linear_model import Ridge

from brain2image.core.errors import InputError
from brain2image.decoding.decode_pairs import decode_pairs
from brain2image.decoding.gallery import open_gallery
from brain2image.decoding.kernel_shares import fit_shares
from brain2image.decoding.token_retrieval import (
    score_protocol,
    score_similarity,
    similarity_of_sums,
)
from brain2image.evaluation.predictions import read_predictions, write_predictions

OPTIONS = {"n_permutations": 100, "seed": 0}


def decode(paths, folder):
    files = {name: paths[name] for name in ("backbone", "gallery", "projection")}
    return decode_pairs({"run": paths["predictions"]}, **files, out=folder / "tokens.h5", **OPTIONS)


def value(found, run, *, space, metric="top1", level="tokens"):
    (row,) = [
        row
        for row in found["scores"][run]
        if (row["level"], row["space"], row["direction"], row["metric"]) == (level, space, "forward", metric)
    ]
    return row


def test_measured_fmri_finds_its_pictures_and_noise_does_not(tmp_path):
    paths, _ = write_decoding(tmp_path, noise=30.0)
    found = decode(paths, tmp_path)
    assert value(found, "measured_fmri", space="tokens")["value"] == 1
    assert value(found, "measured_fmri", space="tokens_linear")["value"] > 0.9
    assert value(found, "measured_fmri", space="tokens", level="protocol")["value"] == 1
    guess = value(found, "run", space="tokens")
    assert guess["value"] < 0.5
    assert guess["chance"] == pytest.approx(1 / N_PAIRS)
    assert found["n_fitted"] == N_FITTED
    assert found["clip"] == "ViT-tiny, made up"
    with h5py.File(tmp_path / "tokens.h5") as file:
        assert file["runs/run"].shape == (N_PAIRS, N_TOKENS, WIDTH)
        assert file["fitted"].shape == (N_FITTED, N_TOKENS, WIDTH)


def test_a_backbone_of_another_checkpoint_is_refused(tmp_path):
    paths, _ = write_decoding(tmp_path)
    with h5py.File(paths["projection"], "a") as file:
        file.attrs["sha256"] = "2" * 64
    with pytest.raises(
        InputError, match=r"expected the backbone of last\.pth, whose ridge made the embedding"
    ):
        decode(paths, tmp_path)


def test_tokens_of_another_clip_are_refused(tmp_path):
    paths, _ = write_decoding(tmp_path)
    with h5py.File(paths["gallery"], "a") as file:
        del file["tokens"]
        file["tokens"] = np.ones((N_PAIRS + N_FITTED, N_TOKENS, WIDTH + 1), np.float16)
    with pytest.raises(InputError, match=r"expected 4 tokens of 12 values, .* got 4 of 13, by ViT-tiny"):
        decode(paths, tmp_path)


def test_tokens_of_the_same_size_of_another_clip_are_refused(tmp_path, rng):
    paths, _ = write_decoding(tmp_path)
    turned = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    with h5py.File(paths["gallery"], "a") as file:
        file["tokens"][:] = file["tokens"][:] @ turned
    with pytest.raises(
        InputError,
        match=r"got a mean reciprocal rank of 0\.\d+ among 60, which is chance .* ViT-tiny, made up is",
    ):
        decode(paths, tmp_path)


def test_tokens_of_other_pictures_are_refused(tmp_path, rng):
    paths, _ = write_decoding(tmp_path)
    with h5py.File(paths["gallery"], "a") as file:
        file["tokens"][:] = rng.permutation(file["tokens"][:])
    with pytest.raises(InputError, match="is not the CLIP that the backbone was trained on"):
        decode(paths, tmp_path)


def test_shares_are_a_ridge_with_an_intercept(rng):
    known, asked, targets = (rng.standard_normal(shape) for shape in ((30, 5), (7, 5), (30, 4)))
    targets = known @ rng.standard_normal((5, 4)) + targets + 3
    shares, alpha = fit_shares(known, asked, targets, seed=0)
    scale = np.sqrt(np.square(known - known.mean(axis=0)).mean())
    model = Ridge(alpha=alpha).fit(known / scale, targets)
    np.testing.assert_allclose(shares @ targets, model.predict(asked / scale), atol=1e-8)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_sums_are_compared_as_if_they_were_whole(tmp_path, rng):
    paths, _ = write_decoding(tmp_path)
    shares, fitted, rows = rng.standard_normal((5, 6)), np.arange(30, 36), np.array([4, 0, 7])
    with open_gallery(paths["gallery"]) as (gallery, _):
        values = gallery.tokens[:].astype(np.float64)
        mean = values[fitted].mean(axis=0)
        whole = np.einsum("qf,ftw->qtw", shares, values[fitted] - mean).reshape(5, -1)
        others = (values[rows] - mean).reshape(3, -1)
        lengths = np.outer(np.linalg.norm(whole, axis=1), np.linalg.norm(others, axis=1))
        expected = whole @ others.T / lengths
        found = similarity_of_sums(shares, fitted, gallery, rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_constant_tokens_score_chance_and_many_pictures_get_the_protocol(rng):
    n_pairs = 310
    concepts, orders = np.arange(n_pairs), np.stack([np.roll(np.arange(n_pairs), 1)] * 100)
    flat = np.ones((n_pairs, n_pairs), np.float32)
    rows = score_similarity(flat, concepts, orders, space="tokens", seed=0)
    assert {row["level"] for row in rows} == {"tokens"}
    assert [row["value"] for row in rows if row["metric"] == "top1"] == pytest.approx([1 / n_pairs] * 2)
    found = np.eye(n_pairs, dtype=np.float32) + rng.random((n_pairs, n_pairs), np.float32) / 2
    for similarity, expected in ((flat, 1 / 300), (found, 1)):
        (row, _) = score_protocol(similarity, concepts, orders, seed=0)
        assert (row["level"], row["n_gallery"], row["metric"]) == ("protocol", 300, "top1")
        assert row["value"] == pytest.approx(expected)


def test_predictions_that_are_shrunk_towards_the_mean_find_no_hub(tmp_path, rng):
    """Uncentred, all of them would be nearest to the picture that is most like the mean."""
    paths, _ = write_decoding(tmp_path)
    content = read_predictions(paths["predictions"])
    mean = content.targets.mean(axis=0)
    write_predictions(
        paths["predictions"], content._replace(predictions=mean + 0.3 * (content.targets - mean))
    )
    found = decode(paths, tmp_path)
    assert value(found, "run", space="tokens")["value"] > 0.8
    assert value(found, "run", space="tokens", level="protocol")["value"] < 0.5
