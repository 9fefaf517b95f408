"""What `brain2image status` says of results that an older source or another config made."""

import re

import pytest
import yaml
from helpers.checkouts import TINY, changed_config, clone, copy_checkout
from helpers.dry_runs import run_command
from helpers.empty_releases import NSD, THINGS
from rich.console import Console

from brain2image.core.errors import InputError
from brain2image.core.fingerprint import source_fingerprint
from brain2image.core.status import Stage, last_seconds, planned_jobs, recorded_fingerprint, status_table
from brain2image.core.versions import Upgrade


@pytest.fixture
def status(pool):
    """Function that calls the command in a checkout, and returns its exit status and what it said."""

    def call(folder, config):
        return pool.apply(run_command, (folder, "status", "--configfile", config), {"columns": 200})

    return call


def rows(text):
    """The cells of every stage; a column that is empty has none."""
    lines = (line.split() for line in text.splitlines())
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 4}


def test_it_names_what_an_older_source_made(tiny_run, status, tmp_path):
    checkout = clone(tiny_run, tmp_path / "checkout")
    script = checkout / "workflow/scripts/plot_gallery.py"
    old = source_fingerprint(
        tiny_run / "workflow/scripts/plot_gallery.py", THINGS.picture_reader, NSD.picture_reader
    )
    script.write_text(script.read_text() + "\nCHANGED = True\n")
    code, said = status(checkout, changed_config(checkout, {"evaluation.n_permutations": 200}))
    assert code == 0, said
    stages = rows(said)
    made_with, now, n_jobs, n_stale, seconds, *why = stages["plot_gallery"]
    assert (made_with, n_jobs, n_stale, why) == (old[:8], "3", "3", ["older", "source"])
    assert now not in ("same", old[:8])
    assert sum(int(part) for part in seconds.split(":")) > 0
    assert stages["evaluate"][1:4] == ["same", "6", "6"]
    assert stages["evaluate"][5:] == ["config"]
    assert stages["summarise"][5:] == ["after", "another", "stage"]
    assert stages["train"][1:] == ["same", "2", "-", "-"]
    n_jobs, n_stale = (sum(int(cells[k]) for cells in stages.values() if cells[k].isdigit()) for k in (2, 3))
    assert n_stale < n_jobs
    assert f"{n_stale} of {n_jobs} jobs would run; last time they took 0:" in said


def test_it_counts_what_never_ran(status, tmp_path):
    code, said = status(copy_checkout(tmp_path / "checkout"), TINY)
    assert code == 0, said
    assert rows(said)["train"][0] == "-"
    assert re.search(r"(\d+) of \1 jobs would run; \1 have not run before", said)


def test_a_plan_that_fails_is_one_line(tmp_path, monkeypatch):
    folder = copy_checkout(tmp_path / "checkout")
    (folder / "bad.yaml").write_text(yaml.safe_dump({"clip": {"modle": "x"}}))
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=r"^config: unknown key 'clip\.modle'") as error:
        planned_jobs("--configfile", "bad.yaml")
    assert "\n" not in str(error.value)


def test_data_that_are_missing_are_one_readable_line(status, tmp_path):
    code, said = status(copy_checkout(tmp_path / "checkout"), "config/config.yaml")
    assert code == 1
    assert re.fullmatch(
        r"brain2image: data/things/images/training_images: no such file or folder\. .+\n", said
    )


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ('{"params": ["{\'a\': 1}", "\'0a0a0a0a0a0a0a0a\'"]}', "0a0a0a0a0a0a0a0a"),
        ('{"params": ["1", "\'results\'"]}', None),
        ("", None),
    ],
)
def test_the_fingerprint_in_a_note(tmp_path, note, found):
    (tmp_path / "manifest/outputs").mkdir(parents=True)
    (tmp_path / "manifest/outputs/a.csv.json").write_text(note)
    assert recorded_fingerprint(tmp_path, tmp_path / "a.csv") == found
    assert recorded_fingerprint(tmp_path, tmp_path / "b.csv") is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("s\th:m:s\n7.5\t0:00:07\n", 7.5), ("s\th:m:s\n", None), ("", None), (None, None)]
)
def test_seconds_of_the_last_time(tmp_path, text, seconds):
    path = tmp_path / "benchmark.tsv"
    if text is not None:
        path.write_text(text)
    assert last_seconds(str(path)) == seconds
    assert last_seconds(None) is None


def test_a_table_of_hours():
    upgrades = [Upgrade("scikit-learn", "1.5", "1.6")]
    reasons = ["older source", "after another stage"]
    stages = [
        Stage("combine_projections", 300, {"a" * 16}, {"b" * 16}, upgrades, 2, [36000.0, 61.4], reasons)
    ]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(status_table(stages))
    row = " ".join(capture.get().split())
    assert "combine_projections aaaaaaaa bbbbbbbb 300 2 10:01:01 older" in row
    assert "combine_projections: made with scikit-learn 1.5, now 1.6" in row
    assert "2 of 300 jobs would run; last time they took 10:01:01" in row
    assert "…" not in row
