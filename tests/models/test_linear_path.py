"""The linear path: the model starts as it, learns from unseen coordinates, is mixed on validation."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.planted import N_CHANNELS, N_FEATURES, OUTPUTS, planted_layout, planted_lmdb, planted_run
from safetensors.torch import load_file

from brain2image.models.alignment import AlignmentModel
from brain2image.models.linear_path import LinearPath
from brain2image.models.regression import N_FOLDS, blocks, fit_axis_ridge
from brain2image.training.start import build_model, start_linearly
from brain2image.training.task import SHARES
from brain2image.training.train import train
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

RUN = planted_run(model={"linear_axes": 6})


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def started(lmdb):
    """The model as it starts, its training coordinates, and the regression that it is to be."""
    reader = LMDBReader(lmdb)
    model = build_model(reader, run=RUN, weights=None)
    coordinates = start_linearly(model, reader)
    eeg, targets, pairs = read_pairs(lmdb, "train")
    folds = blocks(pairs["eeg_image"].to_numpy(), N_FOLDS)
    standardised = (targets - targets.mean(axis=0)) / model.target_scale.numpy()
    return model, coordinates, fit_axis_ridge(eeg.reshape(len(eeg), -1), standardised, folds, n_axes=6), folds


def test_the_model_starts_as_the_regression(lmdb, started):
    model, _, regression, _ = started
    eeg, _, _ = read_pairs(lmdb, "test")
    expected = (eeg.reshape(len(eeg), -1) @ regression.weight + regression.offset) @ regression.axes
    predictions = model.standardise(model.predict(eeg)).numpy()
    np.testing.assert_allclose(predictions, expected, atol=2e-3)
    assert np.abs(expected).mean() > 0.3


def test_a_path_alone_takes_over_a_regression(rng):
    n_channels, n_features = 2, 5
    eeg = rng.standard_normal((40, n_channels * 200)).astype(np.float32)
    targets = rng.standard_normal((40, n_features)).astype(np.float32)
    regression = fit_axis_ridge(eeg, targets, blocks(np.arange(40), N_FOLDS), n_axes=3)
    path = LinearPath(RUN.model, n_channels * 200, n_features).eval()
    path.fit(regression)
    expected = (eeg @ regression.weight + regression.offset) @ regression.axes
    found = path(torch.from_numpy(eeg).view(40, n_channels, 200))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_more_axes_than_the_data_have_change_nothing(lmdb):
    reader, eeg = LMDBReader(lmdb), read_pairs(lmdb, "test")[0]
    predictions = []
    for n_axes in (N_FEATURES, 99):
        model = build_model(reader, run=planted_run(model={"linear_axes": n_axes}), weights=None)
        coordinates = start_linearly(model, reader)
        assert coordinates.shape[1] == n_axes
        predictions.append(model.predict(eeg))
    torch.testing.assert_close(*predictions, rtol=1e-4, atol=1e-4)


def test_codes_come_from_regressions_that_have_not_seen_the_picture(lmdb, started):
    _, coordinates, regression, folds = started
    dataset = AlignmentDataset(lmdb, "train", average_trials=3, coordinates=coordinates)
    pairs = LMDBReader(lmdb).pairs_of("train")["pair"].tolist()
    for number in range(0, len(dataset), 7):
        example = dataset[number]
        fold = folds[pairs.index(example["pair"])]
        eeg = example["eeg"].numpy().ravel()
        expected = eeg @ regression.fold_weights[fold] + regression.fold_offsets[fold]
        np.testing.assert_allclose(example["coordinates"], expected, atol=1e-3)
        of_all = eeg @ regression.weight + regression.offset
        assert not np.allclose(expected, of_all, atol=1e-2)


def test_the_networks_loss_does_not_move_a_path_that_is_given():
    model = AlignmentModel(RUN.model, planted_layout(), N_FEATURES)
    eeg, path = 20 * torch.randn(3, N_CHANNELS, 200), torch.randn(3, N_FEATURES)
    model(eeg, path=path).square().sum().backward()
    assert all(weight.grad is None for weight in model.linear_path.parameters())
    own = model.eval()(eeg) - model(eeg, path=torch.zeros_like(path))
    torch.testing.assert_close(own, model.linear_path(eeg), rtol=1e-4, atol=1e-4)


def _train(lmdb, folder, **training):
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    run = planted_run(model={"linear_axes": 6}, training=training)
    train(lmdb, run=run, weights=None, code="0", state=folder.with_suffix(".state"), **outputs)
    return json.loads(outputs["config"].read_text()), pd.read_csv(outputs["history"]), outputs


def test_a_training_that_only_harms_leaves_the_regression(lmdb, tmp_path, started):
    """At such a rate the first steps ruin path and network alike."""
    rate = {"learning_rate": 3.0, "backbone_learning_rate": 3.0, "gradient_clip": 1e6}
    config, history, _ = _train(lmdb, tmp_path / "run", epochs=1, **rate)
    assert config["best_epoch"] == 0
    assert history["val_loss"][0] < history["val_loss"][1]
    eeg, _, _ = read_pairs(lmdb, "test")
    expected = started[0].predict(eeg)
    torch.testing.assert_close(AlignmentModel.load(tmp_path / "run").predict(eeg), expected)


def test_the_share_with_the_least_loss_is_saved(lmdb, tmp_path):
    config, history, outputs = _train(lmdb, tmp_path / "run", epochs=3, learning_rate=1e-3)
    best = history.set_index("epoch").loc[config["best_epoch"]]
    weights = load_file(outputs["model"])
    assert weights["network_share"].item() == best["val_share"]
    model = AlignmentModel.load(tmp_path / "run")
    eeg, targets, _ = read_pairs(lmdb, "val")
    truth = model.standardise(torch.from_numpy(targets))
    errors = {}
    for share in SHARES:
        model.network_share.fill_(share)
        with torch.no_grad():
            errors[share] = (model(torch.from_numpy(eeg)) - truth).square().mean().item()
    assert errors[best["val_share"]] == pytest.approx(best["val_mse"], rel=1e-4)
    assert len(set(errors.values())) == len(SHARES)
