"""Atomic outputs, trial tables, units, and the frame around every script."""

import errno
import logging
import os
import subprocess
import sys
import threading
import time
import types

import h5py
import numpy as np
import pandas as pd
import pytest

from brain2image.core.errors import InputError
from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.core.regular import check_regular
from brain2image.datasets.units import check_rms
from brain2image.formats.files import read_json, sha256, write_json, write_parquet
from brain2image.formats.hdf5 import read_trials, write_trials


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as scratch:
        scratch.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as scratch:
        scratch.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed(tmp_path):
    for name in (".file.h5.partial-abc", ".file.h5.other.partial-abc"):
        (tmp_path / name).mkdir()
    with atomic_path(tmp_path / "file.h5") as scratch:
        scratch.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"file.h5", ".file.h5.other.partial-abc"}


def test_others_may_read_what_a_library_wrote_for_its_user_alone(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "file") as scratch:
        scratch.touch(mode=0o600)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_and_a_folder_are_replaced(tmp_path):
    for content in ("one", "two"):
        with atomic_path(tmp_path / "folder") as scratch:
            scratch.mkdir()
            (scratch / content).touch()
        write_json(tmp_path / "file.json", {"content": content})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]
    assert read_json(tmp_path / "file.json") == {"content": "two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.json", "folder"]


def test_json_refuses_what_is_not_a_number(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_tables_survive(tmp_path):
    table = pd.DataFrame({"image": [3, 1], "repetition": [0, 1]})
    write_parquet(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table)
    with h5py.File(tmp_path / "table.h5", "w") as file:
        write_trials(file, table, {"unit": "uV"})
    with h5py.File(tmp_path / "table.h5") as file:
        pd.testing.assert_frame_equal(read_trials(file), table)
        assert file.attrs["unit"] == "uV"


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the test vector of FIPS 180-4
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_volts_taken_for_microvolts_are_noticed():
    check_rms(12.0, "uV", source="eeg")
    with pytest.raises(InputError, match=r"expected EEG in uV .* got 1\.2e-05"):
        check_rms(1.2e-5, "uV", source="eeg")


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\nof text", "two lines of text"),
        ("\x1b[2J\x07gone\x9b31m", "\ufffd[2J\ufffdgone\ufffd31m"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("\udcff.npy", "\ufffd.npy"),
        ("Übung 1\u202f5.npy", "Übung 1\u202f5.npy"),
    ],
)
def test_a_message_is_one_line_of_text(text, shown):
    assert str(InputError(text)) == shown


def test_a_long_message_keeps_its_beginning_and_its_end():
    message = str(InputError(f"file.tar: expected a name, got {'x' * 25_000_000}; download it again"))
    assert message.startswith("file.tar: expected a name, got xxx")
    assert message.endswith("xxx; download it again")
    assert len(message) < 4100


def test_a_file_has_an_end(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    check_regular(tmp_path / "link", remedy="")
    for name, found in (("pipe", "a named pipe"), ("endless", "a device"), (".", "a folder")):
        with pytest.raises(InputError, match=f"expected a file, got {found}; mend it"):
            check_regular(tmp_path / name, remedy="mend it")
    for name in ("missing", "null\0byte"):
        with pytest.raises(InputError, match="no such file; mend it"):
            check_regular(tmp_path / name, remedy="mend it")


SLEEPER = """
import sys, time, types
from brain2image.jobs import job
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
