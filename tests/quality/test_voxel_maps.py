"""Maps of voxels against slow, obvious versions, and what noise does to them."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from helpers.projections import write_projection
from helpers.quality_files import simulate

from brain2image.core.errors import InputError
from brain2image.evaluation.predictions import Predictions, write_predictions
from brain2image.formats.hdf5 import atomic_hdf5, write_trials
from brain2image.quality import voxel_maps
from brain2image.quality.fmri_quality import describe_columns
from brain2image.quality.voxel_maps import EVERY, map_embedding
from brain2image.quality.voxel_noise import map_noise_ceiling
from brain2image.synthetic.brain_mask import simulate_mask

N_IMAGES, N_VOXELS, N_FEATURES = 300, 9, 6


def write_betas(path, betas, images):
    trials = pd.DataFrame({"image": images})
    trials["repetition"] = trials.groupby("image").cumcount()
    with atomic_hdf5(path) as file:
        file["betas"] = betas.astype(np.float32)
        write_trials(file, trials)
    return path


def write_run(path, rng, *, quality):
    """Predictions of each feature that correlate with the measured one as ``quality`` says, in the mean."""
    targets = rng.normal(size=(400, len(quality))).astype(np.float32)
    noise = rng.normal(size=targets.shape)
    predictions = np.asarray(quality) * targets + np.sqrt(1 - np.square(quality)) * noise
    n = np.arange(len(targets))
    content = Predictions(
        predictions=predictions.astype(np.float32),
        targets=targets,
        eeg_image=n,
        fmri_image=n,
        concept=n.astype(str),
        target_mean=np.zeros(len(quality), np.float32),
        repetitions=targets,
        repetition_pair=n,
        target_dependence=np.float64(0),
        by_count={},
    )
    write_predictions(path, content)
    return path


@pytest.fixture
def person(rng, tmp_path):
    """Betas and their embedding: of the voxels the first is noise that the ridge takes, the last is flat."""
    latents = rng.normal(size=(N_IMAGES, N_FEATURES))
    images = rng.permutation(np.repeat(np.arange(N_IMAGES), 3))[: 3 * N_IMAGES - 100]  # some are shown less
    tuning = np.eye(N_FEATURES, N_VOXELS, k=1)  # voxel k+1 has the k-th latent
    betas = latents[images] @ tuning + rng.normal(size=(len(images), N_VOXELS))
    betas[:, -1] = 3
    weight = np.zeros((N_FEATURES, N_VOXELS))
    weight[:, 1 : N_FEATURES + 1] = np.eye(N_FEATURES)
    weight[:, 0] = 2
    embedding = (betas @ weight.T).astype(np.float32)
    paths = write_betas(tmp_path / "betas.h5", betas, images), tmp_path / "projection.h5"
    write_projection(paths[1], embedding, images)
    return *paths, betas.astype(np.float32), embedding, images


def slow_map(betas, embedding, images, weights):
    """One picture, voxel and feature after the other."""
    shown_twice = [image for image in np.unique(images) if (images == image).sum() > 1]
    voxels, features = [], []
    for image in shown_twice:
        rows = np.flatnonzero(images == image)
        voxels.append(betas[rows[::2]].mean(axis=0))
        features.append(embedding[rows[1::2]].mean(axis=0))
    found = []
    for voxel in np.array(voxels).T:
        squares = [
            np.corrcoef(voxel, feature)[0, 1] ** 2 if voxel.std() > 1e-6 else 0
            for feature in np.array(features).T
        ]
        found.append(np.sqrt(max(weights @ squares - 1 / (len(shown_twice) - 1), 0)))
    return np.array(found)


@pytest.mark.parametrize("n_columns", [4, 2048])
def test_maps_are_those_of_a_slow_version(person, rng, tmp_path, monkeypatch, n_columns):
    monkeypatch.setattr(voxel_maps, "BLOCK_COLUMNS", n_columns)
    paths, arrays = person[:2], person[2:]
    run = write_run(tmp_path / "a.npz", rng, quality=[0.9, 0.5, 0, 0, 0, -0.9])
    found = map_embedding(*paths, {"a": run})
    assert list(found.maps) == [EVERY, "a"]
    r = voxel_maps.correlate_features(run)
    np.testing.assert_allclose(r, [0.9, 0.5, 0, 0, 0, -0.9], atol=0.15)
    assert found.predicted == {"a": pytest.approx(r.mean())}
    weights = np.maximum(r, 0) ** 2
    for name, expected in ((EVERY, np.full(6, 1 / 6)), ("a", weights / weights.sum())):
        np.testing.assert_allclose(found.maps[name], slow_map(*arrays, expected), atol=1e-5)


def test_noise_that_a_ridge_takes_is_not_on_the_map(person, rng, tmp_path):
    """The first voxel has the largest weights and no signal, and features of the same trials go with it."""
    betas, projection, values, embedding, _ = person
    assert abs(np.corrcoef(values[:, 0], embedding[:, 0])[0, 1]) > 0.7
    found = map_embedding(
        betas, projection, {"a": write_run(tmp_path / "a.npz", rng, quality=[0.9] + 5 * [0])}
    )
    np.testing.assert_allclose(found.maps[EVERY][[0, -2, -1]], 0, atol=0.05)
    assert found.maps["a"][1] > 3 * found.maps["a"][[0, 2, 3, 4, 5, 6, 7, 8]].max()
    assert found.maps[EVERY][1:7].min() > 0.05


def test_a_run_that_predicts_nothing_has_an_empty_map(person, rng, tmp_path, caplog):
    run = write_run(tmp_path / "a.npz", rng, quality=6 * [-0.9])
    found = map_embedding(*person[:2], {"a": run})
    assert not found.maps["a"].any()
    assert "a predicts no feature of the test pairs" in caplog.text


def test_noise_ceilings_are_written_where_the_voxels_lie(rng, tmp_path):
    values, images = simulate(rng, ncsnr=np.linspace(0, 2, 30), n_images=200)
    betas = write_betas(tmp_path / "betas.h5", values, images)
    simulate_mask(30, out=tmp_path / "mask.nii.gz")
    map_noise_ceiling(betas, tmp_path / "mask.nii.gz", out=tmp_path / "out.nii.gz")
    labels = nibabel.load(tmp_path / "mask.nii.gz").get_fdata()
    found = nibabel.load(tmp_path / "out.nii.gz").get_fdata()
    np.testing.assert_array_equal(np.isfinite(found), labels == 1)
    assert np.corrcoef(found[labels == 1], np.linspace(0, 2, 30))[0, 1] > 0.9
    # the very numbers of which the report's histogram is made
    described = describe_columns(values, images, pd.Series(np.zeros(200, bool)))["all"]["mean"]["quantiles"]
    assert np.median(found[labels == 1]) == pytest.approx(described["q50"], abs=0.01)


def test_what_is_not_repeated_has_no_map(rng, tmp_path):
    images = np.arange(20)
    betas = write_betas(tmp_path / "betas.h5", rng.normal(size=(20, 5)), images)
    simulate_mask(5, out=tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="expected 3 or more pictures that were shown twice, got 0"):
        map_noise_ceiling(betas, tmp_path / "mask.nii.gz", out=tmp_path / "out.nii.gz")
    simulate_mask(6, out=tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="expected 5 voxels in the region, as the betas have, got 6"):
        map_noise_ceiling(betas, tmp_path / "mask.nii.gz", out=tmp_path / "out.nii.gz")


def test_trials_of_another_person_are_refused(person, tmp_path):
    betas, _, _, embedding, images = person
    other = write_projection(tmp_path / "other.h5", embedding, images[::-1])
    with pytest.raises(InputError, match=r"other\.h5: expected the trials of .*betas\.h5, got others"):
        map_embedding(betas, other, {})
