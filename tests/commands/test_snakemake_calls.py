"""The calls of Snakemake that `brain2image` makes, and the mistakes that it explains before them."""

import os
import re
from pathlib import Path

import pytest

from brain2image.__main__ import command_line, main
from brain2image.commands.snakemake_calls import check_targets, read_config
from brain2image.commands.workflow_commands import CALLING
from brain2image.weights.download import REFRESH

ROOT = Path(__file__).parents[2]
SHORT = "--logger brain2image"


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What Snakemake would be called with, in a folder with a workflow and a config file."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "my.yaml").write_text("results: elsewhere\n")
    monkeypatch.chdir(tmp_path)
    called = []
    monkeypatch.setattr("snakemake.cli.main", called.append)
    return called


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run", f"{SHORT} --cores all"),
        ("run summarise --cores 2", f"summarise {SHORT} --cores 2"),
        ("run --configfile my.yaml check_data", f"check_data --configfile my.yaml {SHORT} --cores all"),
        ("run --dry-run results/summary.csv", "results/summary.csv --cores all --dry-run"),
        ("run --verbose -- --keep-going -q all", "--cores all --keep-going -q all"),
        ("check --configfile my.yaml", f"check_data --configfile my.yaml {SHORT} --cores 1"),
        ("fetch", f"fetch_weights {SHORT} --cores 1"),
    ],
)
def test_what_is_called_is_printed(calls, capsys, given, expected):
    main(given.split())
    assert calls == [expected.split()]
    assert capsys.readouterr().err == f"$ snakemake {expected}\n"


def test_snakemake_takes_the_targets_for_targets(calls):
    """In the natural order it takes them for config files."""
    from snakemake.cli import parse_args

    main(["run", "--configfile", "my.yaml", "check_data", "--", "--set-threads", "train=1"])
    _, options = parse_args(calls[0])
    assert (options.targets, options.configfile) == (["check_data"], [Path("my.yaml")])


def test_weights_are_fetched_and_refreshed(calls, monkeypatch):
    monkeypatch.setenv(REFRESH, "")
    main(["fetch"])
    assert not os.environ[REFRESH]
    main(["fetch", "--refresh", "--configfile", "my.yaml"])
    assert os.environ[REFRESH]
    assert calls[1][-3:] == ["--cores", "1", "--forceall"]


def test_a_report_needs_scores(calls, capsys):
    with pytest.raises(SystemExit, match=r"^brain2image: elsewhere/summary\.csv: expected scores"):
        main(["report", "--configfile", "my.yaml"])
    Path("elsewhere").mkdir()
    Path("elsewhere/summary.csv").touch()
    main(["report", "--configfile", "my.yaml"])
    [[target, _, config, *rest]] = calls
    assert (target, config) == ("elsewhere/report", "my.yaml")
    assert rest[: rest.index("--allowed-rules")] == [*SHORT.split(), "--cores", "all"]
    assert capsys.readouterr().out == "Report: elsewhere/report/index.html\n"


def test_a_report_computes_nothing_anew(calls):
    """Only rules that draw what is there may run."""
    Path("results").mkdir()
    Path("results/summary.csv").touch()
    Path("config").mkdir()
    Path("config/config.yaml").write_text("results: results\n")
    main(["report"])
    allowed = set(calls[0][calls[0].index("--allowed-rules") + 1 :])
    assert {"write_site", "write_overview", "plot_scores", "show_decoded"} <= allowed
    assert not allowed & {"train", "evaluate", "summarise", "repack_eeg", "draw_pictures"}


def test_snakemakes_own_report_is_an_option(calls):
    Path("elsewhere").mkdir()
    Path("elsewhere/summary.csv").touch()
    main(["report", "--configfile", "my.yaml", "--provenance", "own.zip"])
    assert calls == [["--configfile", "my.yaml", "--report", "own.zip"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("run my.yaml", r"got a config file; give it with --configfile my\.yaml$"),
        ("run checkdata", r"got neither; did you mean check_data\?$"),
        ("run status", "got a command; call brain2image status$"),
        ("run train", "got one that runs for each brains and run; name a file"),
        ("run xyz", "got neither; correct its name$"),
        ("run --configfile none.yaml", r"^brain2image: none\.yaml: cannot read this config"),
        ("check --configfile none.yaml", r"^brain2image: none\.yaml: cannot read this config"),
        ("report --configfile none.yaml", r"^brain2image: none\.yaml: cannot read this config"),
    ],
)
def test_a_mistake_is_one_line(calls, given, message):
    with pytest.raises(SystemExit, match=message) as end:
        main(given.split())
    assert "\n" not in str(end.value)
    assert not calls


@pytest.mark.parametrize("command", [*CALLING, "status"])
def test_a_folder_without_a_workflow_is_named(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"^brain2image: {tmp_path}: expected a Snakefile"):
        main([command])


def test_options_of_snakemake_have_their_place(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--keep-going"])
    assert "expected no --keep-going; options of Snakemake come after --" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "--cores", "0"])
    assert "expected a number of cores, or all, got '0'" in capsys.readouterr().err


def test_every_rule_that_runs_once_is_a_target():
    check_targets(["all", "check_data", "fetch_weights", "summarise", "write_overview", "simulate_images"])


def test_the_config_has_its_defaults(calls):
    config = read_config("my.yaml")
    assert (config.results, config.brains) == ("elsewhere", ["things-01_subj01"])


def test_help_is_plain_text(capsys):
    parser = command_line()
    (commands,) = (action.choices for action in parser._actions if action.dest == "command")
    texts = [parser.format_help(), *(command.format_help() for command in commands.values())]
    assert len(texts) > 10
    assert not any("`" in text for text in texts)
    with pytest.raises(SystemExit):
        main(["--version"])
    version = re.search(r'__version__ = "(.*)"', (ROOT / "src/brain2image/__init__.py").read_text())[1]
    assert capsys.readouterr().out == f"brain2image {version}\n"
