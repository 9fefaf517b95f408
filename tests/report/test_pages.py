"""Pages of the report say what the numbers say."""

import re
import subprocess
from functools import partial

import pandas as pd
import pytest
from helpers.report_tables import BOUNDS, CLEAN, LEAKY, PAIRS, comparisons, summary

from brain2image.config import list_runs, list_settings, load_config
from brain2image.evaluation.run_audit import audit_run
from brain2image.report.pages import audit_page as audit
from brain2image.report.pages import html
from brain2image.report.pages import overview_page as overview
from brain2image.report.pages import provenance_pages as provenance
from brain2image.report.pages import score_pages as scores
from brain2image.report.pages.surroundings import describe_place, git_commit


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("difference", "p_holm", "relation"),
    [(0.2, 0.01, "is above"), (-0.2, 0.01, "is below"), (0.2, 0.3, "cannot be told apart from")],
)
def test_the_verdict_names_the_best_network_and_the_best_baseline(difference, p_holm, relation):
    table = summary(flatten=0.4, attention=0.3, ridge=0.2, ceiling=0.8)
    chance, baseline, ceiling = overview.findings(table, comparisons(difference, p_holm))
    assert (
        "flatten, the best of 2 networks (chosen on test), finds 40.0 % of 10 test pictures of 8 concepts"
        in chance
    )
    assert "(95 % interval over concepts 30.0 to 50.0 %); chance is 10.0 %, p < 0.001" in chance
    assert (
        f"flatten, the best of 2 networks (chosen on test), {relation} ridge, the only baseline: " in baseline
    )
    assert f"{100 * difference:+.1f} percentage points" in baseline
    assert "50 % of the way" in ceiling


def test_with_several_pairs_the_verdict_generalises_over_them():
    rows = comparisons(0.5, 0.001, PAIRS[:1])
    rows = pd.concat([rows, comparisons(0.1, 0.2, ["all"])])
    table = pd.concat(
        [summary(PAIRS[:1], flatten=0.4, ridge=0.2), summary(PAIRS[1:], 0.4, flatten=0.2, ridge=0.2)]
    )
    chance, baseline = overview.findings(table, rows)
    assert "finds 30.0 %" in chance
    assert "in 1 of 2" in chance
    assert "cannot be told apart from" in baseline


def test_the_best_of_networks_of_several_people_is_said_to_have_learned_from_them():
    table = summary(flatten=0.3, flatten_all=0.4, ridge=0.2)
    chance, *_ = overview.findings(table, comparisons(0.1, 0.01))
    named = (
        "flatten_all, the best of 2 networks (chosen on test), learned from everybody's EEG. It finds 40.0 %"
    )
    assert chance.startswith(named)


def test_runs_of_clip_features_are_no_networks_that_find_fmri():
    rows = summary(own=0.3, field=0.9, ridge=0.2)
    rows.loc[rows["run"] == "field", "level"] = "field"
    first, *_ = overview.findings(rows, comparisons(0.1, 0.01, run="own"))
    assert first.startswith("own, the only network, finds 30.0 %")
    alone = overview.findings(rows[rows["run"] != "own"], comparisons(0.1, 0.01).iloc[:0])
    assert alone == [overview.NO_NETWORK]


def test_the_overview_holds_figure_data_and_leaks():
    found = {"caveats": ["a caveat"], "unknown": ["what nobody knows"]}
    runs = [{"split": CLEAN, "leaks": leaks, **found} for leaks in ([], ["a leak"])]
    text = overview.overview_page(
        summary(flatten=0.4, ridge=0.2),
        comparisons(0.2, 0.01),
        audits={PAIRS[0]: runs},
        bounds={PAIRS[0]: BOUNDS},
        is_simulated=True,
        figure='<?xml version="1.0"?><svg><text>the figure</text></svg>',
    )
    assert text.startswith("<!doctype html>")
    assert "<?xml" not in text
    parts = "the figure", "1 network (flatten)", "simulated data", "found: a leak"
    for part in (*parts, "80 / 10 / 10 predicted, 80 pictures 37", "The partner was chosen by CLIP alone"):
        assert part in text_of(text)
    clean, caveat, unknown = overview.leak_sentences({PAIRS[0]: runs[:1]})
    assert "found no leak" in clean
    assert "a caveat" in caveat
    assert "what nobody knows" in unknown


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        ({"best_epoch": 0, "network_share": 1.0}, "The network: the model before its first step"),
        ({"best_epoch": 3, "network_share": 0.0}, "The network: the linear path alone"),
        ({"best_epoch": 3, "network_share": 0.25}, None),
        # a run without an encoder has no network that could bring anything
        ({"best_epoch": 0, "network_share": None}, "Training: the model before its first step"),
        ({"best_epoch": 3, "network_share": None}, None),
    ],
)
def test_it_is_said_where_training_brought_nothing(outcome, what):
    table = summary(flatten=0.4, ridge=0.2)
    table.loc[table["run"] == "flatten", list(outcome)] = list(outcome.values())
    found = overview.findings(table, comparisons(0.2, 0.01))
    sentences = [text for text in found if "brings nothing" in text]
    assert len(sentences) == (what is not None)
    for sentence in sentences:
        subject, kept = what.split(": ")
        assert sentence.startswith(f"{subject} brings nothing to flatten: in 1 of 1 trainings")
        assert kept in sentence


ALONE = {
    "people": "own",
    "learned_from": ["things-01"],
    "knows_tested": True,
    "is_calibrated": False,
    "shared_with_training": {"EEG pictures": 0, "concepts": 0, "fMRI pictures": 0},
}
KNOWN = ALONE | {
    "people": "others",
    "learned_from": ["things-01", "things-02"],
    "shared_with_training": {"EEG pictures": 3, "concepts": 0, "fMRI pictures": 0},
}


def test_every_finding_of_the_audit_has_a_line(rng):
    targets = rng.standard_normal((20, 4)).astype("f4")
    history = pd.DataFrame({"epoch": [1, 2], "val_loss": [1.0, 2.0]})
    options = {
        "training_targets": targets,
        "history": history,
        "beyond": {"two_way": 0.5, "p": 0.4},
        "people": ALONE,
    }
    clean = audit_run(CLEAN, target_dependence=0, target_mean=targets.mean(0), best_epoch=1, **options)
    found = options | {"beyond": {"two_way": 0.7, "p": 0.001}, "people": KNOWN}
    leaky = audit_run(LEAKY, target_dependence=1, target_mean=targets.mean(0) + 1, best_epoch=2, **found)
    # of what kind the pairs are, and trials that were left out, are no findings
    checks = set(audit.SPLIT_CHECKS) | set(audit.RUN_CHECKS)
    assert {*leaky["leaks"], *leaky["caveats"]} == checks - {"left out of training", "kind of the pairs"}
    assert not leaky["unknown"]
    page = audit.audit_page(PAIRS[0], {"flatten": clean, "ridge": clean}, {"flatten": 0.25}, is_decoded=False)
    assert page.count(">clean<") == len(audit.SPLIT_CHECKS) + 2
    assert not re.search("can raise the score|>caveat<|>unknown<| eeg ", page)
    for part in ("0.25", "0 EEG pictures, 0 concepts", "things-01", "12 of 1,234", "50 % two-way, p = 0.400"):
        assert part in page
    page = audit.audit_page(
        PAIRS[0], {"flatten": leaky, "ridge": clean | {"split": LEAKY}}, {"flatten": 0}, is_decoded=False
    )
    assert page.count("can raise the score<") == len(audit.SPLIT_CHECKS) - 5 + 1
    assert page.count(">caveat<") == 3
    assert "backbone" not in page
    page = audit.audit_page(PAIRS[0], {"flatten": leaky}, {"flatten": 0}, is_decoded=True)
    assert page.count(">caveat<") == 4
    assert (
        "<td>test pairs on whose fMRI picture MindEye2&#39;s backbone, and its prior, was fitted</td>"
        "<td>86 % (of training targets 90 %)</td>"
    ) in page
    split = CLEAN | {"overlapping_test_trials": None}
    unknown = audit_run(
        split | {"picture_encoder": None},
        target_dependence=0,
        target_mean=targets.mean(0),
        best_epoch=1,
        **options | {"beyond": None},
    )
    page = audit.audit_page(PAIRS[0], {"flatten": unknown}, {"flatten": 0}, is_decoded=False)
    assert page.count("no picture encoder") == 2
    assert "not asked" in page
    assert (page.count("<td>unknown</td><td>unknown</td>"), page.count("can raise")) == (1, 0)


def test_scores_stand_with_interval_chance_and_deviation():
    table = summary(flatten=0.4, ridge=0.2)
    seeds = pd.concat([table, table[table["run"] == "flatten"].assign(seed=1, value=0.6)])
    text = text_of(scores.scores_page(PAIRS[0], seeds, {}))
    assert "50.0 ± 14.1 30.0 – 50.0 (10.0)" in text
    assert "20.0 10.0 – 30.0 (10.0)" in text
    assert "flatten predicted, 80 pictures" in text
    assert "ridge predicted, 90 pictures" in text


def test_clusters_and_scores_of_the_field_are_tables_of_their_own():
    table = summary(flatten=0.4)
    rows = [
        table.assign(level="probe", metric="cluster", value=0.7),
        table.assign(level="field", value=0.156),
    ]
    page = scores.scores_page(PAIRS[0], pd.concat([table, *rows]), {"flatten": [[3, 1], [2, 4]]})
    assert "3, 1<br>2, 4" in page
    text = text_of(page)
    assert text.index("70.0") > text.index("In which cluster")
    assert text.index("Against CLIP features") < text.index("15.6") < text.index("no line of this table")
    assert "Against CLIP" not in text_of(scores.scores_page(PAIRS[0], table, {}))


def test_bounds_that_are_unknown_are_left_out():
    text = text_of(scores.bounds_page(PAIRS[0], BOUNDS, is_exact=False))
    assert "20.0" in text
    assert "first repetition" not in text
    assert "correlation of unknown" in text
    assert "chosen by CLIP alone" in text
    text = text_of(scores.bounds_page(PAIRS[0], BOUNDS, is_exact=True))
    assert "the very same pictures" in text and "chosen by CLIP" not in text


def test_the_configuration_lists_every_key_and_marks_changes():
    config = load_config({"matching": {"top_k": 77}, "runs": {"a": {}, "b": {"training": {"epochs": 3}}}})
    page = provenance.configuration_page(list_settings(config), list_runs(config))
    assert "<td>matching.<wbr>top_<wbr>k</td><td><b>77</b></td><td>1000</td>" in page
    text = text_of(page)
    apart = r"run its own values a training\.epochs: \d+ b training\.epochs: 3 "
    assert re.search(apart, text)
    shared = text[text.index("What all runs share") :]
    assert "loss. mse" in shared and "training. epochs" not in shared
    assert not {"model", "loss", "training", "runs"} & {
        key.split(".")[0] for key, _, _ in list_settings(config)
    }


def test_time_and_memory_come_from_this_workflows_benchmarks(tmp_path):
    for name, seconds, memory in (
        ("train/pair/a", 4000, "2000.0"),
        ("train/pair/gone", 5, "1"),
        ("removed_rule", 7, "1"),
        ("summarise", 2, "-"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        header = "s\th:m:s\tmax_rss\tcpu_time\n"
        (tmp_path / f"{name}.tsv").write_text(f"{header}{seconds}\t0:00:00\t{memory}\t1.5\n")
    jobs = provenance.read_benchmarks(tmp_path, rules=["summarise", "train"], names=["pair", "a"])
    assert list(zip(jobs["rule"], jobs["s"], strict=True)) == [("summarise", 2), ("train", 4000)]
    text = text_of(provenance.resources_page(jobs))
    assert "train 1 1 h 06 min" in text
    assert "2.00 GB" in text
    assert "too short to see" in text


def test_versions_show_what_changed_since_the_training():
    trainings = [
        {"versions": {"numpy": "1.0"}, "device": "a GPU"},
        {"versions": {"numpy": "2.0"}, "device": "a CPU"},
    ]
    place = {"commit of the code": "abc"}
    page = provenance.versions_page(
        trainings, {"train": "0123456789abcdef"}, place=place, checksums={"data/clip.pt": "12ab"}
    )
    text = text_of(page)
    assert "1.0, 2.0" in text
    assert "networks were trained on a CPU, a GPU" in text
    assert "commit of the code abc" in text
    assert "<td>data/<wbr>clip.<wbr>pt</td><td>12ab</td>" in page
    assert "train 0123456789abcdef" in text
    assert provenance.installed("no-such-package") == "not in this environment"


def test_the_commit_is_that_of_the_checkout(tmp_path):
    package = tmp_path / "src" / "brain2image"
    package.mkdir(parents=True)
    (package / "a.py").write_text("1")
    assert git_commit(package).startswith("unknown")
    run = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    run(["git", "init", "-q"])
    run(["git", "add", "."])
    run(["git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"])
    assert re.fullmatch(r"[0-9a-f]{40}, of \d{4}-\d\d-\d\d", git_commit(package))
    (package / "a.py").write_text("2")
    assert git_commit(package).endswith("with changes that are not committed")
    (tmp_path / "installed").mkdir()
    assert git_commit(tmp_path / "installed").startswith("unknown")  # it only lies in a checkout
    assert {"commit of the code", "this page was written", "processor"} <= set(describe_place())


def test_text_is_escaped():
    assert "&lt;b&gt;" in html.page("<b>", "<i>", html.table(["<u>"], [["<s>"]]))
    assert not re.search("<[bisu]>", html.page("<b>", "<i>", html.table(["<u>"], [["<s>"]])))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.25, "4.2 s"), (200, "3 min 20 s"), (59.99, "60.0 s"), (3599.9, "1 h 00 min"), (18120, "5 h 02 min")],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert provenance.duration(seconds) == text
