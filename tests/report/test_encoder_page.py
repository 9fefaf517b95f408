"""The page of the picture encoder says what was found."""

import re

import numpy as np
import pytest

from brain2image.report.figures.encoder_plots import plot_encoder
from brain2image.report.figures.style import to_svg
from brain2image.report.pages import encoder_page

QUANTILES = {"q05": -1.0, "q25": 10.0, "q50": 20.5, "q75": 30.0, "q95": 40.0}
CEILING = {"mean": {"quantiles": dict(zip(QUANTILES, (5.0, 15.0, 44.4, 55.0, 66.0), strict=True))}}


@pytest.fixture
def quality():
    candidates = [
        {"method": "ridge", "layer": "projected", "r2": 0.111},
        {"method": "kernel_ridge", "layer": "layer_12", "r2": 0.222},
    ]
    return {
        **candidates[1],
        "clip": "ViT, <tag>",
        "n_pictures": 9_000,
        "excluded": {"partners": 200, "near_duplicates": 17},
        "candidates": candidates,
        "r2_quantiles": QUANTILES,
        "bins": [-10.0, 0.0, 50.0, 100.0],
        "r2_histogram": [1, 10, 0],
        # of 60 pictures a half is found first, of the other a half second
        "ranks": [[1] * 30 + [2] * 30, [1] * 30 + [60] * 30],
    }


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_the_page_names_what_was_fitted_chosen_and_left_out(quality):
    fmri = {"subj02": {"all": CEILING, "shared1000": None}, "subj05": {"all": None, "shared1000": None}}
    page = encoder_page.encoder_page("things_subj02-subj05", quality, fmri)
    text = text_of(page)
    assert "fitted on 9,000 pictures that were scanned" in text
    assert "200 that stand in a validation or test pair, and 17 that nearly equal" in text
    assert "ridge regression with an RBF kernel layer_12 22.2 chosen" in text
    assert "ridge regression projected 11.1 " in text
    assert "predicted: R² of unseen pictures -1.0 10.0 20.5 30.0 40.0" in text
    assert "noise ceiling of subj02, all pictures 5.0 15.0 44.4 55.0 66.0" in text
    assert "noise ceiling of subj05" not in text
    assert "ViT, &lt;tag&gt;" in text
    assert page.count("<svg") == 1


def test_retrieval_has_chance_and_galleries_that_fit_into_a_fold(quality):
    rows = {row[0]: row[1:] for row in encoder_page._retrieval_rows([np.array(r) for r in quality["ranks"]])}
    assert rows["all of a fold, 60"] == ("50.0", "75.0", f"{100 / 60:.1f}", f"{500 / 60:.1f}")
    # the picture before the second is one of the 49 others of 59 with a probability of 49 / 59
    found = 50 + 25 * (1 - 49 / 59)
    assert rows["50"] == (f"{found:.1f}", "75.0", "2.0", "10.0")
    assert set(rows) == {"50", "all of a fold, 60"}


def test_the_figure_shows_the_histogram_and_each_noise_ceiling(quality):
    figure = plot_encoder(quality, {"subj02": 44.4, "subj05": 33.3})
    (panel,) = figure.axes
    (histogram,) = panel.patches
    np.testing.assert_array_equal(histogram.get_data().values, quality["r2_histogram"])
    assert [line.get_xdata()[0] for line in panel.lines] == [20.5, 44.4, 33.3]
    assert to_svg(figure).count("subj0") == 2
