"""Training on a small planted signal: it learns, is reproducible, honest about its inputs, and quiet."""

import json
import logging
import math
import runpy
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.planted import (
    ALL,
    N_ALONE,
    N_CLUSTERS,
    N_FEATURES,
    OUTPUTS,
    SPLITS,
    planted_layout,
    planted_lmdb,
    planted_run,
)
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain2image.config import RunConfig
from brain2image.constants.training_keys import WITHOUT_EFFECT
from brain2image.core.errors import InputError
from brain2image.evaluation.predict import predict_pairs
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.cbramod import CBraMod, CBraModEncoder
from brain2image.models.losses import AlignmentLoss
from brain2image.training.judging import top1
from brain2image.training.resume import SIGNALS
from brain2image.training.start import build_model
from brain2image.training.task import parameter_groups, rate_factor
from brain2image.training.train import train
from brain2image.training_set import means as training_means
from brain2image.training_set.batches import AlignmentDataset
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import list_trials, read_pairs, trial_means

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


def _train(lmdb, folder, run, weights=None):
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, weights=weights, code="0", state=folder.with_suffix(".state"), **outputs)
    return outputs


@pytest.mark.parametrize(("linear_axes", "n_epochs"), [(0, 18), (64, 3)])
def test_planted_signal_is_found(lmdb, tmp_path, caplog, linear_axes, n_epochs):
    run = planted_run(
        model={"linear_axes": linear_axes},
        training={"epochs": n_epochs, "learning_rate": 2e-3, "backbone_learning_rate": 5e-4},
    )
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with caplog.at_level(logging.INFO):
        outputs = _train(lmdb, tmp_path / "run", run)
    # else what the process does next could not be stopped
    assert [signal.getsignal(number) for number in SIGNALS] == handlers
    eeg, targets, _ = read_pairs(lmdb, "test")
    model = AlignmentModel.load(tmp_path / "run")
    predictions = model.predict(eeg)
    # chance is 0.1; P(5 or more hits of 10) by chance is 0.0016
    assert top1(model.standardise(predictions), model.standardise(torch.from_numpy(targets))) >= 0.5
    error = (predictions.numpy() - targets) ** 2
    assert error.mean() < 0.7 * np.mean((targets - model.target_mean.numpy()) ** 2)
    history = pd.read_csv(outputs["history"])
    assert history["epoch"].tolist() == list(range(n_epochs + 1))
    assert not torch.utils.deterministic.fill_uninitialized_memory  # a kernel for each new tensor on a GPU
    if linear_axes:  # the path finds a linear signal before the first step
        assert history["val_top1"][0] >= 0.5
    else:
        assert history["val_top1"][0] < 0.5
        assert history["train_loss"].iloc[-1] < 0.5 * history["train_loss"].iloc[1]
    assert json.loads(outputs["config"].read_text())["best_epoch"] == history["val_loss"].idxmin()
    assert "epoch 0 of" in caplog.text and "before the first step, val loss" in caplog.text
    assert "nan" not in caplog.text
    lines = [record.name for record in caplog.records]
    assert lines == [
        "brain2image.core.devices",
        "brain2image.training.train",
        *["brain2image.training.task"] * (n_epochs + 1),
    ]


def test_outputs(lmdb, tmp_path, capfd):
    outputs = _train(lmdb, tmp_path / "run", planted_run())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(OUTPUTS.values())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    config = json.loads(outputs["config"].read_text())
    assert RunConfig(**{name: config[name] for name in ("model", "loss", "training")}) == planted_run()
    assert config["eeg"]["unit"] == "uV"
    assert config["eeg"]["scale"] == pytest.approx(0.01)
    assert config["query_effect"] == 0
    assert (config["n_features"], config["fmri"]["checkpoint"]) == (N_FEATURES, "synthetic")
    assert config["learned_from"] == {
        "targets": "measured",
        "people": ["data"],
        "n_pictures": 40,
        "n_items": 40,
    }
    weights, (_, targets, _) = load_file(outputs["model"]), read_pairs(lmdb, "train")
    np.testing.assert_allclose(weights["target_mean"], targets.mean(axis=0), rtol=1e-5)
    common = (targets - targets.mean(axis=0)).std()
    np.testing.assert_allclose(weights["target_scale"], np.full(N_FEATURES, common), rtol=1e-5)
    history = pd.read_csv(outputs["history"])
    terms = {
        f"{part}_{term}" for part in ("train", "val") for term in ("loss", "mse", "info_nce", "prototype")
    }
    terms |= {"val_top1", "val_share", "train_gradient_norm", "lr_backbone", "lr_head"}
    assert set(history) == {"epoch", *terms}
    assert (history["train_gradient_norm"][1:] > 0).all()
    assert history["lr_head"].iloc[-1] == pytest.approx(0, abs=1e-9)
    events = EventAccumulator(str(outputs["tensorboard"]))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {name.replace("_", "/", 1) for name in terms}
    named = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"training.batch_size" in named and b"model.encoder" in named


@pytest.mark.parametrize(
    ("training", "n_pictures", "n_items"),
    [
        ({"targets": "predicted"}, 40, 40),
        ({"targets": "predicted", "pictures": "all"}, 40 + N_ALONE, 40 + N_ALONE),
        ({**ALL, "measured_weight": 2.0}, 40 + N_ALONE, 80 + N_ALONE),
    ],
)
def test_all_pictures_are_learned_from(lmdb, tmp_path, monkeypatch, training, n_pictures, n_items):
    """Each item once an epoch with each of its trials, and with the weight that it was given."""
    seen, validated, forward = Counter(), [], AlignmentLoss.forward

    def watch(loss, predictions, targets, images, clusters, *weights):
        if weights:
            rows = zip(images.tolist(), weights[0].tolist(), strict=True)
            seen.update((image, round(weight, 4)) for image, weight in rows)
        else:
            validated.extend(images.tolist())
        return forward(loss, predictions, targets, images, clusters, *weights)

    monkeypatch.setattr(AlignmentLoss, "forward", watch)
    run = planted_run(model={"pooling": "none"}, training={"epochs": 1, "batch_size": 12} | training)
    outputs = _train(lmdb, tmp_path / "run", run)
    config = json.loads(outputs["config"].read_text())
    expected = {"targets": training["targets"], "n_pictures": n_pictures, "n_items": n_items}
    assert config["learned_from"] == expected | {"people": ["data"]}
    assert config["predicted"]["predicted"]
    assert len({image for image, _ in seen}) == n_pictures
    assert set(seen.values()) == {3}
    mean = (2 * 40 + 40 + N_ALONE) / n_items if "measured_weight" in training else 1
    weights = {round(weight / mean, 4) for weight in (1, 2)[: 2 if "measured_weight" in training else 1]}
    assert {weight for _, weight in seen} == weights
    assert validated == 2 * list(range(40, 50))  # all alike


def test_without_pooling_the_linear_path_is_trained_alone(lmdb, tmp_path):
    """No encoder, so no published weights either."""
    run = planted_run(
        model={"pooling": "none", "pretrained": True}, training={"epochs": 4, "learning_rate": 3e-3, **ALL}
    )
    outputs = _train(lmdb, tmp_path / "run", run)
    config, history = json.loads(outputs["config"].read_text()), pd.read_csv(outputs["history"])
    assert config["encoder"] is None
    assert (config["network_share"], config["query_effect"]) == (None, 0)
    assert {name: config[name] for name in ("people", "model", "loss", "training")} == run.model_dump()
    assert not any(name.startswith("lr_backbone") for name in history)
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[1]
    weights = load_file(outputs["model"])
    assert not any(name.startswith(("encoder.", "head.", "alignment.")) for name in weights)
    assert weights["network_share"] == 0
    model = AlignmentModel.load(tmp_path / "run")
    assert model.encoder is None
    predict_pairs(outputs["model"], lmdb, out=tmp_path / "predictions.npz")
    content, (eeg, targets, _) = np.load(tmp_path / "predictions.npz"), read_pairs(lmdb, "test")
    np.testing.assert_array_equal(content["predictions"], model.predict(eeg))
    assert content["target_dependence"] == 0
    # chance is 0.1; P(5 or more hits of 10) by chance is 0.0016
    truth = model.standardise(torch.from_numpy(targets))
    assert top1(model.standardise(torch.from_numpy(content["predictions"])), truth) >= 0.5


def test_same_seed_same_weights(lmdb, tmp_path):
    runs = [
        _train(lmdb, tmp_path / name, planted_run(training={"seed": seed}))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, again, other = (load_file(run["model"]) for run in runs)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["alignment.value.weight"], other["alignment.value.weight"])
    assert runs[0]["history"].read_text() == runs[1]["history"].read_text()


def test_best_epoch_is_restored(lmdb, tmp_path):
    """The saved weights score as the best epoch did, at a rate that overshoots."""
    run = planted_run(training={"epochs": 6, "learning_rate": 0.03})
    outputs = _train(lmdb, tmp_path / "run", run)
    history = pd.read_csv(outputs["history"])
    eeg, targets, _ = read_pairs(lmdb, "val")
    model = AlignmentModel.load(tmp_path / "run")
    with torch.no_grad():
        error = (model(torch.from_numpy(eeg)) - model.standardise(torch.from_numpy(targets))).square().mean()
    assert error.item() == pytest.approx(history.loc[history["val_loss"].idxmin(), "val_mse"], rel=1e-4)


@pytest.mark.parametrize(
    "model",
    [{}, {"pooling": "multitoken_vit", "alignment": "multi_token", "n_tokens": 2, "pooling_layers": 1}],
)
def test_targets_cannot_reach_predictions(tmp_path, model):
    """Training on the same pairs but shuffled test targets gives bit-identical test predictions."""
    predictions = []
    for shuffle in (False, True):
        folder = tmp_path / str(shuffle)
        folder.mkdir()
        data = planted_lmdb(folder, shuffle_targets=shuffle)
        outputs = _train(data, folder / "run", planted_run(model=model, training={"epochs": 1}))
        predict_pairs(outputs["model"], data, out=folder / "predictions.npz")
        predictions.append(np.load(folder / "predictions.npz"))
    assert not np.array_equal(predictions[0]["targets"], predictions[1]["targets"])
    np.testing.assert_array_equal(predictions[0]["predictions"], predictions[1]["predictions"])


def test_predictions_file(lmdb, tmp_path):
    outputs = _train(lmdb, tmp_path / "run", planted_run(training={"epochs": 1}))
    predict_pairs(outputs["model"], lmdb, out=tmp_path / "predictions.npz")
    content = np.load(tmp_path / "predictions.npz")
    eeg, targets, pairs = read_pairs(lmdb, "test")
    np.testing.assert_array_equal(content["predictions"], AlignmentModel.load(tmp_path / "run").predict(eeg))
    np.testing.assert_array_equal(content["targets"], targets)
    for name in ("eeg_image", "fmri_image"):
        assert content[name].dtype == np.int64
        np.testing.assert_array_equal(content[name], pairs[name])
    assert content["target_mean"].shape == (N_FEATURES,)
    assert content["predictions"].dtype == np.float32


def test_whitened_eeg_comes_into_the_range_of_cbramod(tmp_path):
    data = planted_lmdb(tmp_path, unit="whitened")
    model = build_model(LMDBReader(data), run=planted_run(), weights=None)
    trials = AlignmentDataset(data, "train")
    eeg = torch.stack([trials[number]["eeg"] for number in range(len(trials))])
    rms = (model.eeg_scale * eeg).square().mean().sqrt().item()
    assert rms == pytest.approx(CBraModEncoder.rms, rel=1e-4)


def test_the_mean_response_of_the_training_is_kept(lmdb, monkeypatch):
    reader = LMDBReader(lmdb)
    images = reader.pairs_of("train")["eeg_image"]
    found = trial_means(reader, "eeg", list_trials(reader.eeg_index, images))
    expected = found.mean(axis=0)  # of each pair as many trials
    model = build_model(reader, run=planted_run(), weights=None)
    np.testing.assert_allclose(model.mean_response, expected, atol=1e-4)
    monkeypatch.setattr(training_means, "RESPONSE_TRIALS", 50)
    some = build_model(reader, run=planted_run(), weights=None).mean_response
    assert 0 < (some - model.mean_response).abs().max() < 10


def test_pretrained_weights_are_taken(lmdb, tmp_path):
    torch.manual_seed(3)
    torch.save(CBraMod().state_dict(), tmp_path / "weights.pth")
    run = planted_run(model={"pretrained": True})
    model = build_model(LMDBReader(lmdb), run=run, weights=tmp_path / "weights.pth")
    published = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert all(
        torch.equal(value, published[name]) for name, value in model.encoder.network.state_dict().items()
    )
    with pytest.raises(InputError, match="expected published weights of cbramod, got none"):
        build_model(LMDBReader(lmdb), run=run, weights=None)


def test_a_learned_temperature_has_its_own_group():
    run = planted_run(loss={"learnable_temperature": True})
    model, loss = AlignmentModel(run.model, planted_layout(), N_FEATURES), AlignmentLoss(run.loss, N_CLUSTERS)
    (group,) = (group for group in parameter_groups(model, loss, run) if group["name"] == "temperature")
    assert group["params"] == [loss.log_temperature]
    assert (group["lr"], group["weight_decay"]) == (run.training.learning_rate, 0)


def test_a_temperature_is_learned(lmdb, tmp_path):
    outputs = _train(lmdb, tmp_path / "run", planted_run(loss={"learnable_temperature": True}))
    learned = pd.read_csv(outputs["history"])["val_temperature"]
    assert learned[0] == pytest.approx(0.2, rel=1e-5)
    assert learned[1] != pytest.approx(0.2, rel=1e-5)
    assert learned[2] != pytest.approx(learned[1], rel=1e-5)
    AlignmentModel.load(tmp_path / "run")  # the loss's parameter is none of the model's


def test_parameter_groups_hold_every_parameter_once():
    run = planted_run()
    model = AlignmentModel(run.model, planted_layout(), N_FEATURES)
    groups = parameter_groups(model, AlignmentLoss(run.loss, N_CLUSTERS), run)
    grouped = [parameter for group in groups for parameter in group["params"]]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(grouped) == len(trained)
    assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in trained}
    backbone = {id(parameter) for parameter in model.encoder.parameters()}
    for group in groups:
        is_backbone = group["name"] == "backbone"
        training = run.training
        assert group["lr"] == (training.backbone_learning_rate if is_backbone else training.learning_rate)
        for parameter in group["params"]:
            assert (id(parameter) in backbone) == is_backbone
            assert (group["weight_decay"] > 0) == (parameter.ndim > 1)


@pytest.mark.parametrize("n_steps", [1, 7, 200])
def test_rates_rise_then_fall_to_zero(n_steps):
    factors = np.array([rate_factor(step, n_steps) for step in range(n_steps + 1)])
    peak = factors.argmax()
    assert peak <= max(1, 0.05 * n_steps)
    assert factors[peak] > 0.95
    assert (np.diff(factors[: peak + 1]) > 0).all()
    assert (np.diff(factors[peak:]) < 0).all()
    assert factors[0] > 0
    assert factors[-1] == pytest.approx(0)


@pytest.mark.parametrize(("batch_size", "note"), [(7, None), (119, None), (500, "is reduced to all 120")])
def test_awkward_batch_sizes(lmdb, tmp_path, caplog, batch_size, note):
    """120 trials: the last batch of 7 would hold one row, as would that of 119."""
    with caplog.at_level(logging.INFO):
        outputs = _train(lmdb, tmp_path, planted_run(training={"epochs": 1, "batch_size": batch_size}))
    assert math.isfinite(pd.read_csv(outputs["history"])["train_info_nce"].iloc[-1])
    assert (note in caplog.text) if note else ("reduced" not in caplog.text)


def test_diverging_training_is_reported(lmdb, tmp_path):
    run = planted_run(training={"epochs": 20, "learning_rate": 1e30, "gradient_clip": 1e30})
    with pytest.raises(InputError, match=r"expected a finite loss, got (nan|inf) in epoch \d+; lower"):
        _train(lmdb, tmp_path / "run", run)
    assert not (tmp_path / "run").exists()


def _snakemake(folder, **fields):
    return SimpleNamespace(rule="test", threads=1, log=[str(folder / "log.txt")], **fields)


class _Input(dict):
    """Snakemake's named files: attributes and get()."""

    __getattr__ = dict.__getitem__


def test_scripts(lmdb, tmp_path):
    level, handlers = logging.root.level, logging.root.handlers[:]
    data, run = lmdb.parent, tmp_path / "run"
    params = json.loads(planted_run(training={"epochs": 1, **ALL}).model_dump_json())
    without_effect = {name: params["training"].pop(name) for name in WITHOUT_EFFECT}
    params["learners"] = {"people": params.pop("people")}
    steps = {
        "build_lmdb": {
            "input": _Input(
                eeg=data / "eeg.h5",
                projection=data / "projection.h5",
                pairs=data / "pairs.parquet",
                eeg_pictures=data / "pictures.parquet",
                predicted=data / "predicted.h5",
                learnable=data / "learnable.parquet",
            ),
            "params": SimpleNamespace(options={"drop_overlapping_trials": True, "eeg_dtype": "float16"}),
            "output": _Input(lmdb=tmp_path / "data.lmdb"),
        },
        "train": {
            "input": _Input(lmdbs=[tmp_path / "data.lmdb"]),
            "params": SimpleNamespace(
                code="0", state=tmp_path / "state", without_effect=without_effect, **params
            ),
            "resources": SimpleNamespace(gpu=1),
            "output": _Input({name: run / file for name, file in OUTPUTS.items()}),
        },
        "predict": {
            "input": _Input(
                lmdb=tmp_path / "data.lmdb", model=run / OUTPUTS["model"], config=run / OUTPUTS["config"]
            ),
            "params": SimpleNamespace(hearing={"interpolates": False}),
            "output": _Input(predictions=run / "predictions.npz"),
        },
    }
    try:
        for name, fields in steps.items():
            fake = _snakemake(tmp_path, **fields)
            runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": fake})
    finally:
        logging.captureWarnings(False)
        logging.basicConfig(level=level, handlers=handlers, force=True)
    assert np.load(run / "predictions.npz")["predictions"].shape == (SPLITS["test"], N_FEATURES)
    assert "lightning" not in (tmp_path / "log.txt").read_text().lower()
