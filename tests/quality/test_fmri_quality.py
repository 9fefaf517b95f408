"""Noise ceilings: known signals are recovered, NSD's formula is met, blocks make no difference."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.quality_files import described, simulate

from brain2image.formats.files import write_parquet
from brain2image.formats.hdf5 import write_trials
from brain2image.quality import fmri_quality as quality


def moments(values, image, **options):
    return quality.sum_moments(values, image, strata=np.arange(image.max() + 1) % 20, **options)


def whole(values, image):
    return moments(values, image).pool(slice(None))


def test_the_noise_ceiling_recovers_a_known_signal(rng):
    ncsnr = np.array([0, 0.3, 0.5, 1, 2])
    pooled = whole(*simulate(rng, ncsnr=ncsnr, n_images=20_000))
    for is_single, m in ((True, 1), (False, 1 / 3)):
        expected = 100 * ncsnr**2 / (ncsnr**2 + m)
        np.testing.assert_allclose(quality.noise_ceiling(pooled, single=is_single), expected, atol=2)


def test_it_is_nsds_formula(rng):
    """Allen et al., 2022: noise from the variance over the three trials, signal from what is left."""
    values, image = simulate(rng, ncsnr=[0.2, 0.7, 1.5], n_images=50)
    by_picture = np.stack([values[image == i] for i in range(50)]).astype(float)
    noise = by_picture.var(axis=1, ddof=1).mean(axis=0)
    ncsnr = np.sqrt(np.maximum(values.var(axis=0, ddof=1) - noise, 0) / noise)
    expected = 100 * ncsnr**2 / (ncsnr**2 + 1 / 3)
    np.testing.assert_allclose(quality.noise_ceiling(whole(values, image), single=False), expected, rtol=1e-4)


def test_pictures_with_fewer_trials_have_noisier_means(rng):
    """NSD data manual: of A, B, C pictures seen 3, 2, 1 times, (A/3 + B/2 + C) / (A + B + C) of the noise."""
    values, image = simulate(rng, ncsnr=np.ones(200), n_repetitions=rng.permutation([1, 2, 3] * 200))
    found = quality.noise_ceiling(whole(values, image), single=False)
    assert np.median(found) == pytest.approx(100 / (1 + (1 / 3 + 1 / 2 + 1) / 3), abs=1)


@pytest.mark.parametrize(("n_block", "n_columns"), [(7, 2), (1000, 3), (64, 1000)])
def test_blocks_make_no_difference(rng, tmp_path, n_block, n_columns):
    values, image = simulate(rng, ncsnr=np.ones(5), n_images=40)
    with h5py.File(tmp_path / "values.h5", "w") as file:
        file["values"] = values
        blocked = moments(file["values"], image, n_block=n_block, n_columns=n_columns)
    for part, expected in zip(blocked, moments(values, image), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(blocked.squares.sum(axis=0), (values.astype(float) ** 2).sum(axis=0))
    np.testing.assert_allclose(blocked.total.sum(axis=0), values.sum(axis=0), rtol=1e-3)


def test_five_in_a_hundred_columns_without_signal_pass_chance(rng):
    values, image = simulate(rng, ncsnr=np.zeros(4000), n_images=60)
    for average in ("single", "mean"):
        found = quality.noise_ceilings(moments(values, image))[average]
        assert found["above_chance"] == pytest.approx(0.05, abs=0.01)


def test_the_interval_of_the_median_holds_in_about_95_of_100(rng):
    truth = 100 * 0.5**2 / (0.5**2 + 1)
    held = 0
    for _ in range(100):
        values, image = simulate(rng, ncsnr=np.full(15, 0.5), n_images=100)
        low, high = quality.noise_ceilings(moments(values, image))["single"]["interval"]
        held += low <= truth <= high
    assert 88 <= held <= 100


def test_one_repetition_has_no_noise_ceiling(rng):
    values, image = simulate(rng, ncsnr=[1, 1], n_repetitions=1)
    found = described(values, image, n_shared=20)
    assert found["all"] is None
    assert found["shared1000"] is None
    assert found["sd"]["q50"] == pytest.approx(np.sqrt(2), abs=0.1)


def test_shared_pictures_are_described_apart(rng):
    values, image = simulate(rng, ncsnr=np.ones(50))
    values[image >= 100] += 3 * rng.standard_normal((500, 50))[image[image >= 100] - 100].astype(np.float32)
    found = described(values, image, n_shared=100)
    assert (found["all"]["n_images"], found["shared1000"]["n_images"]) == (600, 100)
    assert found["shared1000"]["single"]["quantiles"]["q50"] == pytest.approx(50, abs=7)
    assert found["all"]["single"]["quantiles"]["q50"] > 80
    assert described(values, image)["shared1000"] is None


def test_columns_that_do_not_vary_are_counted_and_left_out(rng):
    values, image = simulate(rng, ncsnr=np.ones(6))
    values[:, 2], values[:, 4] = 0, 1.7
    found = described(values, image)
    assert (found["n_columns"], found["n_flat"]) == (6, 2)
    assert sum(found["all"]["single"]["histogram"]) == 4


def test_a_subject_is_described_from_its_files(rng, tmp_path):
    values, image = simulate(rng, ncsnr=np.ones(8), n_images=60)
    trials = pd.DataFrame({"image": image + 5, "session": np.arange(len(image)) % 2})
    for name, key, columns in (("betas", "betas", 8), ("projection", "embedding", 4)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file[key] = values[:, :columns]
            write_trials(file, trials)
    table = pd.DataFrame({"image": np.arange(100), "shared1000": np.arange(100) < 30})
    write_parquet(tmp_path / "images.parquet", table)
    found = quality.inspect_fmri(
        *(tmp_path / name for name in ("betas.h5", "projection.h5", "images.parquet"))
    )
    assert found["trials"] == {
        "n_trials": 180, "n_images": 60, "n_shared1000": 25, "n_sessions": 2, "repetitions": {"3": 60}
    }  # fmt: skip
    assert (found["voxels"]["n_columns"], found["embedding"]["n_columns"]) == (8, 4)
    assert found["voxels"]["shared1000"]["n_images"] == 25
    json.dumps(found, allow_nan=False)
