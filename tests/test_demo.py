"""The demo's results, where `make demo` has left them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brain2image.evaluation import headline

RESULTS = Path(__file__).parents[1] / "results" / "demo"

pytestmark = pytest.mark.skipif(
    not (RESULTS / "summary.csv").is_file(), reason="`make demo` has not run here"
)


@pytest.fixture
def summary():
    return headline(pd.read_csv(RESULTS / "summary.csv")).set_index(["run", "metric"])


@pytest.mark.parametrize("run", ["multitoken_vit", "flatten", "ridge", "two_step", "ceiling"])
def test_top1_is_above_chance(summary, run):
    assert summary.loc[(run, "top1"), "p"] < 0.01


def test_the_ceiling_is_the_highest(summary):
    for metric in ("top1", "cosine"):
        values = summary["value"].xs(metric, level="metric")
        assert values.idxmax() == "ceiling"


def test_pairs_show_similar_things():
    latents = np.load(RESULTS / "simulated" / "latents.npz")
    pairs = pd.read_parquet(RESULTS / "pairs" / "sub-01_subj01.parquet")
    things = latents["things"][pairs["things_image"]]
    nsd = latents["nsd"][np.searchsorted(latents["nsd_images"], pairs["nsd_image"])]
    things, nsd = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (things, nsd))
    assert np.median(np.sum(things * nsd, axis=1)) > np.median(things @ nsd.T) + 0.5


def test_the_report_needs_no_network():
    text = (RESULTS / "report.html").read_text()
    assert "retrieval.svg" in text
    assert '<script src="http' not in text
    assert '<link rel="stylesheet" href="http' not in text
