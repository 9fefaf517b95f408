"""Drawn pictures resemble what was seen where tokens say so, and not where the EEG says nothing."""

import h5py
import numpy as np
import pytest
from helpers.small_decoding import N_PAIRS, write_decoding

from brain2image.decoding.decode_pairs import decode_pairs
from brain2image.decoding.drawing import MEAN, correlations, draw_pictures, read_drawn, reduce_tokens

OPTIONS = {"n_permutations": 100, "seed": 0}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    paths, pictures = write_decoding(folder, noise=50.0)
    files = {name: paths[name] for name in ("backbone", "gallery", "projection")}
    decode_pairs({"run": paths["predictions"]}, **files, out=folder / "tokens.h5", **OPTIONS)
    found = draw_pictures(
        folder / "tokens.h5",
        fitted_images=pictures[N_PAIRS:],
        seen_images=pictures[:N_PAIRS],
        concepts=np.arange(N_PAIRS).astype(str),
        out=folder / "pictures.h5",
        **OPTIONS,
    )
    return folder, found, pictures


def scores(found, run):
    return {row["metric"]: row for row in found["scores"][run]}


def test_measured_fmri_draws_what_was_seen(drawn):
    folder, found, _ = drawn
    measured, guess = scores(found, "measured_fmri"), scores(found, "run")
    assert measured["pixcorr"]["value"] > 0.8
    assert measured["pixcorr_two_way"]["value"] > 0.9
    assert measured["pixcorr"]["p"] < 0.02
    assert guess["pixcorr"]["value"] < 0.5
    assert {row["level"] for row in found["scores"]["run"]} == {"drawn"}
    assert read_drawn(folder / "pictures.h5", "run").shape == (N_PAIRS, 64, 64, 3)


def test_the_nulls_are_the_mean_and_the_eeg_of_others(drawn):
    folder, found, pictures = drawn
    expected = np.mean([np.asarray(image.resize((64, 64)), float) for image in pictures[N_PAIRS:]], axis=0)
    np.testing.assert_allclose(read_drawn(folder / "pictures.h5", MEAN)[0], expected, atol=1)
    assert sorted(found["shuffled"]) == list(range(N_PAIRS))
    assert all(other != own for own, other in enumerate(found["shuffled"]))


def test_pictures_of_one_colour_correlate_with_nothing(rng):
    flat, other = np.full((1, 12), 0.3), rng.random((1, 12))
    assert correlations(flat, other) == 0
    assert correlations(other, other)[0, 0] == pytest.approx(1)


def test_tokens_are_averaged_over_neighbours(tmp_path, rng):
    values = rng.standard_normal((2, 3, 10)).astype(np.float16)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        found = reduce_tokens(file.create_dataset("t", data=values), n_kept=9)
    expected = values[:, :, :9].astype(np.float32).reshape(2, 3, 3, 3).mean(axis=3).reshape(2, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
