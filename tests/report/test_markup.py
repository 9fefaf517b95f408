"""Markup in whatever text a user controls runs in no page, no figure, and not in Snakemake's report."""

import json

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from helpers.browsers import browser, needs_chromium  # noqa: F401, a fixture
from helpers.checkouts import changed_config, clone
from helpers.dry_runs import run_snakemake
from helpers.report_tables import BOUNDS, LEAKY, comparisons, summary

from brain2image.config import Config, load_config
from brain2image.core.errors import InputError
from brain2image.report.figures.style import to_svg
from brain2image.report.pages import audit_page as audit
from brain2image.report.pages import overview_page as overview
from brain2image.report.pages import provenance_pages as provenance
from brain2image.report.pages import score_pages as scores

SCRIPT = "<script>window.planted = 1</script>"
PLANT = f"</script></style></svg></title>-->{SCRIPT}\"'><img src=x onerror='window.planted = 1'>&lt;]]>"
# What a path may hold.
ODD = 'it\'s "a" & b; -- ] %3C $1 #'
AUDIT = {
    "split": LEAKY,
    "target_dependence": 0.1,
    "statistics_fitted_on": PLANT,
    "checkpoint_chosen_on": PLANT,
    "beyond": {"two_way": 0.5, "p": 0.5},
    "people": {
        "people": PLANT,
        "learned_from": [PLANT, PLANT],
        "knows_tested": True,
        "is_calibrated": False,
        "shared_with_training": {PLANT: 1},
    },
    "leaks": [PLANT],
    "caveats": [PLANT],
    "unknown": [PLANT],
}


CONFUSIONS = {PLANT: [[3, 1], [2, 4]], "ridge": [[1, 3], [4, 2]]}


def table_of_scores():
    return pd.concat([summary([PLANT], **{PLANT: 0.4}), summary([PLANT], ridge=0.2)])


def planted_figure():
    figure, axes = plt.subplots()
    axes.set(xlabel=PLANT, title=PLANT)
    axes.plot([0, 1], label=PLANT)
    axes.set_xticks([0], [PLANT])
    figure.legend()
    return to_svg(figure)


def planted_overview():
    rows = comparisons(0.1, 0.01, [PLANT]).assign(run=PLANT)
    return overview.overview_page(
        table_of_scores(),
        rows,
        audits={PLANT: [AUDIT]},
        bounds={PLANT: BOUNDS},
        is_simulated=False,
        figure=planted_figure(),
    )


def jobs():
    return pd.DataFrame({"rule": [PLANT], "s": 1.0, "cpu_time": 1.0, "max_rss": 1.0})


PAGES = {
    "configuration.html": lambda: provenance.configuration_page([[PLANT] * 3], {PLANT: {PLANT: PLANT}}),
    "versions.html": lambda: provenance.versions_page(
        [{"versions": {"numpy": PLANT}, "device": PLANT}],
        {PLANT: PLANT},
        place={PLANT: PLANT},
        checksums={PLANT: PLANT},
    ),
    "resources.html": lambda: provenance.resources_page(jobs()),
    "scores.html": lambda: scores.scores_page(PLANT, table_of_scores(), CONFUSIONS),
    "bounds.html": lambda: scores.bounds_page(PLANT, BOUNDS, is_exact=True),
    "audit.html": lambda: audit.audit_page(PLANT, {PLANT: AUDIT}, {PLANT: 0.1}, is_decoded=True),
    "overview.html": planted_overview,
    "figure.svg": planted_figure,
    # as Snakemake's report holds the overview
    "in_a_script.html": lambda: f"<script>var page = {json.dumps(planted_overview())};</script><p>page</p>",
}


def ran(browser, path):  # noqa: F811
    """Open a page offline; whether a script of ours ran."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    found = page.evaluate("window.planted === 1")
    context.close()
    return found


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_no_script_runs_in_our_pages(browser, tmp_path, name):  # noqa: F811
    (tmp_path / name).write_text(PAGES[name](), encoding="utf-8")
    assert not ran(browser, tmp_path / name)


@needs_chromium
def test_what_is_planted_would_run(browser, tmp_path):  # noqa: F811
    for name, text in (("page.html", f"<p>{PLANT}"), ("script.html", f"<script>var x = {json.dumps(PLANT)}")):
        (tmp_path / name).write_text(text)
        assert ran(browser, tmp_path / name)


@pytest.mark.parametrize("text", [PLANT, "a\nb", "\x1b[31m", "\u202e"])
def test_no_text_of_the_configuration_may_be_markup(text):
    keys = [key for key, value in texts(Config().model_dump()) if key != "brains"]
    assert {"results", "data.nsd", "weights.clip", "clip.model"} <= set(keys)
    for key in keys:
        block, _, name = key.rpartition(".")
        with pytest.raises(InputError, match=rf"config: {key}: expected "):
            load_config({block: {name: text}} if block else {name: text})
    with pytest.raises(InputError, match=r"config: runs"):
        load_config({"runs": {text: {}}})
    with pytest.raises(InputError, match=r"config: brains"):
        load_config({"brains": [text]})


def texts(block, prefix=""):
    """Name and value of every key whose value is a text."""
    for key, value in block.items():
        if isinstance(value, dict) and key != "runs":
            yield from texts(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value


@needs_chromium
def test_no_script_runs_in_the_report_of_snakemake(browser, tiny_run, pool, tmp_path):  # noqa: F811
    """Whatever odd characters a path may hold."""
    checkout = clone(tiny_run, tmp_path / "checkout")
    changes = {f"data.{key}": f"results/raw/{ODD}/{key}" for key in ("things_images", "things_eeg", "nsd")}
    changes |= {"weights.clip": f"results/raw/{ODD}.pt", "weights.cbramod": f"results/raw/{ODD}.pth"}
    options = {"config": changed_config(checkout, changes)}
    status, text = pool.apply(run_snakemake, (checkout, "--report", "report.html"), options)
    assert status == 0, text
    assert "] %3C $1 #/nsd" in (checkout / "report.html").read_text()  # the params of the page on the config
    assert not ran(browser, checkout / "report.html")
