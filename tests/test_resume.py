"""A training that is killed goes on as if it had never been; a state of another training is not mixed in."""

import logging
import math
import multiprocessing
import os
import random
import shutil
import signal
import time

import pandas as pd
import pytest
import torch
from fork_server import fork_server
from planted import OUTPUTS, planted_lmdb, planted_run
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain2image.errors import InputError
from brain2image.optimisation import AlignmentTask
from brain2image.resume import InBackground, StateFile, epochs_done, run_identity
from brain2image.training import train

# Children are forked from a process that has imported everything but trained nothing.
SERVER = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def server():
    with fork_server("brain2image.training"):
        yield


RUN = planted_run(
    model={"pooling": "multitoken_vit", "pooling_layers": 1},
    training={"epochs": 8, "ema_decay": 0.9, "fmri": "sample", "accumulate_batches": 2},
)
TWO_EPOCHS = planted_run()


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


def train_in(lmdb, folder, run=RUN, code="0"):
    outputs = {name: folder / "run" / file for name, file in OUTPUTS.items()}
    train(lmdb, run=run, cbramod=None, code=code, state=folder / "state", **outputs)
    return outputs


@pytest.fixture(scope="module")
def undisturbed(lmdb, tmp_path_factory):
    """Outputs of a training that nothing stopped, and how long it took, in s."""
    warm_up = SERVER.Process(target=len, args=("",))
    warm_up.start()
    warm_up.join()
    folder, start = tmp_path_factory.mktemp("undisturbed"), time.perf_counter()
    process = start_training(lmdb, folder)
    process.join()
    assert process.exitcode == 0
    return {name: folder / "run" / file for name, file in OUTPUTS.items()}, time.perf_counter() - start


def start_training(lmdb, folder):
    process = SERVER.Process(target=train_in, args=(lmdb, folder))
    process.start()
    return process


def assert_same(outputs, expected):
    first, second = load_file(outputs["model"]), load_file(expected["model"])
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert outputs["history"].read_text() == expected["history"].read_text()


def test_killed_three_times(lmdb, tmp_path, undisturbed):
    expected, seconds = undisturbed
    draw = random.Random(0)
    for _ in range(3):
        process = start_training(lmdb, tmp_path)
        time.sleep(draw.uniform(0.1, 0.4) * seconds)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
    assert_same(train_in(lmdb, tmp_path), expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_told_to_stop_in_the_middle_of_an_epoch(lmdb, tmp_path, undisturbed, number, monkeypatch, caplog):
    step = AlignmentTask.training_step

    def signal_in_third_epoch(task, batch, batch_number):
        if (task.current_epoch, batch_number) == (2, 4):
            os.kill(os.getpid(), number)
        return step(task, batch, batch_number)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch, pytest.raises(SystemExit), caplog.at_level(logging.INFO):
        patch.setattr(AlignmentTask, "training_step", signal_in_third_epoch)
        train_in(lmdb, tmp_path)
    assert f"{signal.Signals(number).name} in epoch 3" in caplog.text
    assert signal.getsignal(number) == before
    state = torch.load(tmp_path / "state" / "state.ckpt", weights_only=True)
    assert epochs_done(state["training"]) == 2
    assert state["loops"]["fit_loop"]["state_dict"]["combined_loader"] == [{"position": 6}]
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(
            AlignmentTask,
            "training_step",
            lambda task, batch, number: (
                steps.append((task.current_epoch, number)),
                step(task, batch, number),
            )[1],
        )
        assert_same(train_in(lmdb, tmp_path), undisturbed[0])
    assert steps[:3] == [(2, 6), (2, 7), (3, 0)]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    history = pd.read_csv(undisturbed[0]["history"])
    for tag, column in (("val/loss", "val_loss"), ("lr/backbone", "lr_backbone")):
        assert [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)] == list(
            zip(history["epoch"], history[column], strict=True)
        )


@pytest.fixture
def finished(lmdb, tmp_path):
    """A folder with a finished training of two epochs."""
    train_in(lmdb, tmp_path, TWO_EPOCHS)
    return tmp_path


def test_more_epochs_go_on_from_the_last(lmdb, finished, caplog):
    with caplog.at_level(logging.INFO):
        outputs = train_in(lmdb, finished, planted_run(training={"epochs": 4}))
    assert "going on after 2 finished epochs" in caplog.text
    assert "was 2 and is 4: the learning rates go on along the cosine of 4 epochs" in caplog.text
    history = pd.read_csv(outputs["history"])
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4]
    # the rate stands at zero after two of two epochs, then at cosine's 3/4
    assert history["lr_head"].tolist() == pytest.approx(
        [2e-4, 1e-4, 0, 2e-4 * (1 + math.cos(0.75 * math.pi)) / 2, 0]
    )


def test_a_finished_training_is_not_repeated(lmdb, finished, monkeypatch):
    expected = load_file(finished / "run" / OUTPUTS["model"])
    shutil.rmtree(finished / "run")
    monkeypatch.setattr(AlignmentTask, "training_step", None)
    outputs = train_in(lmdb, finished, TWO_EPOCHS)
    weights = load_file(outputs["model"])
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert pd.read_csv(outputs["history"])["epoch"].tolist() == [0, 1, 2]
    assert list(outputs["tensorboard"].glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("run", "code", "reason"),
    [
        (planted_run(training={"batch_size": 20}), "0", "training.batch_size 16 is now 20)"),
        (planted_run(loss={"mse": 0.5}), "0", "loss.mse 1.0 is now 0.5)"),
        (TWO_EPOCHS, "1", "code 0 is now 1)"),
        (planted_run(training={"epochs": 1}), "0", "it has 2 epochs and training.epochs is 1)"),
    ],
)
def test_the_state_of_another_training_is_not_used(
    lmdb, finished, tmp_path_factory, caplog, run, code, reason
):
    with caplog.at_level(logging.INFO):
        outputs = train_in(lmdb, finished, run, code)
    assert reason in caplog.text
    assert "starting anew" in caplog.text
    assert_same(outputs, train_in(lmdb, tmp_path_factory.mktemp("fresh"), run, code))


def test_other_data_weights_and_number_formats_make_another_training(lmdb, tmp_path):
    for name in ("data", "weights"):
        (tmp_path / name).write_text(name)
    paths = [tmp_path / "data", tmp_path / "weights"]
    options = {"run": TWO_EPOCHS, "cbramod": paths[1], "code": "0"}
    same = [run_identity(paths[0], **options, precision="fp32") for _ in range(2)]
    assert same[0] == same[1]
    for path in paths:
        path.write_text("other")
        assert run_identity(paths[0], **options, precision="fp32") != same[0]
        path.write_text(path.name)
    assert run_identity(paths[0], **options, precision="bf16") != same[0]  # `auto`, on another device


def test_more_memory_is_no_other_training(tmp_path):
    (tmp_path / "data").write_text("data")
    identities = [
        run_identity(
            tmp_path / "data",
            run=planted_run(training={"memory_limit_gb": limit}),
            cbramod=None,
            code="0",
            precision="fp32",
        )
        for limit in (0.0, 4.0)
    ]
    assert identities[0] == identities[1]


def test_a_damaged_state_is_not_used(lmdb, finished, caplog):
    file = finished / "state" / "state.ckpt"
    expected = (finished / "run" / OUTPUTS["history"]).read_text()
    for content in (file.read_bytes()[:1000], b"", b"text"):
        file.write_bytes(content)
        with caplog.at_level(logging.INFO):
            outputs = train_in(lmdb, finished, TWO_EPOCHS)
        assert "state.ckpt is no training state (" in caplog.text
        assert outputs["history"].read_text() == expected
        caplog.clear()


def test_finished_epochs_of_a_diverged_training_can_be_kept(lmdb, tmp_path, monkeypatch):
    monkeypatch.setattr(
        AlignmentTask, "_rate_factor", lambda task, step: 1e30 if task.current_epoch == 2 else 1
    )
    run = planted_run(training={"epochs": 5, "gradient_clip": 1e30})
    message = (
        r"expected a finite loss, got (nan|inf) in epoch 3; lower .* or set training.epochs to 2 to keep"
    )
    with pytest.raises(InputError, match=message):
        train_in(lmdb, tmp_path, run)
    assert not (tmp_path / "run").exists()
    outputs = train_in(
        lmdb,
        tmp_path,
        TWO_EPOCHS.model_copy(update={"training": run.training.model_copy(update={"epochs": 2})}),
    )
    assert len(pd.read_csv(outputs["history"])) == 3
    assert all(value.isfinite().all() for value in load_file(outputs["model"]).values())


def test_the_state_is_that_of_the_moment_although_the_training_goes_on(tmp_path):
    weights, writer = torch.zeros(5_000_000), InBackground(StateFile())
    for step in (1, 2):
        writer.save_checkpoint({"weights": weights, "step": step}, tmp_path / "state.ckpt")
        weights += 1
    writer.teardown()
    state = StateFile().load_checkpoint(tmp_path / "state.ckpt")
    assert state["step"] == 2
    assert torch.all(state["weights"] == 1)


def test_a_state_that_cannot_be_written_is_not_passed_over(lmdb, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StateFile, "save_checkpoint", full)
    with pytest.raises(InputError, match="No space left"):
        train_in(lmdb, tmp_path, TWO_EPOCHS)
