"""The frame of a job: its log, its errors, its end."""

import errno
import logging
import subprocess
import sys
import threading
import time
import types

import pytest

from brain2image.core.errors import InputError
from brain2image.core.jobs import job


@pytest.fixture
def script(tmp_path):
    before = threading.excepthook
    yield types.SimpleNamespace(log=[str(tmp_path / "rule.log")], rule="repack", threads=1)
    threading.excepthook = before
    logging.getLogger().handlers.clear()


def test_an_input_error_is_one_line(script, capsys):
    with pytest.raises(SystemExit) as end, job(script):
        raise InputError("file.npy: expected 63 channels, got 64")
    assert end.value.code == 1
    assert capsys.readouterr().err == "repack: file.npy: expected 63 channels, got 64\n"
    with open(script.log[0]) as log:
        text = log.read()
    assert "expected 63 channels" in text
    assert "Traceback" not in text


def test_a_defect_keeps_its_traceback(script):
    with pytest.raises(ZeroDivisionError), job(script):
        1 / 0  # noqa: B018
    with open(script.log[0]) as log:
        assert "ZeroDivisionError" in log.read()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_one_line(script, interrupt):
    with pytest.raises(SystemExit) as end, job(script):
        raise interrupt
    assert end.value.code == 130
    with open(script.log[0]) as log:
        assert "interrupted after" in log.read().splitlines()[-1]


SLEEPER = """
import sys, time, types
from brain2image.core.jobs import job
with job(types.SimpleNamespace(log=[sys.argv[1]], rule="train", threads=1)):
    time.sleep(60)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


def test_a_job_stops_when_its_snakemake_is_killed(tmp_path):
    log = tmp_path / "rule.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, SLEEPER, str(log)])
    wait_for(lambda: log.exists() and "rule train" in log.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: "Snakemake was killed: stopping; the same command goes on" in log.read_text())


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_full_disk_cuts_the_log_short(script, capsys, monkeypatch):
    def refuse():
        raise OSError(errno.ENOSPC, "No space left on device")

    with job(script) as log:
        monkeypatch.setattr(logging.getLogger().handlers[0], "flush", refuse)
        log.info("lost")
    assert not capsys.readouterr().err


def test_the_log_ends_with_the_time(script):
    with job(script) as log:
        log.info("working")
    with open(script.log[0]) as file:
        lines = file.read().splitlines()
    assert lines[0].endswith("rule repack, 1 threads")
    assert "done in" in lines[-1]
