"""A ridge draws what was seen where tokens say so, and not where the EEG says nothing."""

import h5py
import numpy as np
import pytest
from helpers.small_decoding import N_FITTED, N_PAIRS, write_decoding

from brain2image.decoding.decode_pairs import decode_pairs
from brain2image.decoding.drawn_files import MEAN, drawn_runs, read_drawn, shuffled_pairs
from brain2image.decoding.linear_drawing import draw_linear, reduce_tokens, to_pixels
from brain2image.evaluation.picture_metrics import score_pictures
from brain2image.evaluation.picture_networks import to_square

OPTIONS = {"n_permutations": 100, "seed": 0}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    paths, pictures = write_decoding(folder, noise=50.0)
    files = {name: paths[name] for name in ("backbone", "gallery", "projection")}
    runs = dict.fromkeys(("run", "undrawn"), paths["predictions"])
    decode_pairs(runs, **files, out=folder / "tokens.h5", **OPTIONS)
    options = {"runs": ["run"], "fitted_images": pictures[N_PAIRS:], "seed": 0}
    draw_linear(folder / "tokens.h5", out=folder / "pictures.h5", **options)
    return folder / "pictures.h5", pictures


def test_measured_fmri_draws_what_was_seen(drawn, monkeypatch):
    monkeypatch.setattr("brain2image.evaluation.picture_metrics.SIDE", 64)
    path, pictures = drawn
    seen = np.concatenate([to_square(np.array(image)[None]) for image in pictures[:N_PAIRS]])
    measured, guess = (
        {
            row["metric"]: row
            for row in score_pictures(
                read_drawn(path, name), seen, np.arange(N_PAIRS), weights={}, clip=None, **OPTIONS
            )
        }
        for name in ("measured_fmri", "run")
    )
    assert measured["pixcorr"]["value"] > 0.8
    assert measured["pixcorr"]["p"] < 0.02
    assert guess["pixcorr"]["value"] < 0.5


def test_only_the_runs_that_were_asked_for_are_drawn(drawn):
    path, _ = drawn
    assert drawn_runs(path) == ["measured_fmri", "run"]
    assert read_drawn(path, "run").shape == (N_PAIRS, 1, 64, 64, 3)
    with h5py.File(path) as file:
        assert file.attrs["n_fitted"] == N_FITTED
        assert file.attrs["alpha"] > 0


def test_the_nulls_are_the_mean_and_the_eeg_of_others(drawn):
    path, pictures = drawn
    expected = np.mean([np.asarray(image.resize((64, 64)), float) for image in pictures[N_PAIRS:]], axis=0)
    np.testing.assert_allclose(read_drawn(path, MEAN)[0, 0], expected, atol=1)
    for n_pairs in (2, 5, N_PAIRS):
        others = shuffled_pairs(n_pairs)
        assert sorted(others) == list(range(n_pairs))
        assert all(other != own for own, other in enumerate(others))


def test_pixels_are_those_of_the_small_picture(drawn):
    _, pictures = drawn
    expected = np.asarray(pictures[0].resize((64, 64)), float).ravel() / 255
    np.testing.assert_allclose(to_pixels(pictures[:2])[0], expected, atol=1e-6)


def test_tokens_are_averaged_over_neighbours(tmp_path, rng):
    values = rng.standard_normal((2, 3, 10)).astype(np.float16)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        found = reduce_tokens(file.create_dataset("t", data=values), n_kept=9)
    expected = values[:, :, :9].astype(np.float32).reshape(2, 3, 3, 3).mean(axis=3).reshape(2, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
