"""The linear path: the model starts as it, learns from unseen coordinates, is mixed on validation."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.planted import ALL, N_CHANNELS, N_FEATURES, OUTPUTS, planted_layout, planted_lmdb, planted_run
from safetensors.torch import load_file

from brain2image.models.alignment import AlignmentModel
from brain2image.models.linear_path import LinearPath
from brain2image.models.regression import N_FOLDS, AxisRidge, fit_axis_ridge, fold_by_group
from brain2image.models.windows import Windows
from brain2image.training.start import build_model, start_linearly
from brain2image.training.task import SHARES
from brain2image.training.train import train
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.items import encode_items, item_targets, item_weights, list_items
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import read_pairs

RUN = planted_run(model={"linear_axes": 6})


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


WEIGHTED = {**ALL, "measured_weight": 3.0}


class Start(NamedTuple):
    """A model as it starts, its training coordinates, and the regression of window means that it is to be."""

    model: AlignmentModel
    coordinates: np.ndarray
    regression: AxisRidge
    windows: Windows
    fold_of: dict[int, int]  # by picture


def start(lmdb, run=RUN):
    reader, options = LMDBReader(lmdb), run.training
    model = build_model(reader, run=run, weights=None)
    coordinates = start_linearly(model, reader, run)
    items = list_items(reader, "train", targets=options.targets, pictures=options.pictures)
    windows = Windows(200, 200.0, run.model.linear_window)
    folds = fold_by_group(items["concept"].to_numpy(), N_FOLDS)
    regression = fit_axis_ridge(
        encode_items(reader, items, windows.average),
        (item_targets(reader, items) - model.target_mean.numpy()) / model.target_scale.numpy(),
        folds,
        n_axes=run.model.linear_axes,
        weights=item_weights(items, measured=options.measured_weight),
    )
    return Start(model, coordinates, regression, windows, dict(zip(items["image"], folds, strict=True)))


@pytest.fixture
def started(lmdb):
    return start(lmdb)


@pytest.mark.parametrize(
    "run",
    [
        RUN,
        planted_run(model={"linear_axes": 6, "linear_window": 0.0}),
        planted_run(model={"linear_axes": 6}, training=WEIGHTED),
        planted_run(model={"linear_axes": 6, "pooling": "none"}, training={"targets": "predicted"}),
    ],
    ids=["pairs", "every sample", "all pictures", "path alone"],
)
def test_the_model_starts_as_the_regression(lmdb, run):
    model, _, regression, windows, _ = start(lmdb, run)
    eeg, targets, _ = read_pairs(lmdb, "test")
    expected = (windows.average(eeg) @ regression.weight + regression.offset) @ regression.axes
    predictions = model.standardise(model.predict(eeg)).numpy()
    np.testing.assert_allclose(predictions, expected, atol=2e-3)
    assert np.abs(expected).mean() > 0.3
    assert np.square(predictions - model.standardise(torch.from_numpy(targets)).numpy()).mean() < 0.5


def test_targets_are_standardised_by_the_measured_ones(lmdb):
    """Whatever is learned from, as predictions are compared with measured embeddings."""
    models = [
        start(lmdb, planted_run(training=options)).model for options in ({}, {"targets": "predicted"}, ALL)
    ]
    for model in models[1:]:
        assert torch.equal(model.target_mean, models[0].target_mean)
        assert torch.equal(model.target_scale, models[0].target_scale)


def test_a_path_alone_takes_over_a_regression(rng):
    n_channels, n_features = 2, 5
    eeg = rng.standard_normal((40, n_channels * 200)).astype(np.float32)
    targets = rng.standard_normal((40, n_features)).astype(np.float32)
    regression = fit_axis_ridge(eeg, targets, np.arange(40) % N_FOLDS, n_axes=3)
    path = LinearPath(RUN.model, n_channels * 200, n_features).eval()
    path.fit(regression)
    expected = (eeg @ regression.weight + regression.offset) @ regression.axes
    found = path(torch.from_numpy(eeg).view(40, n_channels, 200))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_more_axes_than_the_data_have_change_nothing(lmdb):
    reader, eeg = LMDBReader(lmdb), read_pairs(lmdb, "test")[0]
    predictions = []
    for n_axes in (N_FEATURES, 99):
        run = planted_run(model={"linear_axes": n_axes})
        model = build_model(reader, run=run, weights=None)
        coordinates = start_linearly(model, reader, run)
        assert coordinates.shape[1] == n_axes
        predictions.append(model.predict(eeg))
    torch.testing.assert_close(*predictions, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("learned", [{}, WEIGHTED], ids=["pairs", "all pictures"])
def test_codes_come_from_regressions_that_have_not_seen_the_concept(lmdb, learned):
    _, coordinates, regression, windows, fold_of = start(
        lmdb, planted_run(model={"linear_axes": 6}, training=learned)
    )
    options = {"average_trials": 3, "coordinates": coordinates}
    dataset = AlignmentDataset(lmdb, "train", **options, **learned)
    assert len(fold_of) == len(set(dataset.items["image"])) == (52 if learned else 40)
    for number in range(0, len(dataset), 7):
        example = dataset[number]
        fold = fold_of[example["image"]]
        eeg = windows.average(example["eeg"].numpy()[None])[0]
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
    expected = started.model.predict(eeg)
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
