"""The page of the EEG encoders says what each run learned with, what it scored and what it took."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
from helpers.browsers import browser, needs_chromium  # noqa: F401, a fixture
from helpers.report_tables import PAIRS, summary
from helpers.scripts import run_script

from brain2image.formats.files import write_csv
from brain2image.formats.tables import SUMMARY
from brain2image.report.pages.eeg_encoders_page import encoders_page, training_costs


def config(encoder, *, pretrained=False, is_frozen=False, channels="all", left_out=0):
    record = {"n_parameters": 4_924_000, "n_learned": 0 if is_frozen else 4_923_800, "tensors_loaded": 209}
    record |= {"is_frozen": is_frozen, "tensors_left_out": {"a reason": left_out} if left_out else {}}
    return {"model": {"encoder": encoder, "pretrained": pretrained, "channels": channels}, "encoder": record}


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_a_row_says_what_the_run_learned_with_and_what_it_took():
    table = summary(flatten=0.25, tsconv=0.5)
    configs = {
        "flatten": config("cbramod", pretrained=True, is_frozen=True, left_out=2),
        "tsconv": config("tsconv", channels=["Oz", "O1"]),
        "tsconv_seed-1": config("tsconv", channels=["Oz", "O1"]),
    }
    costs = {"flatten": {"s": 65.0, "max_rss": 1500.0}, "tsconv": {"s": np.nan, "max_rss": np.nan}}
    text = text_of(encoders_page("a", table, configs, costs | {"tsconv_seed-1": {"s": 10, "max_rss": 800.0}}))
    assert "flatten cbramod published weights, frozen channels: all 25.0" in text
    assert "4,924,000 0 209 2 left out 1 min 05 s 1.5" in text
    assert "tsconv tsconv random weights channels: Oz, O1 50.0" in text
    assert "4,924,000 4,923,800 209 0.8" in text  # one of two jobs has no time, so their mean is not known
    assert text.count("tsconv tsconv") == 1
    assert "Encoders of a" in text


@needs_chromium
def test_long_names_fit_800_pixels(browser):  # noqa: F811
    channels = ["PO7", "PO3", "POz", "PO4", "PO8", "FT10", "TP10", "CP5"]
    configs = {
        "ubp_mlp_posterior": config("mlp", channels=channels, left_out=12),
        "eegpt_untrained": config("braindecode:InterpolatedEEGPT", pretrained=True, is_frozen=True),
    }
    costs = {run: {"s": 36_000.0, "max_rss": 15_000.0} for run in configs}
    table = summary(**dict.fromkeys(configs, 0.25))
    rows = pd.concat([table, table.assign(seed=1, value=table["value"] + 0.05)])
    page = browser.new_page(viewport={"width": 800, "height": 900})
    page.set_content(encoders_page("things-01_subj01", rows, configs, costs))
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.close()


def test_a_run_of_clip_features_stands_in_a_table_of_its_own():
    rows = summary(own=0.25, field=0.5, ridge=0.2)
    rows.loc[rows["run"] == "field", "level"] = "field"
    cost = {"s": 65.0, "max_rss": 1500.0}
    configs = {run: config("tsconv") for run in ("own", "field")}
    page = encoders_page("a", rows, configs, dict.fromkeys(configs, cost))
    assert page.count("<table>") == 2
    first, second = page.split("Against CLIP features")
    assert ("own<br>" in first, "field<br>" in first) == (True, False)
    assert ("own<br>" in second, "field<br>" in second) == (False, True)
    alone = encoders_page("a", rows[rows["run"] != "own"], configs, dict.fromkeys(configs, cost))
    assert alone.count("<table>") == 1
    assert "own<br>" not in alone


def test_costs_are_read_where_snakemake_noted_them(tmp_path):
    (tmp_path / "train/x").mkdir(parents=True)
    (tmp_path / "train/x/a.tsv").write_text("s\tmax_rss\tcpu_time\n5.5\t700\t9\n")
    files = [f"results/runs/x/{run}/config.json" for run in ("a", "b")]
    first, second = training_costs(files, tmp_path)
    assert first == {"s": 5.5, "max_rss": 700.0}
    assert np.isnan(list(second.values())).all()
    assert PAIRS


def test_the_rule_writes_the_page_of_the_runs_that_have_an_encoder(tmp_path):
    brains, table = PAIRS[0], summary(PAIRS, flatten=0.25, tsconv=0.5, path=0.3).reindex(columns=SUMMARY)
    table = table.assign(n_passed_over=0)
    write_csv(tmp_path / "summary.csv", table)
    contents = {"flatten": config("cbramod"), "path": {"model": {}, "encoder": None}}
    contents["tsconv"] = config("tsconv", channels=[*"abcdefghi"])
    files = [tmp_path / "runs" / brains / run / "config.json" for run in contents]
    for file, content in zip(files, contents.values(), strict=True):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    (tmp_path / f"benchmarks/train/{brains}").mkdir(parents=True)
    (tmp_path / f"benchmarks/train/{brains}/tsconv.tsv").write_text("s\tmax_rss\n65\t1500\n")
    run_script(
        "show_encoders",
        tmp_path,
        input=SimpleNamespace(summary=tmp_path / "summary.csv", configs=files),
        output={"encoders": tmp_path / "encoders.html"},
        params={
            "brains": brains,
            "names": {"trainings": list(contents), "benchmarks": str(tmp_path / "benchmarks")},
        },
    )
    text = text_of((tmp_path / "encoders.html").read_text())
    assert f"Encoders of {brains}" in text
    assert "flatten cbramod random weights channels: all 25.0" in text
    assert "tsconv tsconv random weights channels: 9 named 50.0" in text
    assert "1 min 05 s 1.5" in text
    assert "path" not in text
