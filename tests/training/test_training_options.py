"""Each option of the training does what it says, and bad input ends with a sentence."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.planted import (
    N_CHANNELS,
    N_CLUSTERS,
    N_FEATURES,
    OUTPUTS,
    planted_layout,
    planted_lmdb,
    planted_run,
)
from safetensors.torch import load_file
from torch.multiprocessing import ProcessRaisedException

from brain2image.core.errors import InputError
from brain2image.models.alignment import AlignmentModel
from brain2image.models.losses import AlignmentLoss
from brain2image.training import start as initialisation
from brain2image.training import train as training
from brain2image.training.judging import is_finished
from brain2image.training.last_words import explained_errors
from brain2image.training.task import AlignmentTask, parameter_groups
from brain2image.training_set.lmdb_store import LMDBReader

MSE_ONLY = {"info_nce": 0.0, "prototype": 0.0}


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def train_run(lmdb, tmp_path):
    """Train; returns the saved weights and the history."""

    def run_in(run, name="run", data=lmdb, **options):
        outputs = {key: tmp_path / name / file for key, file in OUTPUTS.items()}
        state = tmp_path / f"{name}.state"
        training.train(data, run=run, weights=None, code="0", state=state, **options, **outputs)
        return load_file(outputs["model"]), pd.read_csv(outputs["history"])

    return run_in


@pytest.fixture
def without_dropout(monkeypatch):
    step = AlignmentTask.training_step
    monkeypatch.setattr(
        AlignmentTask, "training_step", lambda task, *batch: (task.model.eval(), step(task, *batch))[1]
    )


def assert_close(first, second, **tolerance):
    for name in first:
        torch.testing.assert_close(first[name], second[name], **tolerance)


def test_two_batches_of_ten_step_like_one_of_twenty(train_run, without_dropout):
    parts = {
        "halves": {"batch_size": 10, "accumulate_batches": 2},
        "whole": {"batch_size": 20},
        "small": {"batch_size": 10},
    }
    weights = {
        name: train_run(planted_run(loss=MSE_ONLY, training=part | {"epochs": 1}), name)[0]
        for name, part in parts.items()
    }
    assert_close(weights["halves"], weights["whole"], rtol=1e-3, atol=2e-6)
    with pytest.raises(AssertionError):
        assert_close(weights["small"], weights["whole"], rtol=1e-3, atol=2e-6)


def test_half_precision_products_but_full_precision_loss(train_run, monkeypatch):
    seen, terms, forward = [], AlignmentLoss.forward, AlignmentModel.forward

    def watch(model, *arguments, **options):
        output = forward(model, *arguments, **options)
        seen.append(output.dtype)
        return output

    def watch_terms(loss, *rows):
        result = terms(loss, *rows)
        seen.append(result["loss"].dtype)
        return result

    (_, expected) = train_run(planted_run(training={"epochs": 1}), "full")
    monkeypatch.setattr(AlignmentModel, "forward", watch)
    monkeypatch.setattr(AlignmentLoss, "forward", watch_terms)
    weights, history = train_run(planted_run(training={"epochs": 1, "precision": "bf16"}), "half")
    assert seen[:2] == [torch.bfloat16, torch.float32]
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert history["val_loss"].tolist() == pytest.approx(expected["val_loss"].tolist(), rel=0.05)
    assert history["val_loss"].tolist() != expected["val_loss"].tolist()


def test_fp16_without_a_gpu_is_refused(train_run, monkeypatch):
    monkeypatch.setattr(training, "compute_devices", lambda n: ["cpu"])
    with pytest.raises(InputError, match="precision: fp16 needs a GPU and none was found; use bf16 or fp32"):
        train_run(planted_run(training={"precision": "fp16"}))


def test_rates_fall_from_layer_to_layer():
    run = planted_run(model={"n_layers": 3}, training={"layer_decay": 0.5, "backbone_learning_rate": 8e-5})
    model = AlignmentModel(run.model, planted_layout(), N_FEATURES)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {
        names[id(parameter)]: group["lr"]
        for group in parameter_groups(model, AlignmentLoss(run.loss, N_CLUSTERS), run)
        for parameter in group["params"]
    }
    expected = {
        "encoder.network.patch_embedding.": 1e-5,
        "encoder.network.encoder.layers.0.": 2e-5,
        "encoder.network.encoder.layers.1.": 4e-5,
        "encoder.network.encoder.layers.2.": 8e-5,
        "head.": run.training.learning_rate,
        "alignment.": run.training.learning_rate,
        "linear_path.": run.training.learning_rate,
    }
    for name, rate in rates.items():
        (start,) = (start for start in expected if name.startswith(start))
        assert rate == pytest.approx(expected[start]), name
    assert len(rates) == sum(parameter.requires_grad for parameter in model.parameters())


def test_the_average_is_what_a_plain_loop_says_and_is_saved(train_run, monkeypatch):
    step, averages, n_steps = torch.optim.AdamW.step, [], [0]

    def watch(optimizer, *arguments, **options):
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        if not averages:
            averages.extend(weight.detach().clone() for weight in weights)
        result = step(optimizer, *arguments, **options)
        n_steps[0] += 1
        decay = min(0.6, (1 + n_steps[0]) / (10 + n_steps[0]))
        for average, weight in zip(averages, weights, strict=True):
            average.copy_(decay * average + (1 - decay) * weight.detach())
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    run = planted_run(training={"epochs": 1, "ema_decay": 0.6})
    saved, _ = train_run(run)
    reference = AlignmentModel(run.model, planted_layout(), N_FEATURES)
    reference.load_state_dict(saved)
    groups = parameter_groups(reference, AlignmentLoss(run.loss, N_CLUSTERS), run)
    expected = [weight for group in groups for weight in group["params"]]
    assert n_steps[0] == 8
    for average, weight in zip(averages, expected, strict=True):
        torch.testing.assert_close(average, weight.detach(), rtol=1e-3, atol=5e-6)


def test_training_stops_when_nothing_gets_better(train_run, monkeypatch):
    losses = iter([6.0, 5.0, 4.0, 4.5, 4.2, 4.1, 3.0])
    forward = AlignmentLoss.forward

    def scripted(loss, *rows):
        result = forward(loss, *rows)
        return result if loss.training else result | {"loss": torch.tensor(next(losses))}

    monkeypatch.setattr(AlignmentLoss, "forward", scripted)
    run = planted_run(model={"linear_axes": 0}, training={"epochs": 9, "patience": 3})
    _, history = train_run(run)
    assert history["val_loss"].tolist() == pytest.approx([6.0, 5.0, 4.0, 4.5, 4.2, 4.1])
    assert train_run(run)[1].equals(history)  # a stopped training stays stopped


@pytest.mark.parametrize(
    ("n_epochs", "best_epoch", "patience", "expected"),
    [(4, 1, 0, False), (5, 5, 0, True), (4, 1, 3, True), (4, 2, 3, False)],
)
def test_when_a_training_is_finished(n_epochs, best_epoch, patience, expected):
    options = planted_run(training={"epochs": 5, "patience": patience}).training
    assert is_finished(n_epochs, best_epoch, options) is expected


def test_compiled_training_learns_the_same(train_run, without_dropout, monkeypatch):
    """Traced, but run by PyTorch itself, as a compiler may be missing; it draws other dropout.

    The three batches are of one size, as another one would be traced anew, which takes most of the time.
    """
    calls, options = [], {"epochs": 1, "batch_size": 40}

    def compile_eagerly(model):
        calls.append(model)
        torch.nn.Module.compile(model, backend="eager")

    expected, _ = train_run(planted_run(training=options), "plain")
    monkeypatch.setattr(AlignmentModel, "compile", compile_eagerly, raising=False)
    weights, _ = train_run(planted_run(training=options | {"compile": True}), "compiled")
    assert len(calls) == 1
    assert_close(weights, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_memory_and_workers_train_the_same(train_run, limit):
    """The file is read by two workers."""
    run = planted_run(training={"epochs": 1, "memory_limit_gb": limit})
    weights, _ = train_run(run, n_workers=2)
    expected, _ = train_run(planted_run(training={"epochs": 1}), "expected")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_microvolts_need_no_trials_for_their_scale(lmdb, monkeypatch):
    monkeypatch.setattr(initialisation, "person_responses", lambda *_: np.zeros((1, N_CHANNELS, 200)))
    read, names = LMDBReader.read, []
    monkeypatch.setattr(
        LMDBReader,
        "read",
        lambda reader, name, trials: (names.extend([name] * len(trials)), read(reader, name, trials))[1],
    )
    initialisation.build_model(LMDBReader(lmdb), run=planted_run(), weights=None)
    assert set(names) == {"fmri"}


def test_an_empty_split_is_named(train_run, tmp_path):
    data = planted_lmdb(tmp_path, splits={"train": 40, "test": 10})
    with pytest.raises(
        InputError, match="expected pairs of split 'val', got none; this file has test, train"
    ):
        train_run(planted_run(), data=data)
    assert not (tmp_path / "run").exists()


def test_fewer_examples_than_devices(train_run, monkeypatch):
    monkeypatch.setattr(training, "compute_devices", lambda n: ["cpu"] * n)
    message = "expected at least 3 training examples in a batch, got 120 in all and training.batch_size 2"
    with pytest.raises(InputError, match=message):
        train_run(planted_run(training={"batch_size": 2}), n_devices=3)


TOO_SMALL = "the GPU's memory is too small for training.batch_size 16; lower it and raise"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines"), TOO_SMALL),
        (
            ProcessRaisedException("Traceback:\ntorch.OutOfMemoryError: CUDA out of memory.\n", 1, 9),
            TOO_SMALL,
        ),
        (ProcessRaisedException("Traceback:\nbrain2image.errors.InputError: a b\n", 1, 9), "^a b$"),
    ],
)
def test_errors_of_the_device_and_of_other_processes(train_run, monkeypatch, tmp_path, error, message):
    def fail(*_):
        raise error

    monkeypatch.setattr(AlignmentTask, "training_step", fail)
    with pytest.raises(InputError, match=message):
        train_run(planted_run())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error", [ValueError("x"), ProcessRaisedException("Traceback:\nKeyError: 1\n", 1, 9)]
)
def test_other_errors_are_handed_on(error):
    with pytest.raises(type(error)) as raised, explained_errors(planted_run().training):
        raise error
    assert raised.value is error


def test_broken_values_in_a_worker_are_named_in_one_line(train_run, tmp_path, monkeypatch):
    data = planted_lmdb(tmp_path)
    read = LMDBReader.read

    def broken(reader, name, trials):
        if name == "eeg" and 7 in np.asarray(trials):
            raise InputError("data.lmdb: expected finite eeg values")
        return read(reader, name, trials)

    monkeypatch.setattr(LMDBReader, "read", broken)
    with pytest.raises(InputError, match=r"^data.lmdb: expected finite eeg values$"):
        train_run(planted_run(training={"memory_limit_gb": 0.0}), data=data, n_workers=1)
