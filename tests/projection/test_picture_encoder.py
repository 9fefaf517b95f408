"""From features of pictures to embeddings: what is learned, from which pictures, and what is refused."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.projections import SOURCE, write_projection
from himalaya.kernel_ridge import KernelRidgeCV
from scipy.spatial.distance import pdist

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import open_trials
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.projection import picture_encoder, picture_methods
from brain2image.projection.picture_encoder import (
    FACTS,
    PictureEncoder,
    fit_encoder,
    read_picture_encoder,
    write_picture_encoder,
    write_predicted,
)
from brain2image.projection.picture_fitting import fit_picture_encoder, read_measured
from brain2image.projection.picture_methods import METHODS

N_IMAGES, N_INPUTS, N_FEATURES = 120, 12, 8
CLIP = "ViT, tag"
PLAIN = {"layers": ["projected"], "methods": ["ridge"], "n_folds": 4, "seed": 0}


def embeddings(features, first=0, clip=CLIP, **layers):
    return Embeddings(np.arange(len(features)) + first, features, f"{first}.npz", clip, layers)


@pytest.fixture
def data(tmp_path, rng):
    """Features of both sets, a linear relation with two noisy repetitions, and pairs of all splits."""
    shown, seen = (rng.standard_normal((n, N_INPUTS)).astype(np.float32) for n in (30, N_IMAGES))
    weight = rng.standard_normal((N_INPUTS, N_FEATURES))
    images = np.repeat(np.arange(N_IMAGES) + 500, 2)
    noise = 0.3 * rng.standard_normal((len(images), N_FEATURES))
    measured = (seen[images - 500] @ weight + 40 + noise).astype(np.float32)
    projection = write_projection(tmp_path / "subj01.h5", measured, images)
    pairs = pd.DataFrame({"eeg_image": np.arange(6), "fmri_image": np.arange(6) + 500})
    pairs["split"] = ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    return embeddings(shown), embeddings(seen, 500), pairs, projection, weight


def fit(data, **options):
    eeg, fmri, pairs, projection, _ = data
    return fit_picture_encoder(eeg, fmri, pairs, projection=projection, **PLAIN | options)


def test_it_learns_the_relation_and_says_how_well(data):
    eeg, *_, weight = data
    encoder, quality = fit(data)
    truth = eeg.features @ weight + 40
    residual = np.square(encoder.predict(eeg) - truth).sum() / np.square(truth - truth.mean(0)).sum()
    assert residual < 0.01
    assert encoder.predict(eeg).dtype == np.float32
    assert quality["r2"] > 0.95
    assert set(FACTS) <= set(quality)
    assert encoder.facts["n_pictures"] == N_IMAGES - 4 == sum(map(len, quality["ranks"]))
    assert quality["n_excluded"] == 4 == quality["excluded"]["partners"]
    assert (encoder.facts["checkpoint"], encoder.facts["sha256"]) == tuple(SOURCE.values())
    assert np.mean(np.concatenate(quality["ranks"]) == 1) > 0.9
    assert sum(quality["r2_histogram"]) == N_FEATURES
    json.dumps(quality, allow_nan=False)


def test_features_without_a_relation_predict_nothing(data, rng):
    eeg, fmri, pairs, projection, _ = data
    other = fmri._replace(features=rng.standard_normal(fmri.features.shape).astype(np.float32))
    _, quality = fit((eeg, other, pairs, projection, None), methods=["ridge", "kernel_ridge", "knn"])
    assert all(abs(candidate["r2"]) < 0.1 for candidate in quality["candidates"])
    n_fold = len(quality["ranks"][0])
    assert np.mean(np.concatenate(quality["ranks"])) == pytest.approx((n_fold + 1) / 2, rel=0.2)


def test_no_picture_of_a_val_or_test_pair_and_no_near_duplicate_has_a_part_in_it(data):
    """Whatever was measured of them, the encoder stays the same."""
    eeg, fmri, _, projection, _ = data
    # copies of a test pair's pictures, and of a training pair's
    for row, original in {20: fmri.features[5], 21: eeg.features[2], 22: fmri.features[0]}.items():
        fmri.features[row] = 2 * original
    expected, quality = fit(data)
    assert quality["excluded"] == {"partners": 4, "near_duplicates": 2}
    with h5py.File(projection, "a") as file:
        values = file["embedding"][:]
        values[np.isin(file["trials/image"][:], [502, 503, 504, 505, 520, 521])] = 1e6
        file["embedding"][...] = values
    found, _ = fit(data)
    for name, tensor in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)


def test_all_trials_of_a_picture_count_the_same(tmp_path, rng):
    values = rng.standard_normal((5, 3)).astype(np.float32)
    path = write_projection(tmp_path / "subj01-subj02.h5", values, np.array([9, 4, 9, 9, 4]))
    image, embedding, source = read_measured(path)
    np.testing.assert_array_equal(image, [4, 9])
    np.testing.assert_allclose(embedding, [values[[1, 4]].mean(0), values[[0, 2, 3]].mean(0)], rtol=1e-6)
    assert source == SOURCE


def test_the_predicted_file_holds_every_picture_and_says_that_it_is_predicted(data, tmp_path):
    eeg, *_ = data
    encoder, _ = fit(data)
    write_predicted(tmp_path / "predicted.h5", encoder, eeg)
    with open_trials(tmp_path / "predicted.h5", "predicted_embedding", ("n_images", "n_features")) as (
        predicted,
        trials,
    ):
        np.testing.assert_array_equal(trials["image"], eeg.image)
        np.testing.assert_array_equal(predicted[:], encoder.predict(eeg.features))
        attributes = dict(predicted.file.attrs)
    assert bool(attributes.pop("predicted")) is True
    assert attributes == dict(encoder.facts)


@pytest.mark.parametrize("method", METHODS)
def test_a_kept_encoder_predicts_the_same(data, tmp_path, monkeypatch, method):
    eeg, *_ = data
    encoder, quality = fit(data, methods=[method])
    assert quality["method"] == method
    write_picture_encoder(tmp_path / "encoder.safetensors", encoder)
    kept = read_picture_encoder(tmp_path / "encoder.safetensors")
    assert kept.facts == encoder.facts
    expected = encoder.predict(eeg)
    monkeypatch.setattr(picture_encoder, "BLOCK_IMAGES", 7)
    np.testing.assert_allclose(kept.predict(eeg), expected, rtol=1e-4, atol=1e-4)


def test_features_of_another_model_layer_or_width_are_refused(data):
    eeg, *_ = data
    encoder, _ = fit(data)
    with pytest.raises(InputError, match=r"expected features of ViT, tag, .* got those of ViT, other"):
        encoder.predict(eeg._replace(clip="ViT, other"))
    with pytest.raises(InputError, match="got those of an unknown model"):
        encoder.predict(eeg._replace(clip=""))
    with pytest.raises(InputError, match=r"expected features \(n_images, 12\) of projected of ViT, tag"):
        encoder.predict(eeg.features[:, :3])
    with pytest.raises(InputError, match=r"name it in clip\.layers"):
        encoder._replace(layer="layer_02").predict(eeg)


def test_too_few_pictures_and_other_models_are_one_line(data, tmp_path):
    eeg, fmri, pairs, projection, weight = data
    with pytest.raises(InputError, match=r"at least 118 pictures .* got 116 of 120"):
        fit(data, n_folds=59)
    with pytest.raises(InputError, match="expected features of one model, got ViT, tag and ViT, other"):
        fit((eeg, fmri._replace(clip="ViT, other"), pairs, projection, weight))
    short = fmri._replace(image=fmri.image[:50], features=fmri.features[:50])
    with pytest.raises(InputError, match="got 70 that are not"):
        fit((eeg, short, pairs, projection, weight))


def test_the_better_of_layers_and_methods_is_taken(data, rng):
    eeg, fmri, pairs, projection, weight = data
    # the projected features lose half of what a deeper layer knows
    blind = [side.features * (np.arange(N_INPUTS) < 6) for side in (eeg, fmri)]
    eeg, fmri = (
        side._replace(features=features + 0, layers={"layer_02": side.features})
        for side, features in zip((eeg, fmri), blind, strict=True)
    )
    encoder, quality = fit(
        (eeg, fmri, pairs, projection, weight), layers=["projected", 2], methods=["knn", "ridge"]
    )
    assert (encoder.method, encoder.layer) == ("ridge", "layer_02")
    r2 = {(one["method"], one["layer"]): one["r2"] for one in quality["candidates"]}
    assert len(r2) == 4
    assert max(r2.values()) == r2["ridge", "layer_02"] == quality["r2"]


def test_a_kernel_beats_a_line_where_the_relation_is_curved(rng):
    x = rng.uniform(-2, 2, (300, 1)).astype(np.float32)
    targets = np.hstack([np.cos(2 * x), np.abs(x)]).astype(np.float32)
    splits = [(np.arange(0, 150), np.arange(150, 300)), (np.arange(150, 300), np.arange(0, 150))]
    new = np.linspace(-1.8, 1.8, 50, dtype=np.float32)[:, None]
    errors = {}
    for method in ("ridge", "kernel_ridge"):
        encoder = fit_encoder(x, targets, splits, method=method, layer="projected", clip=CLIP)
        errors[method] = np.square(encoder.predict(new) - np.hstack([np.cos(2 * new), np.abs(new)])).mean()
    assert errors["kernel_ridge"] < 0.01 < errors["ridge"]


def test_nearest_pictures_equal_a_slow_mean(rng, monkeypatch):
    monkeypatch.setattr(picture_methods, "N_NEIGHBOURS", 3)
    x, new = (rng.standard_normal((n, 4)).astype(np.float32) for n in (20, 5))
    targets = rng.standard_normal((20, 2)).astype(np.float32)
    tensors = {"support": x, "targets": targets, "temperature": np.array([0.3], np.float32)}
    slow = []
    for row in new:
        cosines = [row @ one / np.linalg.norm(row) / np.linalg.norm(one) for one in x]
        nearest = np.argsort(cosines)[-3:]
        weights = np.exp([cosines[number] / 0.3 for number in nearest])
        slow.append(weights @ targets[nearest] / weights.sum())
    found = METHODS["knn"].predict(new, tensors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, rtol=1e-4)
    # pictures on a circle: what lies near is right, so the least temperature is chosen
    angle = rng.uniform(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    splits = [(np.arange(200), np.arange(200, 400))]
    fitted = METHODS["knn"].fit(circle, np.cos(3 * angle)[:, None].astype(np.float32), splits)
    assert fitted["temperature"][0] == np.float32(0.01)


def test_ridge_equals_the_normal_equations(rng):
    """With one strength of the penalty that all targets choose."""
    features = rng.standard_normal((200, 5)).astype(np.float32)
    targets = (features @ rng.standard_normal((5, 3))).astype(np.float32)
    splits = [(np.arange(100), np.arange(100, 200))]
    encoder = fit_encoder(features, targets, splits, method="ridge", layer="projected", clip=CLIP)
    x = (features - features.mean(0)) / features.std(0) / np.sqrt(5)
    weight = np.linalg.solve(x.T @ x + 0.01 * np.eye(5), x.T @ (targets - targets.mean(0)))
    np.testing.assert_allclose(encoder.tensors["weight"], weight, rtol=1e-3, atol=1e-3)


def test_kernel_ridge_solves_its_equations_with_a_penalty_for_each_target(rng):
    x = rng.standard_normal((90, 3)).astype(np.float32)
    # one target that follows from x and one that does not
    targets = np.stack([np.sin(x[:, 0]), rng.standard_normal(90)], axis=1).astype(np.float32)
    splits = [(np.arange(45), np.arange(45, 90)), (np.arange(45, 90), np.arange(45))]
    fitted = METHODS["kernel_ridge"].fit(x, targets, splits)
    gamma = fitted["gamma"][0]
    assert gamma == pytest.approx(1 / np.median(pdist(x, "sqeuclidean")))
    kernel = np.exp(-gamma * np.square(x[:, None] - x).sum(axis=2))
    alphas = ((targets - kernel @ fitted["dual"]) / fitted["dual"]).mean(axis=0)
    expected = KernelRidgeCV(
        alphas=picture_methods.ALPHAS, kernel="precomputed", cv=splits, solver_params={"n_alphas_batch": 1}
    ).fit(kernel.astype(np.float64), targets.astype(np.float64))
    np.testing.assert_allclose(alphas, expected.best_alphas_, rtol=0.02)
    assert alphas[1] > 100 * alphas[0]
    np.testing.assert_allclose(fitted["dual"], expected.dual_coef_, rtol=0.02, atol=1e-3)


def test_a_feature_that_never_varies_does_no_harm(data):
    eeg, fmri, *rest = data
    for side in (eeg, fmri):
        side.features[:, 0] = 3
    encoder, _ = fit((eeg, fmri, *rest), methods=list(METHODS))
    assert np.isfinite(encoder.predict(eeg)).all()
    assert isinstance(encoder, PictureEncoder)
