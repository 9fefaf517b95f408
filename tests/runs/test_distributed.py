"""Two processes that share every batch learn what one process learns from it (gloo, on the CPU)."""

import logging
import multiprocessing
import os
import signal
import time

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from helpers.fork_server import SCRIPT_SERVER, served_by
from helpers.planted import ALL, OUTPUTS, planted_lmdb, planted_run
from lightning.pytorch.strategies import DDPStrategy
from safetensors.torch import load_file

from brain2image.models.losses import gathered, info_nce, mse, prototype_distillation
from brain2image.training import train as training
from brain2image.training.resume import Resumption
from brain2image.training.task import AlignmentTask

N_ROWS, N_PROCESSES = 12, 2


def example():
    """Inputs (12, 5), targets (12, 4), images, clusters and weights of the rows, and a matrix (5, 4)."""
    generator = torch.Generator().manual_seed(0)
    inputs, targets, matrix = (
        torch.randn(shape, generator=generator) for shape in ((N_ROWS, 5), (N_ROWS, 4), (5, 4))
    )
    weights = torch.linspace(0, 2, N_ROWS)
    images, clusters = torch.arange(N_ROWS) // 2, torch.arange(N_ROWS) % 3
    return inputs, targets, images, clusters, weights, matrix.requires_grad_()


def loss_of(predictions, targets, images, clusters, weights):
    return (
        mse(predictions, targets, weights)
        + info_nce(predictions, targets, images, weights, temperature=0.1)
        + prototype_distillation(predictions, targets, clusters, weights, n_clusters=3, temperature=0.1)
    )


def gather_and_learn(rank, folder):
    """One of the processes: its rows, the loss of all rows, and the mean gradient as DDP makes it."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=N_PROCESSES
    )
    *rows, matrix = example()
    inputs, *rest = (values[rank::N_PROCESSES] for values in rows)
    loss = loss_of(*(gathered(values) for values in (inputs @ matrix, *rest)))
    loss.backward()
    dist.all_reduce(matrix.grad)
    torch.save((loss.detach(), matrix.grad / N_PROCESSES), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(autouse=True)
def server(pool):
    """Every process here is a fork of one that has imported PyTorch and Lightning."""
    with served_by(os.environ[SCRIPT_SERVER]):
        yield


def test_gathered_loss_and_gradient_equal_those_of_one_process(tmp_path):
    torch.multiprocessing.start_processes(
        gather_and_learn, (tmp_path,), nprocs=N_PROCESSES, start_method="forkserver"
    )
    inputs, *rest, matrix = example()
    expected = loss_of(inputs @ matrix, *rest)
    expected.backward()
    for rank in range(N_PROCESSES):
        loss, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient, matrix.grad, rtol=1e-5, atol=1e-6)


class TaskWithoutDropout(AlignmentTask):
    """Two processes cannot draw the same dropout as one."""

    def setup(self, stage):
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.data = tensor.data.clone()  # which Lightning does where it spawns: else all would share it

    def training_step(self, batch, number):
        self.model.eval()
        return super().training_step(batch, number)


class InterruptedTask(TaskWithoutDropout):
    """In the second epoch the second process has the first one's parent told to stop, which tells both."""

    def training_step(self, batch, number):
        if (self.global_rank, self.current_epoch, number) == (1, 1, 3):
            (callback,) = (one for one in self.trainer.callbacks if isinstance(one, Resumption))
            os.kill(multiprocessing.parent_process().pid, signal.SIGUSR1)
            while not callback._signal:
                time.sleep(0.01)
        return super().training_step(batch, number)


@pytest.fixture
def train_on(tmp_path, monkeypatch):
    """Function that trains on so many CPUs, all runs into one state for each number; weights and history."""
    lmdb = planted_lmdb(tmp_path)
    run = planted_run(training={"average_trials": 2, "ema_decay": 0.5, "measured_weight": 2.0, **ALL})
    monkeypatch.setattr(training, "compute_devices", lambda n: ["cpu"] * n)

    def train_on(n_devices, task):
        monkeypatch.setattr(training, "AlignmentTask", task)
        monkeypatch.setattr(training, "STRATEGY", DDPStrategy(start_method="forkserver"))
        outputs = {name: tmp_path / str(n_devices) / file for name, file in OUTPUTS.items()}
        state = tmp_path / f"state{n_devices}"
        training.train(lmdb, run=run, weights=None, code="0", state=state, n_devices=n_devices, **outputs)
        return load_file(outputs["model"]), pd.read_csv(outputs["history"])

    return train_on


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_on_two_devices_equals_training_on_one(tmp_path, monkeypatch, train_on):
    """Also where both are told to stop in the middle of an epoch and go on."""
    log = tmp_path / "log.txt"
    monkeypatch.setattr(logging.root, "handlers", [logging.FileHandler(log)])
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    one, history = train_on(1, TaskWithoutDropout)
    handler = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
        train_on(2, InterruptedTask)
    assert signal.getsignal(signal.SIGUSR1) == handler
    state = torch.load(tmp_path / "state2" / "state.ckpt", weights_only=True)
    assert state["loops"]["fit_loop"]["state_dict"]["combined_loader"] == [{"position": 4}]
    two, other_history = train_on(2, TaskWithoutDropout)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=2e-6)
    pd.testing.assert_frame_equal(history, other_history, rtol=1e-4)
    text = log.read_text()
    assert text.count("SIGTERM in epoch 2: stopping") == 1
    assert text.count("epoch 2 of 2: train loss") == 2  # of both trainings, of one process each
