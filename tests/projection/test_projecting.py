"""Projection of betas through a ridge, and of several subjects into one file."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.projections import SOURCE, write_projection
from safetensors.numpy import save_file

from brain2image.formats.hdf5 import link_dataset, read_trials, write_trials
from brain2image.projection import projecting as projection
from brain2image.projection.projecting import combine_projections, project, project_fmri

N_TRIALS, N_VOXELS, N_FEATURES = 10, 30, 12


@pytest.fixture
def ridge(rng):
    weight = rng.standard_normal((N_FEATURES, N_VOXELS)).astype(np.float32)
    return weight, rng.standard_normal(N_FEATURES).astype(np.float32)


@pytest.fixture
def betas(rng):
    return rng.standard_normal((N_TRIALS, N_VOXELS)).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(projection, "BLOCK_TRIALS", 4)


def trial_table(n_trials=N_TRIALS):
    return pd.DataFrame({"image": np.arange(n_trials), "repetition": np.zeros(n_trials, int)})


def write_inputs(folder, betas, ridge):
    """A betas file that holds only a link to the betas, and a ridge."""
    with h5py.File(folder / "raw.hdf5", "w") as file:
        file["betas"] = betas
    with h5py.File(folder / "betas.h5", "w") as file:
        link_dataset(file, "betas", folder / "raw.hdf5", out=folder / "betas.h5")
        write_trials(file, trial_table(len(betas)))
    save_file({"weight": ridge[0], "bias": ridge[1]}, folder / "ridge.safetensors", metadata=SOURCE)


def run(folder):
    project_fmri(folder / "betas.h5", folder / "ridge.safetensors", out=folder / "out.h5")


def test_projection_equals_a_linear_layer(betas, ridge, monkeypatch):
    monkeypatch.setattr(projection, "compute_device", lambda: "cpu")  # tests/gpu has it on a GPU
    (result,) = project([betas], *ridge)
    layer = torch.nn.Linear(N_VOXELS, N_FEATURES)
    layer.load_state_dict({"weight": torch.tensor(ridge[0]), "bias": torch.tensor(ridge[1])})
    np.testing.assert_allclose(result, layer(torch.tensor(betas)).detach(), atol=1e-5)


def test_a_file_is_projected_block_by_block(tmp_path, betas, ridge, small_blocks):
    write_inputs(tmp_path, betas, ridge)
    run(tmp_path)
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_allclose(file["embedding"][:], betas @ ridge[0].T + ridge[1], atol=1e-4)
        assert file["embedding"].dtype == np.float32
        pd.testing.assert_frame_equal(read_trials(file), trial_table())
        assert dict(file.attrs) == SOURCE


# ---- several subjects


def test_subjects_follow_each_other_and_share_their_repetitions(tmp_path, rng, small_blocks):
    images = {"subj02": [7, 5, 7, 7, 9], "subj05": [5, 7, 1], "subj07": [7]}
    embeddings = {
        name: rng.standard_normal((len(shown), 4)).astype(np.float32) for name, shown in images.items()
    }
    paths = [write_projection(tmp_path / name, embeddings[name], images[name]) for name in images]
    combine_projections(paths, subjects=list(images), out=tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["embedding"][:], np.concatenate(list(embeddings.values())))
        trials = read_trials(file)
        assert dict(file.attrs) == SOURCE
    assert trials["image"].tolist() == [image for shown in images.values() for image in shown]
    assert trials["subject"].tolist() == [2] * 5 + [5] * 3 + [7]
    assert trials["repetition"].tolist() == [0, 0, 1, 2, 0, 1, 3, 0, 4]
    assert trials["session"].tolist() == [0, 0, 1, 1, 2, 0, 0, 1, 0]
