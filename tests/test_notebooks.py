"""The notebooks: committed without outputs, on public names alone, and they run on the results of a run.

`make notebooks` runs them in kernels of their own, on the demo's results.
"""

import ast
import logging
import re
from pathlib import Path

import h5py
import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

import brain2image
from brain2image.evaluation.metrics import ranks, similarity_matrix
from brain2image.evaluation.predictions import read_predictions
from brain2image.evaluation.summary import headline
from brain2image.formats.hdf5 import read_trials

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.name: path for path in sorted((ROOT / "notebooks").iterdir()) if path.suffix == ".ipynb"}
MACHINE_PATH = re.compile(r"""(^|[\s"'`(=])(~|/(home|mnt|root|tmp|usr|Users|work)\b|[A-Z]:\\)""", re.M)


def read(name):
    return nbformat.read(NOTEBOOKS[name], as_version=nbformat.NO_CONVERT)


def code(name):
    """The code cells of a notebook, parsed."""
    return [ast.parse(cell.source) for cell in read(name).cells if cell.cell_type == "code"]


def test_these_are_the_notebooks():
    assert list(NOTEBOOKS) == ["recording_to_pictures.ipynb", "results_to_figure.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_without_what_a_run_leaves(name):
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None, cell.source
        assert set(cell.metadata) <= {"tags"}, cell.source
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata == {"kernelspec": kernel, "language_info": {"name": "python"}}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_names_no_place_of_a_machine(name):
    for cell in read(name).cells:
        assert not MACHINE_PATH.search(cell.source), cell.source
    assert MACHINE_PATH.search('open("/home/anna/results")')


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_uses_public_names_alone(name):
    nodes = [node for cell in code(name) for node in ast.walk(cell)]
    imported = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    assert [module for module in imported if module.startswith("brain2image")] == ["brain2image"]
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "brain2image"
    }
    assert used and used <= set(brain2image.__all__)
    assert not [node for node in nodes if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_of_a_notebook_lead_somewhere(name):
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        assert (ROOT / "notebooks" / link).is_file(), link


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_is_shown_to_a_newcomer(name):
    assert f"notebooks/{name}" in (ROOT / "docs/tutorial.md").read_text()


def test_continuous_integration_runs_them_on_the_results_of_the_demo():
    steps = re.findall(r"^make (\S+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert steps.index("notebooks") == steps.index("demo") + 1
    recipe = re.search(r"^notebooks: setup\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert recipe.rstrip().endswith("pytest --nbmake notebooks")


@pytest.fixture
def run_cells(monkeypatch):
    """Run all cells of a notebook in this process, where it lies, on a folder of results; its names."""
    log = logging.getLogger("brain2image")

    def run(name, results):
        monkeypatch.chdir(ROOT / "notebooks")
        monkeypatch.setenv("BRAIN2IMAGE_RESULTS", str(results))
        space = {"__name__": "__main__"}
        for number, cell in enumerate(code(name)):
            exec(compile(cell, f"{name}, code cell {number}", "exec"), space)
        return space

    with matplotlib.rc_context({"backend": "agg"}):
        yield run
    log.setLevel(logging.NOTSET)
    plt.close("all")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_without_results_a_notebook_says_what_to_do(run_cells, tmp_path, name):
    with pytest.raises(FileNotFoundError, match=rf"^{tmp_path}: expected .* run `make demo`, or set"):
        run_cells(name, tmp_path)


def test_the_figure_and_the_words_are_those_of_the_tables(run_cells, tiny_run, capsys):
    results = tiny_run / "results"
    space = run_cells("results_to_figure.ipynb", results)
    brains, network, baseline = (space[name] for name in ("BRAINS", "NETWORK", "BASELINE"))
    rows = headline(pd.read_csv(results / "summary.csv")).set_index(["run", "metric"])
    assert list(space["scores"].index) == list(dict.fromkeys(rows.index.get_level_values("run")))
    for run, row in space["scores"].iterrows():
        own = rows.loc[(run, "top1"), ["value", "low", "high"]]
        assert row[["top1", "low", "high"]].tolist() == own.tolist()
    table = pd.read_csv(results / "comparisons.csv").set_index(["run", "baseline", "metric"])
    expected = table.loc[(network, baseline, "top1")]
    printed = capsys.readouterr().out
    assert f"{baseline}: {100 * expected['difference']:+.1f} percentage points" in printed
    assert f"interval {100 * expected['low']:+.1f} to {100 * expected['high']:+.1f} over" in printed
    assert "simulated" in printed
    left, right, *panels = space["figure"].axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(space["scores"].index)
    assert len(right.get_yticklabels()) == 2 and len(panels) == 3 * 7
    content = read_predictions(results / "runs" / brains / network / "predictions.npz")
    predictions, targets = content.predictions - content.target_mean, content.targets - content.target_mean
    expected = np.diag(ranks(similarity_matrix(predictions, targets)))
    assert space["ranks"].tolist() == expected.tolist()


def similarity(first, second):
    return np.vdot(first, second) / np.linalg.norm(first) / np.linalg.norm(second)


def test_a_recording_becomes_pictures_with_a_control_and_chance(run_cells, tiny_run, capsys):
    results = tiny_run / "results"
    space = run_cells("recording_to_pictures.ipynb", results)
    found, control = space["found"], space["control"]
    events = found.trials["event"].tolist()
    assert sorted(events) == ["1", "2", "3", "4", "5"] and events == control.trials["event"].tolist()
    assert not np.allclose(found.embedding, control.embedding)
    with h5py.File(results / "eeg/things-01.h5") as file:
        trials = read_trials(file)
        images = [space["seen"][event] for event in events]
        rows = [np.flatnonzero((trials["image"] == image) & (trials["session"] == 0)) for image in images]
        means = np.stack([file["eeg"][own].mean(axis=0) for own in rows])
    mean, expected = space["model"].target_mean, space["model"].predict(means)
    # not the same, as the recording is whitened by its own trials
    assert similarity(found.embedding - mean, expected - mean) > 0.9
    assert similarity(control.embedding - mean, expected - mean) < 0.5
    assert sum(len(panel.images) for panel in space["figure"].axes) == 5 * (1 + 5 + 2)
    printed = capsys.readouterr().out
    for name in ("after", "before"):
        said = rf"^The second {name} the event: \d+ % of 5 found, chance 20 %, p = [01]\.\d+$"
        assert re.search(said, printed, re.MULTILINE)
