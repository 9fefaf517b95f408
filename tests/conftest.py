"""Fixtures that several test files use."""

import hashlib
import logging
import os

import numpy as np
import pytest
from helpers.checkouts import build_tiny_run
from helpers.web_server import Server, serving

collect_ignore = ["cluster", "faults", "runs"]  # make test-cluster, make test-faults, make test-runs

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for the network

# What takes seconds: fixtures that run the workflow or a browser, and what runs it, trains, calibrates, fits
# all baselines, repacks recordings, runs CLIP, draws and compares pictures, or makes and damages releases.
# Tests that take or name one are slow, and `make test-fast` leaves them out. Single tests of seconds in files
# that are quick otherwise are marked where they stand.
SLOW_FIXTURES = {"tiny_run", "pool", "browser"}
SLOW_NAMES = {
    "snakemake",
    "planned_jobs",
    "copy_checkout",
    "train",
    "calibrate",
    "fit_baseline",
    "sample_pictures",
    "sample_pairs",
    "score_pictures",
    "simulate_eeg",
    "simulate_clip",
    "READERS",
    "repack_eeg",
    "open_clip",
}
# What begins: the file that makes the tiny run, folders of long files that need none, and one that does.
FIRST = ["test_staleness.py", "training", "translation", "workflow"]


def pytest_xdist_auto_num_workers():
    """One process more than cores, up to 4, as tests that wait leave a core idle."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items):
    """Mark what is slow by what it uses, so that no list of tests has to be kept.

    The longest files come first, as one of these would else be the last of one process; and while one process
    makes the tiny run, another one does not wait for it.
    """
    for item in items:
        # a function or module by its own name, whatever the file calls it
        names = {
            getattr(value, "__name__", name).rpartition(".")[2] for name, value in vars(item.module).items()
        }
        if SLOW_FIXTURES & set(item.fixturenames) or SLOW_NAMES & names:
            item.add_marker("slow")
    items.sort(key=lambda item: min(map(place, (item.path.name, item.path.parent.name))))


def place(name):
    """Where a file or folder stands among those that begin, or behind all of them."""
    return FIRST.index(name) if name in FIRST else len(FIRST)


@pytest.fixture(scope="session", autouse=True)
def no_watches():
    """Jobs in a test's own process watch no Snakemake: their threads would sleep on into other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brain2image.core.jobs._stop_with_parent", lambda: None)
        yield


@pytest.fixture(autouse=True)
def plain_log():
    """The level of Python's log as it starts, which jobs in a test's own process lower."""
    logging.root.setLevel(logging.WARNING)


@pytest.fixture
def rng():
    """A seeded random generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def pool():
    """Processes that have imported Snakemake and the libraries, for the functions of dry_runs.py."""
    from helpers.dry_runs import warm_processes  # it imports Snakemake, which few test files need

    with warm_processes() as processes:
        yield processes


@pytest.fixture(scope="session")
def tiny_run(pool, tmp_path_factory):
    """A checkout after the run of tests/tiny.yaml, for all test processes: copy it before you change it."""
    from helpers.dry_runs import run_snakemake

    folder = tmp_path_factory.getbasetemp()
    is_shared = "PYTEST_XDIST_WORKER" in os.environ  # then each process has a folder inside a common one
    folder = (folder.parent if is_shared else folder) / "tiny_run"
    return build_tiny_run(folder, lambda checkout: pool.apply(run_snakemake, (checkout,)))


@pytest.fixture
def server(monkeypatch):
    """A web server, and a client that may use the network and does not wait between its attempts."""
    monkeypatch.setattr("brain2image.weights.remote.DELAYS", (0, 0))
    monkeypatch.setattr("brain2image.weights.remote.FIRST_DELAYS", (0, 0))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with serving(Server()) as server:
        yield server


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The shared cache of downloads, in a folder of the test."""

    def folder(kind, *identity):
        path = tmp_path / "cache" / kind / hashlib.sha256(repr(identity).encode()).hexdigest()[:8]
        path.mkdir(parents=True, exist_ok=True)
        return path

    monkeypatch.setattr("brain2image.weights.download.cache_folder", folder)
    monkeypatch.setattr("brain2image.weights.checkpoint_parts.cache_folder", folder)
    return tmp_path / "cache"
