"""Which GPU a job takes, with pretended devices: locks need no GPU."""

import logging
import multiprocessing
import time

import pytest
import torch

from brain2image.core import devices
from brain2image.core.errors import InputError
from brain2image.core.processors import processor_name

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A workstation with two GPUs and no scheduler; the locks of each test by themselves."""
    current = []
    for name in ("CUDA_VISIBLE_DEVICES", *devices.SCHEDULER_JOBS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"Pretended {number}")
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: current.append(number))
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(devices, "_held", {})
    yield current
    for file in devices._held.values():
        file.close()


@pytest.fixture
def other_job():
    """Start other processes that take devices and keep them until they are killed; returns what they took."""
    started = []

    def start(n_devices=1):
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_take, args=(n_devices, sender))
        process.start()
        started.append(process)
        assert receiver.poll(20)
        return receiver.recv(), process

    yield start
    for process in started:
        process.kill()
        process.join()


def _take(n_devices, sender):
    devices._held.clear()  # what was held before the fork is the parent's
    sender.send(devices.compute_devices(n_devices))
    time.sleep(60)


def test_a_device_has_the_name_of_its_model(tmp_path):
    assert devices.device_name("cuda:1") == "Pretended cuda:1"
    assert devices.device_name("cpu") == processor_name()
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A fast one\n")
    assert processor_name(tmp_path / "cpuinfo") == "A fast one"
    assert processor_name(tmp_path / "none")


def test_concurrent_jobs_take_different_devices(machine, other_job, caplog):
    assert other_job()[0] == ["cuda:0"]
    with caplog.at_level(logging.INFO):
        assert devices.compute_device() == "cuda:1"
        assert devices.compute_device() == "cuda:1"
    assert "computing on GPU 1 (Pretended 1)" in caplog.text
    assert set(machine) == {1}  # what asks for no device by name gets it too


def test_a_job_waits_for_a_device_and_gets_that_of_a_killed_one(other_job, caplog, monkeypatch):
    (first, process), _ = other_job(), other_job()
    naps = []

    def nap(_):
        naps.append(1)
        process.kill()
        process.join()

    monkeypatch.setattr(devices.time, "sleep", nap)
    with caplog.at_level(logging.INFO):
        assert [devices.compute_device()] == first
    assert naps
    assert caplog.text.count("all 2 GPUs are taken by other jobs: waiting") == 1


def test_several_devices_are_taken_at_once_or_not_at_all(other_job, monkeypatch):
    (_, process) = other_job()

    def nap(_):
        assert not devices._held
        process.kill()
        process.join()

    monkeypatch.setattr(devices.time, "sleep", nap)
    assert devices.compute_devices(2) == ["cuda:0", "cuda:1"]


def test_jobs_of_a_scheduler_do_not_wait_for_each_other(other_job, monkeypatch):
    """Each sees its own device as number 0."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert other_job()[0] == ["cuda:0"]
    monkeypatch.setenv("SLURM_JOB_ID", "2")
    assert devices.compute_device() == "cuda:0"


def test_given_devices_are_obeyed(other_job, monkeypatch):
    """Numbers count among the visible ones, but a lock is on the device itself."""
    assert other_job()[0] == ["cuda:0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert devices.compute_device() == "cuda:0"
    assert other_job()[0] == ["cuda:1"]


def test_too_few_devices():
    with pytest.raises(InputError, match="expected 3 GPUs, got 2; lower the job's resource"):
        devices.compute_devices(3)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_config_says_whether_the_cpu_will_do(monkeypatch, caplog, allowed):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv(devices.ALLOW_CPU, str(allowed))
    with caplog.at_level(logging.INFO):
        if allowed:
            assert devices.compute_device() == "cpu"
            assert "no CUDA device found: computing on the CPU" in caplog.text
        else:
            with pytest.raises(InputError, match="expected a GPU, as allow_cpu is false in the config, but"):
                devices.compute_device()


def plant(folder, kind):
    """What somebody else could have made in the temporary folder before."""
    if kind == "link":
        (folder.parent / "elsewhere").mkdir()
        folder.symlink_to(folder.parent / "elsewhere")
    elif kind == "file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777 if kind == "open" else 0o700)


@pytest.mark.parametrize("kind", ["link", "file", "open", "foreign"])
def test_a_lock_folder_that_somebody_else_made(tmp_path, monkeypatch, kind):
    me = devices.os.getuid()
    if kind == "foreign":
        monkeypatch.setattr(devices.os, "getuid", lambda: me + 1)
    folder = tmp_path / f"brain2image-{devices.os.getuid()}"
    plant(folder, kind)
    message = (
        rf"^{folder}: expected a folder of .* for the locks of GPUs, got [-dlrwx]{{10}} of .*set TMPDIR to"
    )
    with pytest.raises(InputError, match=message):
        devices.compute_device()
    assert not list(tmp_path.rglob("*.lock"))


def test_a_planted_lock_is_not_followed(tmp_path):
    devices.compute_device()
    devices._held.popitem()[1].close()
    folder = tmp_path / f"brain2image-{devices.os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "gpu-0.lock").unlink()
    (folder / "gpu-0.lock").symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match=r"gpu-0\.lock: expected a lock file, got a link; remove it"):
        devices.compute_device()
    assert not (tmp_path / "target").exists()


def test_without_cuda_the_cpu_is_used(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with caplog.at_level(logging.INFO):
        assert devices.compute_devices(2) == ["cpu"]
    assert "no CUDA device found: computing on the CPU" in caplog.text
