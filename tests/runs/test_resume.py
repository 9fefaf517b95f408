"""A training that is killed goes on as if it had never been; a state of another training is not mixed in."""

import functools
import importlib.util
import itertools
import logging
import math
import multiprocessing
import os
import shutil
import signal
from importlib import metadata

import pandas as pd
import pytest
import torch
from helpers.checkouts import ROOT
from helpers.planted import ALL, OUTPUTS, planted_lmdb, planted_run
from helpers.thumbnails import read_sheet, write_thumbnails
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brain2image.constants.training_keys import WITHOUT_EFFECT
from brain2image.core.errors import InputError
from brain2image.core.fingerprint import imported_modules
from brain2image.core.versions import imported_libraries
from brain2image.training import resume
from brain2image.training.resume import InBackground, StateFile, epochs_done, read_state, run_identity
from brain2image.training.task import AlignmentTask
from brain2image.training.train import train

RUN = planted_run(
    model={"pooling": "multitoken_vit", "pooling_layers": 1},
    training={
        "epochs": 4,
        "ema_decay": 0.9,
        "fmri": "sample",
        "accumulate_batches": 2,
        "save_minutes": 3,
    },
)
TWO_EPOCHS = planted_run()
STEP = AlignmentTask.training_step


@pytest.fixture(scope="module")
def lmdb(tmp_path_factory):
    return planted_lmdb(tmp_path_factory.mktemp("planted"))


def train_in(lmdb, folder, run=RUN, code="0"):
    outputs = {name: folder / "run" / file for name, file in OUTPUTS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    shown = [write_thumbnails(folder / "thumbnails.parquet", range(60), range(60))]
    options = {"weights": None, "code": code, "state": folder / "state", "thumbnails": shown}
    train(lmdb, run=run, **options, **outputs)
    return outputs


@pytest.fixture(scope="module")
def undisturbed(lmdb, tmp_path_factory):
    """Outputs of a training that nothing stopped."""
    return train_in(lmdb, tmp_path_factory.mktemp("undisturbed"))


def disturb(patch, moment, action):
    """Do something ahead of a step, (epoch, batch); and let a minute pass between two looks at the clock.

    Returns the list in which the steps will be.
    """
    steps, now = [], itertools.count()

    def step(task, batch, number):
        steps.append((task.current_epoch, number))
        if steps[-1] == moment:
            action()
        return STEP(task, batch, number)

    patch.setattr(AlignmentTask, "training_step", step)
    patch.setattr(resume, "clock", lambda: 60 * next(now))
    return steps


def send(number):
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


def train_until_killed(lmdb, folder, moment):
    """In a fork, where PyTorch's other threads are missing."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        disturb(patch, moment, lambda: send(signal.SIGKILL))
        train_in(lmdb, folder)


def progress(state):
    """Finished epochs of a state, and batches of the next one that are done."""
    position = state["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]["position"]
    return epochs_done(state["training"]), position


def saved_progress(folder):
    return progress(torch.load(folder / "state" / "state.ckpt", weights_only=True))


def assert_same(outputs, expected):
    first, second = load_file(outputs["model"]), load_file(expected["model"])
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert outputs["history"].read_text() == expected["history"].read_text()


def test_saved_by_time_and_at_the_end(lmdb, tmp_path, undisturbed, monkeypatch):
    """Every other batch is a step, after which the training looks at the clock: four looks an epoch."""
    saved, save = [], StateFile.save_checkpoint
    monkeypatch.setattr(
        StateFile,
        "save_checkpoint",
        lambda file, state, *rest, **_: (saved.append(progress(state)), save(file, state, *rest)),
    )
    disturb(monkeypatch, None, None)
    assert_same(train_in(lmdb, tmp_path), undisturbed)
    assert saved == [(0, 6), (1, 4), (2, 2), (3, 0), (3, 6), (4, 0)]


def test_killed_three_times(lmdb, tmp_path, undisturbed):
    """Once for good, and then by errors, in the middle of epochs and of a step's batches."""
    process = multiprocessing.get_context("fork").Process(
        target=train_until_killed, args=(lmdb, tmp_path, (2, 1))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert saved_progress(tmp_path) == (1, 4)
    for moment, start, end in (((2, 3), (1, 4), (2, 2)), ((3, 1), (2, 2), (3, 0))):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
            steps = disturb(patch, moment, lambda: 1 / 0)
            train_in(lmdb, tmp_path)
        assert steps[0] == start
        assert saved_progress(tmp_path) == end
    assert not (tmp_path / "run").exists()
    assert_same(train_in(lmdb, tmp_path), undisturbed)


def test_the_linear_path_alone_goes_on_as_if_never_stopped(lmdb, tmp_path):
    run = planted_run(model={"pooling": "none"}, training={"save_minutes": 3, **ALL})
    expected = train_in(lmdb, tmp_path / "undisturbed", run)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        disturb(patch, (1, 5), lambda: 1 / 0)
        train_in(lmdb, tmp_path / "killed", run)
    assert saved_progress(tmp_path / "killed")[0] == 1
    assert_same(train_in(lmdb, tmp_path / "killed", run), expected)


def test_told_to_stop(lmdb, tmp_path, undisturbed, caplog):
    """In the middle of an epoch, at its start, and in the last batch of all."""
    steps = []
    for number, moment, end in (
        (signal.SIGTERM, (1, 4), (1, 6)),
        (signal.SIGUSR1, (2, 0), (2, 2)),
        (signal.SIGINT, (3, 7), (4, 0)),
    ):
        before = signal.getsignal(number)
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(SystemExit, match=str(128 + number)),
            caplog.at_level(logging.INFO),
        ):
            steps += disturb(patch, moment, functools.partial(send, number))
            train_in(lmdb, tmp_path)
        assert f"{signal.Signals(number).name} in epoch {end[0] + 1}: stopping" in caplog.text
        assert signal.getsignal(number) == before
        assert saved_progress(tmp_path) == end
    outputs = train_in(lmdb, tmp_path)
    assert_same(outputs, undisturbed)
    events = EventAccumulator(str(outputs["tensorboard"])).Reload()
    history = pd.read_csv(undisturbed["history"])
    for tag, column in (("val/loss", "val_loss"), ("lr/backbone", "lr_backbone")):
        assert [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)] == list(
            zip(history["epoch"], history[column], strict=True)
        )
    sheets = [EventAccumulator(str(files["tensorboard"])).Reload() for files in (outputs, undisturbed)]
    sheets = [
        {sheet.step: read_sheet(sheet.encoded_image_string) for sheet in found.Images("val/retrieved")}
        for found in sheets
    ]
    assert sheets[0] == sheets[1] and len(sheets[0]) > 1


@pytest.fixture(scope="module")
def two_epochs(lmdb, tmp_path_factory):
    """A folder with a finished training of two epochs; to be looked at alone."""
    folder = tmp_path_factory.mktemp("two_epochs")
    train_in(lmdb, folder, TWO_EPOCHS)
    return folder


@pytest.fixture
def finished(two_epochs, tmp_path):
    """A copy of it."""
    return shutil.copytree(two_epochs, tmp_path / "finished")


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
def test_the_state_of_another_training_is_not_used(lmdb, two_epochs, caplog, run, code, reason):
    identity = run_identity([lmdb], run=run, weights=None, code=code, precision="fp32")
    with caplog.at_level(logging.INFO):
        assert read_state(two_epochs / "state" / "state.ckpt", identity, epochs=run.training.epochs) is None
    assert f"is the state of another training ({reason}: starting anew" in caplog.text


def test_another_version_of_a_library_starts_anew(lmdb, two_epochs, caplog, monkeypatch):
    monkeypatch.setattr(resume, "minor_version", lambda library: "99.1")
    identity = run_identity([lmdb], run=TWO_EPOCHS, weights=None, code="0", precision="fp32")
    with caplog.at_level(logging.INFO):
        assert read_state(two_epochs / "state" / "state.ckpt", identity, epochs=2) is None
    now = ".".join(metadata.version("torch").split(".")[:2])
    assert f"torch {now} is now 99.1" in caplog.text


def test_the_libraries_of_a_training_are_those_that_its_code_imports():
    """Else one that is made again because of an upgrade would go on from the old state."""
    modules = map(importlib.util.find_spec, imported_modules(ROOT / "workflow/scripts/train.py"))
    assert imported_libraries(module.origin for module in modules) == set(resume.LIBRARIES)


def test_another_training_starts_anew(lmdb, finished, tmp_path):
    other = planted_run(training={"epochs": 1})
    assert_same(train_in(lmdb, finished, other), train_in(lmdb, tmp_path / "fresh", other))


def test_other_data_weights_and_number_formats_make_another_training(lmdb, tmp_path):
    for name in ("data", "weights"):
        (tmp_path / name).write_text(name)
    paths = [tmp_path / "data", tmp_path / "weights"]
    options = {"run": TWO_EPOCHS, "weights": paths[1], "code": "0"}
    same = [run_identity(paths[:1], **options, precision="fp32") for _ in range(2)]
    assert same[0] == same[1]
    for path in paths:
        path.write_text("other")
        assert run_identity(paths[:1], **options, precision="fp32") != same[0]
        path.write_text(path.name)
    assert run_identity(paths[:1], **options, precision="bf16") != same[0]  # `auto`, on another device


def test_what_changes_no_result_makes_no_other_training(tmp_path):
    (tmp_path / "data").write_text("data")
    runs = [planted_run(training=dict.fromkeys(WITHOUT_EFFECT, value)) for value in (1, 2)]
    options = {"weights": None, "code": "0", "precision": "fp32"}
    first, second = (run_identity([tmp_path / "data"], run=run, **options) for run in runs)
    assert first == second


@pytest.mark.parametrize("size", [1000, 0, None])
def test_a_damaged_state_is_not_used(lmdb, two_epochs, tmp_path, caplog, size):
    file, content = tmp_path / "state.ckpt", (two_epochs / "state" / "state.ckpt").read_bytes()
    file.write_bytes(b"text" if size is None else content[:size])
    with caplog.at_level(logging.INFO):
        assert read_state(file, {}, epochs=2) is None
    assert "state.ckpt is no training state (" in caplog.text


def test_finished_epochs_of_a_diverged_training_can_be_kept(lmdb, tmp_path, monkeypatch):
    monkeypatch.setattr(
        AlignmentTask, "_rate_factor", lambda task, step: 1e30 if task.current_epoch == 2 else 1
    )
    run = planted_run(training={"epochs": 5, "gradient_clip": 1e30, "save_minutes": 12})
    message = (
        r"expected a finite loss, got (nan|inf) in epoch 3; lower .* or set training.epochs to 1 to keep"
    )
    disturb(monkeypatch, None, None)  # eight looks at the clock an epoch: saved in the middle of the second
    with pytest.raises(InputError, match=message):
        train_in(lmdb, tmp_path, run)
    assert not (tmp_path / "run").exists()
    outputs = train_in(lmdb, tmp_path, planted_run(training={"epochs": 1, "gradient_clip": 1e30}))
    assert len(pd.read_csv(outputs["history"])) == 2
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
