"""The documents are true: links lead somewhere, words are spelled right, commands and snippets work."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.planted import OUTPUTS, planted_lmdb, planted_run
from helpers.rules import RULES

import brain2image
from brain2image.__main__ import command_line
from brain2image.config import load_config
from brain2image.datasets.registry import load_datasets
from brain2image.evaluation.predict import predict_pairs
from brain2image.training.train import train

ROOT = Path(__file__).parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "config" / "README.md"]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCS}
TARGETS = {*RULES, "all", "fetch_weights"}
MAKE_TARGETS = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
NEEDS_DEMO = pytest.mark.skipif(
    not (ROOT / "results/demo/summary.csv").is_file(), reason="`make demo` has not run here"
)


def shell_lines(text):
    """What a reader would type: lines of blocks without a language, and commands within a sentence."""
    blocks = re.findall(r"^ *```(?:sh|bash)?\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`((?:snakemake|brain2image|make|python benchmarks/)[^`]*)`", text)
    return [line for line in (*lines, *inline) if re.match(r"(\w+=\S+ )*[\w./-]+( |$)", line)]


def commands(program):
    """All uses of a program: document and arguments."""
    pattern = re.compile(rf"(?:^|&& |; )(?:\w+=\S+ )*{program}(?:$| )([^;&|]*)")
    found = {
        (name, " ".join(match.split()))
        for name, text in TEXTS.items()
        for line in shell_lines(text)
        for match in pattern.findall(line)
        if match
    }
    return sorted(found)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    headings = {
        path: {re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in lines}
        for path, lines in (
            (path, re.findall(r"^#+ (.*)$", text, re.MULTILINE)) for path, text in TEXTS.items()
        )
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            assert anchor in headings[file.resolve().relative_to(ROOT).as_posix()], target


@pytest.mark.parametrize("name", TEXTS)
def test_files_and_modules_that_are_named_exist(name):
    """Outside of links too; NAME stands for any name."""
    folders = "benchmarks|config|containers|docs|envs|profiles|rules|src|tests|workflow"
    for path in re.findall(rf"`((?:{folders})/[\w./*-]+)", TEXTS[name]):
        assert "NAME" in path or any(ROOT.glob(path)), path
    for dotted in re.findall(r"(?:from|import) brain2image\.([\w.]+)", TEXTS[name]):
        module = ROOT / "src" / "brain2image" / dotted.replace(".", "/")
        assert module.is_dir() or module.with_suffix(".py").exists(), dotted


def test_every_document_can_be_reached_from_the_readme():
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", TEXTS[name]):
            path = ((ROOT / name).parent / target).resolve().relative_to(ROOT).as_posix()
            waiting.extend({path} - reached)
    assert reached == set(TEXTS)


def test_the_page_on_data_has_every_path_and_the_terms_of_every_data_set():
    """As the readers and the model cards have them."""
    text, data = TEXTS["docs/data.md"], load_config({}).data
    tree = text.partition("```text\n")[2].partition("```")[0]
    paths = {line.split()[0] for line in tree.splitlines() if line.startswith("data/")}
    for dataset in load_datasets().values():
        assert f"| {dataset.title} | {dataset.licence} |" in text
        folder = getattr(data, dataset.folders[0])
        for files in dataset.releases.values():
            for file in files:
                # of many alike the first stands there
                first = re.sub(r"ses-0[234]", "ses-01", file.format(person=dataset.label(dataset.people[0])))
                first = re.sub(r"_\d+\.tar$", "_0.tar", first)
                assert any(path.startswith(f"{folder}/{first}") for path in paths), file


def test_the_pages_on_python_and_on_commands_name_all():
    """On the site their docstrings and options stand there too."""
    named = set(re.findall(r"^::: brain2image\.(\w+)$", TEXTS["docs/api.md"], re.MULTILINE))
    assert named == set(brain2image.__all__) - {"__version__"}
    (commands,) = (action for action in command_line()._actions if action.dest == "command")
    named = set(
        re.findall(
            r"`([\w-]+)`", " ".join(re.findall(r"^\| (.*?) \|", TEXTS["docs/commands.md"], re.MULTILINE))
        )
    )
    assert named == set(commands.choices)


def test_words_are_spelled_right():
    """In all files but those that Git ignores; pyproject.toml says which."""
    result = subprocess.run([sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("name", "arguments"), commands("snakemake"))
def test_snakemake_takes_these_options(name, arguments):
    from snakemake.cli import parse_args

    _, options = parse_args(shlex.split(arguments, comments=True))
    for target in options.targets:
        assert target in TARGETS or target.startswith("results"), f"{name}: no target {target}"


@pytest.mark.parametrize(("name", "arguments"), commands("brain2image"))
def test_brain2image_takes_these_options(name, arguments, capsys):
    try:
        command_line().parse_args(shlex.split(arguments, comments=True))
    except SystemExit as end:
        assert end.code == 0, f"{name}: {capsys.readouterr().err}"


@pytest.mark.parametrize(("name", "arguments"), commands("make"))
def test_make_has_these_targets(name, arguments):
    words = [word for word in shlex.split(arguments, comments=True) if "=" not in word]
    assert set(words) <= MAKE_TARGETS, name


@pytest.mark.parametrize(("name", "arguments"), commands(r"python(?= benchmarks/)"))
def test_benchmarks_take_these_options(name, arguments):
    script, *options = shlex.split(arguments, comments=True)
    source = (ROOT / script).read_text()
    for option in options:
        assert not option.startswith("--") or f'"{option}"' in source, f"{name}: {script} has no {option}"


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """A folder with what the snippets read, as the demo leaves it, of a small planted run."""
    root = tmp_path_factory.mktemp("planted")
    demo, name = root / "results/demo", "things-01_subj01"
    for folder in ("pairs", "lmdb", "eeg", "projection"):
        (demo / folder).mkdir(parents=True)
    lmdb = planted_lmdb(root).rename(demo / f"lmdb/{name}.lmdb")
    for old, new in {"eeg.h5": "eeg/things-01.h5", "projection.h5": "projection/subj01.h5"}.items():
        (root / old).rename(demo / new)
    for old, new in {"pairs": "things_subj01", "learnable": "things_subj01.pictures"}.items():
        (root / f"{old}.parquet").rename(demo / f"pairs/{new}.parquet")
    run = demo / "runs" / name / "multitoken_vit"
    outputs = {output: run / file for output, file in OUTPUTS.items()}
    options = {"run": planted_run(training={"epochs": 1}), "weights": None, "code": "0"}
    train(lmdb, **options, state=demo / "state", **outputs)
    predict_pairs(outputs["model"], lmdb, out=run / "predictions.npz")
    return root


@pytest.mark.parametrize("place", ["small_demo", pytest.param("demo", marks=NEEDS_DEMO)])
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "```python" in text])
def test_snippets_run(name, place, request, monkeypatch, capsys):
    monkeypatch.chdir(ROOT if place == "demo" else request.getfixturevalue(place))
    space = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", TEXTS[name], re.DOTALL | re.MULTILINE):
        exec(compile(snippet, name, "exec"), space)


@NEEDS_DEMO
def test_the_tour_says_what_a_change_reruns(tmp_path):
    """The commands of step 5: a run is added, and only what is new is planned."""
    (sed, dry_run) = re.search(r"```\n(sed .*)\n(snakemake .*)\n```", TEXTS["docs/tutorial.md"]).groups()
    config = tmp_path / "mine.yaml"
    subprocess.run(sed.replace("mine.yaml", str(config)), shell=True, cwd=ROOT, check=True)
    arguments = shlex.split(dry_run.replace("mine.yaml", str(config)))[1:]
    command = [sys.executable, "-m", "snakemake", *arguments, "--nolock"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, re.MULTILINE))
    assert jobs["train"] == jobs["predict"] == jobs["evaluate"] == "1", result.stderr
    assert not {"match_images", "build_lmdb", "embed_images", "split_pairs"} & set(jobs)


def test_parsers_are_the_real_ones():
    assert isinstance(command_line(), argparse.ArgumentParser)
    assert len(commands("snakemake")) > 5
    assert len(commands("make")) > 2
    assert len(commands("brain2image")) > 2
