"""Versions of the libraries that compute are noted with each result, and compared with those installed."""

import ast
import json
import logging
import sys
import threading
from importlib import metadata
from types import SimpleNamespace

import pytest
from helpers.checkouts import TINY, changed_config
from helpers.dry_runs import plan_upgraded, status_upgraded
from helpers.stale_jobs import jobs_of, short
from snakemake.settings.types import DeploymentMethod

from brain2image.core import versions
from brain2image.core.fingerprint import PACKAGE
from brain2image.core.jobs import job
from brain2image.core.manifest import job_place
from brain2image.core.records import ResultsPersistence
from brain2image.core.status import Stage, status_table
from brain2image.core.versions import LIBRARIES, Upgrade, find_upgrades, imported_libraries, note_versions

FILES = [*PACKAGE.rglob("*.py"), *(PACKAGE.parents[1] / "workflow/scripts").glob("*.py")]


@pytest.fixture
def installed(monkeypatch):
    """Versions that seem to be installed, by library, to be changed."""
    found = dict.fromkeys(LIBRARIES.values(), "2.3.1")

    def version(library):
        if library not in found:
            raise metadata.PackageNotFoundError(library)
        return found[library]

    monkeypatch.setattr(metadata, "version", version)
    # without the memory of what was asked before
    monkeypatch.setattr(versions, "minor_version", versions.minor_version.__wrapped__)
    return found


def test_the_libraries_of_every_file():
    """Against a parser, which takes longer."""
    found = {file: imported_libraries([file]) for file in FILES}
    for file in FILES:
        tops = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                tops.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                tops.add(node.module.partition(".")[0])
        assert found[file] == {LIBRARIES[top] for top in tops & set(LIBRARIES)}, file
    assert set().union(*found.values()) == set(LIBRARIES.values())


def test_every_library_is_installed_under_its_name():
    assert all(map(metadata.version, LIBRARIES.values()))


def test_another_minor_version_is_found(tmp_path, installed, monkeypatch):
    sources = [PACKAGE / "models/losses.py", PACKAGE / "datasets/signals.py"]
    monkeypatch.setattr(versions, "loaded_sources", lambda: sources)
    note_versions(str(tmp_path), "train/a/b")
    assert find_upgrades(str(tmp_path), "train/a/b") == []
    assert find_upgrades(str(tmp_path), "train/a/c") == []  # made before versions were noted
    installed |= {"torch": "2.4.0", "scipy": "2.3.2", "himalaya": "3.0"}  # the last one is not imported there
    assert find_upgrades(str(tmp_path), "train/a/b") == [Upgrade("torch", "2.3", "2.4")]
    del installed["torch"]  # of an environment of conda: there is nothing to compare with here
    assert find_upgrades(str(tmp_path), "train/a/b") == []


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"numpy": '])
def test_a_note_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "manifest/versions/train.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert find_upgrades(str(tmp_path), "train") == []


@pytest.fixture
def train(tmp_path):
    """What Snakemake gives to the script of a job."""
    before = threading.excepthook
    (tmp_path / "logs/train").mkdir(parents=True)
    yield SimpleNamespace(log=[str(tmp_path / "logs/train/a.log")], rule="train", threads=1)
    threading.excepthook = before
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()


def test_a_job_notes_what_it_has_loaded(tmp_path, installed, monkeypatch, train):
    """Modules that were imported in the job count too, such as a data set's reader in somebody's file."""
    for name in [name for name in sys.modules if name.startswith("brain2image")]:
        if not name.startswith("brain2image.core"):
            monkeypatch.delitem(sys.modules, name)
    reader = tmp_path / "reader.py"
    reader.write_text("def read():\n    import mne\n")
    with job(train):
        monkeypatch.setitem(sys.modules, "brain2image_reader", SimpleNamespace(__file__=str(reader)))
    note = tmp_path / "manifest/versions/train/a.json"
    assert json.loads(note.read_text()) == {"mne": "2.3"}


def test_a_job_that_fails_notes_nothing(tmp_path, train):
    with pytest.raises(ZeroDivisionError), job(train):
        1 / 0  # noqa: B018
    assert not (tmp_path / "manifest").exists()


def test_the_place_of_a_job():
    assert job_place("a/logs/b/logs/train/c/d.log", "train") == ("a/logs/b", "train/c/d")
    assert job_place("results/logs/summarise.log", "summarise") == ("results", "summarise")
    assert job_place("elsewhere/train.log", "train") is None


class Job:
    """A job as Snakemake asks for its changes, without outputs and params of its own."""

    log, rule = ("results/logs/train/a.log",), SimpleNamespace(name="train")
    output, non_derived_params = (), ()


@pytest.mark.parametrize(
    ("is_asked", "methods", "is_stale"),
    [
        (True, set(), True),
        (False, set(), False),
        (True, {DeploymentMethod.CONDA}, False),  # its environments have versions of their own
    ],
)
def test_when_an_upgrade_counts(tmp_path, monkeypatch, is_asked, methods, is_stale):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(versions, "loaded_sources", lambda: [PACKAGE / "models/losses.py"])
    note_versions("results", "train/a")
    monkeypatch.setattr(versions, "minor_version", lambda library: "99.1")
    workflow = SimpleNamespace(
        execution_settings=None,
        local_exec=True,
        dag_settings=SimpleNamespace(max_checksum_file_size=0),
        deployment_settings=SimpleNamespace(deployment_method=methods),
    )
    notes = ResultsPersistence(
        results="results",
        rerun_on_upgrade=is_asked,
        dag=SimpleNamespace(workflow=workflow),
        nolock=False,
        warn_only=True,
    )
    change = notes.params_changed(Job())
    assert bool(change) == is_stale
    assert change.only_new == ({"library torch 99.1"} if is_stale else set())


# What another version of a library made in the tiny run.
MADE_BY = {
    "himalaya": ["baselines", "picture_encoder", "embed_tokens"],
    "open_clip_torch": ["simulate_clip", "embeddings", "fmri"],
}


@pytest.mark.parametrize("library", MADE_BY)
def test_an_upgrade_reruns_the_stages_that_import_it_when_asked_to(tiny_run, pool, library):
    name = changed_config(tiny_run, {"rerun_on_upgrade": True}, name=f"{library}.yaml")
    other = pool.apply(plan_upgraded, (tiny_run, library, "99.1.0", "--configfile", name))
    assert short(other) == jobs_of(MADE_BY[library])
    unasked = pool.apply(plan_upgraded, (tiny_run, library, "99.1.0", "--configfile", TINY))
    assert unasked == set()


def test_status_names_the_stages_that_another_version_made(tiny_run, pool):
    stages = pool.apply(status_upgraded, (tiny_run, "himalaya", "99.1.0", "--configfile", TINY))
    upgraded = {rule: found for rule, (found, _) in stages.items() if found}
    now = ".".join(metadata.version("himalaya").split(".")[:2])
    found = [("himalaya", now, "99.1")]
    learners = ("fit_baseline", "fit_picture_encoder", "embed_tokens", "decode_tokens")
    assert upgraded == dict.fromkeys(learners, found)
    assert not any(reasons for _, reasons in stages.values())
    name = changed_config(tiny_run, {"rerun_on_upgrade": True}, name="asked.yaml")
    stages = pool.apply(status_upgraded, (tiny_run, "himalaya", "99.1.0", "--configfile", name))
    assert stages["fit_picture_encoder"][1] == ["other versions"]
    assert stages["evaluate"][1] == ["after another stage"]


def test_the_table_has_a_column_where_there_is_an_upgrade():
    from rich.console import Console

    def shown(upgrades):
        console = Console(width=150)
        with console.capture() as capture:
            console.print(status_table([Stage("train", 1, {"a"}, {"a"}, upgrades, 0, [], [])]))
        return capture.get()

    assert "torch 2.11, now 2.12" in shown([Upgrade("torch", "2.11", "2.12")])
    assert "versions" not in shown([])
