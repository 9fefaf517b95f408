"""A disk that takes no more, of whatever is written: one line, nothing partial, an older output as it was.

A limit on the size of files (RLIMIT_FSIZE) stands for the full disk, as it needs no rights;
tests/faults/test_disks.py fills a real one.
"""

import errno
import fcntl
import logging
import multiprocessing
import resource
import time
from contextlib import contextmanager
from types import SimpleNamespace

import h5py
import pytest
from helpers.full_disk import KINDS
from helpers.planted import OUTPUTS, planted_lmdb, planted_run

from brain2image.core import atomic
from brain2image.core.atomic import atomic_path
from brain2image.core.disk import PROBE_BYTES, check_writable, explained_disk_errors, knows_locks, lock
from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import atomic_hdf5, open_hdf5
from brain2image.training import resume
from brain2image.training.train import train

FORK = multiprocessing.get_context("fork")
LIMIT = 2**17  # bytes
REMEDY = (
    r": cannot write this \((File too large|No space left on device)\); make room there or allow writing, "
    r"or change `results`"
)


@contextmanager
def small_files():
    """No file may be larger than 128 KiB, which is less than what probes write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert PROBE_BYTES > LIMIT
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's thread
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_takes_no_more(tmp_path, kind):
    out = tmp_path / "out"
    out.write_text("older")
    with small_files(), pytest.raises(InputError, match=f"^{out}{REMEDY}"):
        KINDS[kind](out, 2**20)
    assert out.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "state"}


def test_an_error_that_is_not_the_disks_is_handed_on(tmp_path):
    with pytest.raises(OSError, match="damaged"), explained_disk_errors(tmp_path / "out"):
        raise OSError("damaged")


def test_a_folder_that_does_not_exist_yet(tmp_path):
    check_writable(tmp_path / "results" / "demo")
    with small_files(), pytest.raises(InputError, match=f"^{tmp_path}/results{REMEDY}"):
        check_writable(tmp_path / "results")
    assert not list(tmp_path.iterdir())


def test_a_living_writer_keeps_its_scratch_folder(tmp_path):
    """As when a job on a cluster outlived its Snakemake: both files are whole, the last one counts."""
    out = tmp_path / "out"
    with atomic_path(out) as first:
        first.write_text("first")
        with atomic_path(out) as second:
            second.write_text("second")
        assert out.read_text() == "second"
        assert first.read_text() == "first"
    assert out.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_lock_is_one_process_alone_and_goes_with_it(tmp_path):
    path = tmp_path / "lock"
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=hold, args=(path, sender))
    process.start()
    assert receiver.recv()
    assert lock(path) is None
    process.kill()
    process.join()
    with lock(path) as file:
        assert file.name == str(path)


def hold(path, sender):
    file = lock(path)
    sender.send(file is not None)
    time.sleep(60)


def test_where_the_file_system_knows_no_locks_everybody_gets_one(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock(tmp_path / "lock") as first, lock(tmp_path / "lock"):
        assert not knows_locks(first)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOLCK, "set the environment variable HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EOPNOTSUPP, "set the environment variable HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EAGAIN, "another process has it open"),
    ],
)
def test_where_hdf5_cannot_lock_nothing_is_downloaded_again(tmp_path, monkeypatch, number, remedy):
    text = f"Unable to open file (unable to lock file, errno = {number}, error message = '...')"

    def refuse(*_):
        raise OSError(number, text)

    path = tmp_path / "file.h5"
    path.touch()
    monkeypatch.setattr(h5py, "File", refuse)
    for open_file in (open_hdf5, atomic_hdf5):
        with pytest.raises(InputError, match=rf"{path}: cannot .*; .*{remedy}"), open_file(path):
            pass
    assert [found.name for found in tmp_path.iterdir()] == ["file.h5"]


def test_another_users_scratch_folder_is_left_alone(tmp_path, monkeypatch, caplog):
    """In a folder that a group shares; the tests may run as root, who may do everything."""
    left = tmp_path / ".out.partial-abc"
    left.mkdir()

    def refuse(path):
        if left in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied")
        return lock(path)

    monkeypatch.setattr(atomic, "lock", refuse)
    with atomic_path(tmp_path / "out") as scratch:
        scratch.touch()
    assert f"{left}: scratch folder of {left.owner()}, who may be writing here now; if not" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == [left.name, "out"]


def test_the_second_training_of_a_run_waits_for_the_first(tmp_path, monkeypatch, caplog):
    # of this module alone: the threads that jobs have left in this process sleep too
    monkeypatch.setattr(resume, "time", SimpleNamespace(sleep=lambda _: first.close()))
    state = tmp_path / "state" / "flatten"
    state.parent.mkdir()
    first = lock(state.with_name(".flatten.lock"))
    with caplog.at_level(logging.INFO), resume.only_one(state):
        assert first.closed
        assert lock(state.with_name(".flatten.lock")) is None
    assert "another process trains this run: waiting" in caplog.text


def test_a_training_on_a_full_disk_goes_on_later(tmp_path):
    """No output and no half-written state; once there is room, the same call trains."""
    lmdb, run = planted_lmdb(tmp_path), planted_run()
    outputs = {name: tmp_path / "run" / file for name, file in OUTPUTS.items()}
    options = {"run": run, "weights": None, "code": "0", "state": tmp_path / "state"}
    with small_files(), pytest.raises(InputError, match=f"^{tmp_path}/state/state.ckpt{REMEDY}"):
        train(lmdb, **options, **outputs)
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "state").glob("*.ckpt"))
    train(lmdb, **options, **outputs)
    assert outputs["model"].stat().st_size > LIMIT
