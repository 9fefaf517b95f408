"""A training that is killed goes on as if it had never been; a state of another training is not mixed in."""

import logging
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from planted import OUTPUTS, planted_lmdb, planted_run
from safetensors.torch import load_file

from brain2image.training import train

# Children are forked from a process that has imported everything but trained nothing.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["brain2image.training"])

RUN = planted_run(
    model={"pooling": "multitoken_vit", "pooling_layers": 1},
    training={"epochs": 8, "ema_decay": 0.9, "fmri": "sample", "accumulate_batches": 2},
)


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
    from brain2image.optimisation import AlignmentTask

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
    assert len(state["training"]["history"]) == 2
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
