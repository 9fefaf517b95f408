"""The command line."""

import os

import pandas as pd
import pytest

from brain2image.__main__ import main
from brain2image.weights import REFRESH

CHANCE = {"top1": 0.1, "top5": 0.5, "two_way": 0.5, "median_rank": 5.5, "mse": 0.8, "cosine": 0.0}
BETTER = {"top1": 0.4, "top5": 0.9, "two_way": 0.8, "median_rank": 2.0, "mse": 0.5, "cosine": 0.6}


def summary(path, **runs):
    rows = [
        {
            "pair": "sub-01_subj01",
            "run": run,
            "seed": seed,
            "n_test": 10,
            "level": "image",
            "n_trials": "all",
            "direction": "forward",
            "n_gallery": 10,
            "metric": metric,
            "value": value,
            "chance": CHANCE[metric],
            "p": 0.001,
            "low": value,
            "high": value,
            "share_of_ceiling": None,
        }
        for run, seeds in runs.items()
        for seed, scores in enumerate(seeds if isinstance(seeds, list) else [seeds])
        for metric, value in scores.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def printed(path, capsys):
    main(["summary", path])
    return capsys.readouterr().out


def test_scores_stand_before_chance(tmp_path, capsys):
    text = printed(summary(tmp_path / "summary.csv", flatten=BETTER, ridge=CHANCE), capsys)
    assert "40.0* (10.0)" in text
    assert "flatten has a higher top-1 than every baseline (best: ridge)" in text


def test_it_is_said_when_ridge_wins(tmp_path, capsys):
    text = printed(summary(tmp_path / "summary.csv", flatten=CHANCE, ridge=BETTER, ceiling=BETTER), capsys)
    assert "no network has a higher top-1 than the best baseline, ridge (best network: flatten)" in text


def test_oracles_are_no_baselines_to_beat(tmp_path, capsys):
    runs = {"flatten": BETTER, "pls": CHANCE, "clip_oracle": BETTER | {"top1": 0.9}}
    text = printed(summary(tmp_path / "summary.csv", **runs), capsys)
    assert "flatten has a higher top-1 than every baseline (best: pls)" in text


def test_seeds_are_mean_and_deviation(tmp_path, capsys):
    seeds = [BETTER | {"top1": value} for value in (0.3, 0.4, 0.5)]
    text = printed(summary(tmp_path / "summary.csv", flatten=seeds, ridge=CHANCE), capsys)
    assert "40.0 ± 10.0* (10.0)" in text
    assert "10.0  (10.0)" in text


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
    assert "0.900  (0.800)" in text
    assert "0.500* (0.800)" in text


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n", ""])
def test_another_file_is_named(tmp_path, content):
    path = tmp_path / "other.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit, match=r"^brain2image: .*other\.csv: "):
        main(["summary", str(path)])


def test_weights_are_fetched_and_refreshed(monkeypatch):
    monkeypatch.setenv(REFRESH, "")
    calls = []
    monkeypatch.setattr("snakemake.cli.main", calls.append)
    main(["fetch"])
    assert not os.environ[REFRESH]
    main(["fetch", "--refresh", "--configfile", "mine.yaml"])
    assert os.environ[REFRESH]
    plain = ["fetch_weights", "--cores", "1"]
    assert calls == [plain, [*plain, "--configfile", "mine.yaml", "--forceall"]]
