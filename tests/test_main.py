"""The command line."""

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from brain2image.__main__ import main
from brain2image.commands.scores_table import summary_table
from brain2image.evaluation.summary import kind
from brain2image.formats.tables import COMPARISONS

CHANCE = {"top1": 0.1, "top5": 0.5, "two_way": 0.5, "median_rank": 5.5, "mse": 0.8, "cosine": 0.0}
BETTER = {"top1": 0.4, "top5": 0.9, "two_way": 0.8, "median_rank": 2.0, "mse": 0.5, "cosine": 0.6}


def summary(path, difference=0.3, low=0.1, p_holm=0.001, **runs):
    rows = [
        {
            "brains": "things-01_subj01",
            "run": run,
            "seed": seed,
            "n_test": 10,
            "n_concepts": 8,
            "n_passed_over": 3,
            "learned_from": "predicted, 80 pictures",
            "people": next((people for people in ("others", "all") if run.endswith(people)), "own"),
            "n_calibration": None,
            "n_calibration_trials": None,
            "best_epoch": None if kind(run) != "network" else 2,
            "network_share": None if kind(run) != "network" else 0.5,
            "level": "image",
            "space": "embedding",
            "n_trials": "all",
            "direction": "forward",
            "n_gallery": 10,
            "metric": metric,
            "value": value,
            "chance": CHANCE[metric],
            "p": 0.001 if value != CHANCE[metric] else 1,
            "low": value,
            "high": value,
            "share_of_ceiling": None,
        }
        for run, seeds in runs.items()
        for seed, scores in enumerate(seeds if isinstance(seeds, list) else [seeds])
        for metric, value in scores.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    row = {"brains": "things-01_subj01", "metric": "top1", "difference": difference, "low": low, "high": 0.5}
    row |= {"p": p_holm, "p_floor": 0.001, "p_holm": p_holm}
    names = {kind(run): [other for other in runs if kind(other) == kind(run)] for run in runs}
    compared = [{**row, "run": a, "baseline": b} for a in names["network"] for b in names["baseline"]]
    pd.DataFrame(compared).to_csv(path.with_name("comparisons.csv"), index=False)
    return str(path)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def printed(path, capsys):
    main(["summary", path])
    return " ".join(capsys.readouterr().out.split())


def test_scores_stand_before_chance(tmp_path, capsys):
    text = printed(summary(tmp_path / "summary.csv", flatten=BETTER, ridge=CHANCE), capsys)
    assert "40.0* (10.0)" in text
    assert "10 test pictures of 8 concepts, score (chance); 3 candidates passed over" in text
    assert "flatten, the only network, is above ridge, the only baseline: +30.0 percentage points" in text


def test_a_table_of_networks_fits_a_terminal_of_80_columns(tmp_path):
    """Of three seeds, whose deviations take most room."""
    seeds = [BETTER | {"top1": value, "median_rank": 10 * value} for value in (0.3, 0.4, 1.0)]
    path = Path(summary(tmp_path / "summary.csv", multitoken_vit_others=seeds, ridge_others=CHANCE))
    tables = pd.read_csv(path), pd.read_csv(path.with_name("comparisons.csv"))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(*tables, "things-01_subj01", width=80))
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["multitoken_vit_others", "56.7", "90.0", "80.0", "5.7", "0.500", "0.600"] in lines
    assert ["±", "37.9*", "±", "0.0*", "±", "0.0*", "±", "3.8", "±", "0.000*", "±", "0.000*"] in lines
    assert ["(10.0)", "(50.0)", "(50.0)", "(5.5)", "(0.800)", "(0.000)"] in lines
    assert "…" not in capture.get()


def test_what_was_learned_from_stands_below_the_table_and_is_no_wider(tmp_path, capsys, monkeypatch):
    runs = dict.fromkeys((f"a_run_of_a_long_name_{n}" for n in range(9)), BETTER)
    monkeypatch.setenv("COLUMNS", "80")
    main(["summary", summary(tmp_path / "summary.csv", **runs, ridge=CHANCE)])
    _, _, below = capsys.readouterr().out.partition("permutation of concepts")
    assert "learned from: predicted, 80 pictures (a_run" in " ".join(below.split())
    assert max(len(line.rstrip()) for line in below.splitlines()) <= 80


def test_the_verdict_comes_from_the_interval_and_not_from_two_scores(tmp_path, capsys):
    runs = {"flatten": BETTER, "ridge": CHANCE}
    text = printed(summary(tmp_path / "summary.csv", low=-0.1, **runs), capsys)
    assert "flatten, the only network, cannot be told apart from ridge" in text


def test_a_network_at_chance_is_above_nobody(tmp_path, capsys):
    """A person without a signal: 3.7 against 2.4 % is no finding."""
    lucky = CHANCE | {"top1": 0.1}
    text = printed(summary(tmp_path / "summary.csv", flatten=lucky, ridge=lucky | {"top1": 0.05}), capsys)
    assert "No network is above chance; the best is flatten." in text


def test_it_is_said_when_ridge_wins(tmp_path, capsys):
    worse = BETTER | {"top1": 0.2}
    path = summary(tmp_path / "summary.csv", -0.2, flatten=worse, ridge=BETTER, ceiling=BETTER)
    assert "flatten, the only network, is below ridge, the only baseline: -20.0" in printed(path, capsys)


def test_without_a_baseline_there_is_no_verdict(tmp_path, capsys):
    path = Path(summary(tmp_path / "summary.csv", flatten=BETTER, ridge=CHANCE))
    pd.DataFrame(columns=COMPARISONS).to_csv(path.with_name("comparisons.csv"), index=False)
    assert "flatten, the only network, was compared with no baseline" in printed(str(path), capsys)


def test_oracles_are_no_baselines_to_beat(tmp_path, capsys):
    runs = {"flatten": BETTER, "pls": CHANCE, "clip_oracle": BETTER | {"top1": 0.9}}
    text = printed(summary(tmp_path / "summary.csv", **runs), capsys)
    assert "is above pls, the only baseline" in text


def test_seeds_are_mean_and_deviation(tmp_path, capsys):
    seeds = [BETTER | {"top1": value} for value in (0.3, 0.4, 0.5)]
    text = printed(summary(tmp_path / "summary.csv", flatten=seeds, ridge=CHANCE), capsys)
    assert "40.0 ± 10.0* (10.0)" in text
    assert "10.0 (10.0)" in text


def test_only_headline_rows_are_shown(tmp_path, capsys):
    path = summary(tmp_path / "summary.csv", flatten=BETTER, ridge=CHANCE)
    rows = pd.read_csv(path)
    others = [
        rows.assign(value=0.77, **change)
        for change in ({"n_trials": "1"}, {"level": "trial"}, {"direction": "backward"}, {"n_gallery": 5})
    ]
    pd.concat([rows, *others]).to_csv(path, index=False)
    assert "77.0" not in printed(path, capsys)


def test_no_star_on_what_is_worse_than_chance(tmp_path, capsys):
    text = printed(summary(tmp_path / "summary.csv", flatten=BETTER | {"mse": 0.9}, ridge=BETTER), capsys)
    assert "0.900 (0.800)" in text
    assert "0.500* (0.800)" in text


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n", ""])
def test_another_file_is_named(tmp_path, content):
    path = tmp_path / "other.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit, match=r"^brain2image: .*other\.csv: "):
        main(["summary", str(path)])
