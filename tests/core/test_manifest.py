"""What made a result is noted beside it, for other checkouts and copies; only one Snakemake makes results."""

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.checkouts import TINY, changed_config, clone, copy_checkout
from helpers.dry_runs import dry_run, note_start, run_snakemake
from helpers.stale_jobs import LAST, jobs_of, short
from snakemake.exceptions import WorkflowError
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from snakemake.settings.types import PersistenceBackend

from brain2image.core.errors import InputError
from brain2image.core.manifest import MANIFEST, Hold, recorded_params
from brain2image.core.records import RESULTS, ResultsPersistence, keep_beside

FORK = multiprocessing.get_context("fork")
PAIRS = "results/pairs/things_subj01.parquet"
# Configs of a second checkout, and what they make stale.
OTHER_CONFIGS = [
    ({}, []),
    ({"matching.top_k": 39}, ["splits"]),
    ({"training.epochs": 3}, ["runs"]),
]


@pytest.mark.parametrize(("changes", "stale"), OTHER_CONFIGS)
def test_copied_results_are_understood(tiny_run, pool, tmp_path, changes, stale):
    checkout = copy_checkout(tmp_path / "checkout")
    clone(tiny_run / "results", checkout / "results")
    planned = pool.apply(dry_run, (checkout, "--configfile", changed_config(checkout, changes)))
    assert short(planned) == jobs_of(stale)


def in_the_results_of(other, checkout, changes):
    """A config of one checkout that takes the results folder of another one."""
    name = changed_config(checkout, changes)
    text = (checkout / name).read_text()
    (checkout / name).write_text(text.replace(": results", f": {other}/results"))
    return name


@pytest.mark.parametrize(("changes", "stale"), OTHER_CONFIGS)
def test_another_checkout_on_the_same_results(tiny_run, pool, tmp_path, changes, stale):
    """The page on how all was made shows the results folder as it is written in the config."""
    config = in_the_results_of(tiny_run, copy_checkout(tmp_path / "other"), changes)
    planned = pool.apply(dry_run, (tmp_path / "other", "--configfile", config))
    assert short(planned) == jobs_of(stale) | LAST


def test_what_another_checkout_made_is_stale_in_the_first(tiny_run, pool, tmp_path):
    first, other = clone(tiny_run, tmp_path / "first"), copy_checkout(tmp_path / "other")
    changes = {"clustering.n_clusters": 3}
    options = {"config": in_the_results_of(first, other, changes)}
    status, text = pool.apply(run_snakemake, (other, str(first / PAIRS)), options)
    assert status == 0, text
    clusters = jobs_of(["clusters"])
    assert short(pool.apply(dry_run, (first, "--configfile", TINY))) == clusters
    planned = pool.apply(dry_run, (first, "--configfile", changed_config(first, changes)))
    assert short(planned) == clusters - {"cluster_pairs"}


def test_what_a_job_is_made_with_is_noted_when_it_starts(tiny_run, pool, tmp_path):
    """On a cluster it goes on when its Snakemake is killed, which then notes nothing any more."""
    checkout = clone(tiny_run, tmp_path / "checkout")
    config = changed_config(checkout, {"clustering.seed": 1})
    before = recorded_params(checkout / "results", checkout / PAIRS)
    pool.apply(note_start, (checkout, config, PAIRS))
    assert {"{'n_clusters': 2, 'seed': 0}", "{'n_clusters': 2, 'seed': 1}"} == (
        {*before} ^ {*recorded_params(checkout / "results", checkout / PAIRS)}
    )
    assert (checkout / "results" / MANIFEST / "incomplete" / "pairs/things_subj01.parquet.json").exists()


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Snakemake's notes of a run that is only planned, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    settings = SimpleNamespace(max_checksum_file_size=0)
    workflow = SimpleNamespace(execution_settings=None, local_exec=True, dag_settings=settings)
    dag = SimpleNamespace(workflow=workflow)
    return ResultsPersistence(results="results", dag=dag, nolock=False, warn_only=True)


def test_notes_of_before_in_the_checkout_are_read(notes):
    note = {
        "params": ["'results/state'", "1"],
        "input": ["results/a", "b"],
        "input_checksums": {"results/a": "c"},
    }
    earlier = FilePersistence()
    earlier._io_write(earlier._metadata_path, note, id="results/x")
    record = notes._read_record(f"{RESULTS}x")
    assert record.params == ["'<results>/state'", "1"]
    assert record.input == ["<results>/a", "b"]
    assert record.input_checksums == {"<results>/a": "c"}
    assert notes._read_record(f"{RESULTS}y") is None
    assert notes._delete_record(f"{RESULTS}x")
    assert notes._read_record(f"{RESULTS}x") is None


def test_notes_in_a_database_are_refused():
    settings = SimpleNamespace(persistence_backend=PersistenceBackend.DB)
    with pytest.raises(WorkflowError, match="expected --persistence-backend file"):
        keep_beside("results", SimpleNamespace(workflow_settings=settings))


def test_a_note_lies_beside_its_result(notes):
    notes._write_record(f"{RESULTS}runs/a/model.safetensors", MetadataRecord(params=["'results/a'"]))
    assert Path("results/manifest/outputs/runs/a/model.safetensors.json").is_file()
    assert recorded_params("results", "results/runs/a/model.safetensors") == ["'<results>/a'"]
    assert not notes._delete_record("../../elsewhere")  # what is not below the results stays where it was


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"params": '])
def test_a_note_that_cannot_be_read(tmp_path, text):
    path = tmp_path / MANIFEST / "outputs/a.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert recorded_params(tmp_path, tmp_path / "a") == []


def hold(results, sender):
    with Hold(results, is_local=True):
        sender.send(os.getpid())
        time.sleep(60)


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the results folder of the test."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=hold, args=(str(tmp_path), sender))
    process.start()
    assert receiver.poll(20)
    yield process
    process.kill()
    process.join()


@pytest.fixture
def without_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_results_are_held_until_the_process_ends(tmp_path, other_process):
    message = (
        rf"process {other_process.pid} on {socket.gethostname()}, since 20.*, started in {os.getcwd()}; wait"
    )
    with pytest.raises(InputError, match=message), Hold(str(tmp_path), is_local=True):
        pass
    other_process.kill()
    other_process.join()
    with Hold(str(tmp_path), is_local=True) as held:
        assert held.leaves_nothing_running()
    with Hold(str(tmp_path), is_local=False) as held:  # the one before ended well
        assert not held.leaves_nothing_running()
        text = (tmp_path / MANIFEST / "running").read_text()
    (tmp_path / MANIFEST / "running").write_text(text)  # as if killed: its jobs on other machines go on
    with Hold(str(tmp_path), is_local=True) as held:
        assert not held.leaves_nothing_running()


def test_without_locks_what_is_written_down_counts(tmp_path, without_locks, other_process):
    path = tmp_path / MANIFEST / "running"
    with (
        pytest.raises(InputError, match=rf"wait until it has ended; or, .* knows no locks\), delete {path}"),
        Hold(str(tmp_path), is_local=True),
    ):
        pass
    other_process.kill()
    other_process.join()
    with Hold(str(tmp_path), is_local=True):
        content = json.loads(path.read_text())
    for text, who in (
        (
            json.dumps(content | {"host": "elsewhere"}),
            f"a Snakemake of .*, process {os.getpid()} on elsewhere, since",
        ),
        ("[1]", "another Snakemake"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f"being made by {who}"), Hold(str(tmp_path), is_local=True):
            pass


def test_a_second_snakemake_is_kept_out(tiny_run, pool, tmp_path):
    """But not one that only plans; and what it says is one line."""
    first, other = clone(tiny_run, tmp_path / "first"), copy_checkout(tmp_path / "other")
    config = in_the_results_of(first, other, {"clustering.seed": 1})
    with Hold(str(first / "results"), is_local=True):
        status, text = pool.apply(run_snakemake, (other, str(first / PAIRS)), {"config": config})
        assert short(pool.apply(dry_run, (other, str(first / PAIRS), "--configfile", config))) == {
            "cluster_pairs"
        }
    assert status == 1
    assert f"{first}/results: these results are being made by a Snakemake of " in text
    assert "File " not in text


def test_a_link_in_place_of_the_lock(tmp_path):
    path = tmp_path / MANIFEST / "running"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="expected a lock file, got a link; remove it"):
        Hold(str(tmp_path), is_local=True)
    shutil.rmtree(path.parent)
    assert not list(tmp_path.iterdir())
