"""The demo's results, where `make demo` has left them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brain2image.evaluation.summary import headline

RUNS = ("multitoken_vit", "linear_path", "ridge", "ridge_paired", "two_step", "ceiling", "fmri_ceiling")
RESULTS = Path(__file__).parents[2] / "results" / "demo"

pytestmark = pytest.mark.skipif(
    not (RESULTS / "summary.csv").is_file(), reason="`make demo` has not run here"
)


@pytest.fixture
def summary():
    return headline(pd.read_csv(RESULTS / "summary.csv")).set_index(["run", "metric"])


@pytest.mark.parametrize("run", RUNS)
def test_top1_is_above_chance(summary, run):
    assert (summary.loc[[(run, "top1")], "p"] < 0.01).all()  # of every seed


def test_nothing_passes_the_ceilings_beyond_its_interval(summary):
    for metric in ("top1", "mrr", "cosine"):
        scores = summary.xs(metric, level="metric")
        others = scores.drop(index=["ceiling", "fmri_ceiling"])
        assert (others["low"] <= scores.loc["ceiling", "value"]).all()
        assert scores["value"].idxmax() == "fmri_ceiling"


def claims():
    """Run, metric and range of every cell of README's table."""
    text = (RESULTS.parents[1] / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| (\d+)-(\d+) \| (\d+)-(\d+) \|$", text, re.MULTILINE)
    for run, *bounds in rows:
        yield run, "top1", *map(int, bounds[:2])
        yield run, "top5", *map(int, bounds[2:])


def test_the_scores_are_those_that_the_readme_claims(summary):
    found = {(run, metric): (low, high) for run, metric, low, high in claims()}
    runs = {run for run, _ in summary.index}
    assert {run for run, _ in found} == runs == set(RUNS)
    for (run, metric), (low, high) in found.items():
        assert high - low <= 30
        assert low <= 100 * summary.loc[[(run, metric)], "value"].mean() <= high, (run, metric)


def test_pairs_show_similar_things():
    latents = np.load(RESULTS / "simulated" / "latents.npz")
    pairs = pd.read_parquet(RESULTS / "pairs" / "things_subj01.parquet")
    things = latents["things"][pairs["eeg_image"]]
    nsd = latents["nsd"][np.searchsorted(latents["nsd_images"], pairs["fmri_image"])]
    things, nsd = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (things, nsd))
    assert np.median(np.sum(things * nsd, axis=1)) > np.median(things @ nsd.T) + 0.5


def test_the_report_needs_no_network():
    pages = [path.read_text() for path in (RESULTS / "report").glob("*.html")]
    assert any("retrieval.svg" in text for text in pages)
    for text in pages:
        assert "<script" not in text
        assert not re.search(r'(src|href)="(https?:)?//', text)
