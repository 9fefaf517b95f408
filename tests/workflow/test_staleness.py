"""Each change of tests/staleness.yaml makes exactly the jobs stale that its row lists."""

import functools
import itertools
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.checkouts import PASSING, ROOT, TINY, clone, copy_checkout
from helpers.dry_runs import (
    dry_run,
    job_sources,
    plan_changed_source,
    plan_changes,
    run_snakemake,
)
from helpers.stale_jobs import LAST, ROWS, TABLE, jobs_of, short, spelled

from brain2image.config import Config
from brain2image.config.messages import block_type
from brain2image.core import fingerprint

# What Snakemake asks of conda before it plans.
CONDA = """#!/bin/sh
case "$*" in
  *--version*) echo "conda 25.1.0" ;;
  *config*) echo '{"get": {"channel_priority": "strict"}}' ;;
  *) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
esac
"""


SOURCES = [name for name in ROWS if name.startswith(("modules ", "scripts "))]


def config_keys(section=Config, prefix=""):
    for name in section.model_fields:
        block = block_type(section, name)
        yield from config_keys(block, f"{prefix}{name}.") if block else [f"{prefix}{name}"]


def test_every_key_of_the_config_has_a_row():
    keys = {row["key"] for row in TABLE["config"]}
    assert set(config_keys()) - keys == set()
    for row in TABLE["config"]:
        assert row["key"].partition(".")[0] in Config.model_fields


@pytest.mark.parametrize(
    ("section", "folder"),
    [("modules", "src/brain2image"), ("scripts", "workflow/scripts"), ("environments", "envs")],
)
def test_every_file_has_a_row(section, folder):
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")]
    files = [path for path in files if path.read_text()]  # packages are empty
    assert set(TABLE[section]) == {path.relative_to(ROOT / folder).as_posix() for path in files}


def test_the_rows_that_are_planned_exist():
    assert len(TABLE["planned"]) == 13
    assert set(TABLE["planned"]) <= set(SOURCES)


@pytest.fixture(scope="module")
def conda_path(tmp_path_factory):
    """A search path with a stand-in for conda."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "conda").write_text(CONDA)
    (folder / "conda").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def in_conda(tmp_path_factory):
    """Snakemake's note of an environment holds its folder, which must not move with the checkout."""
    return ["--sdm", "conda", "--conda-prefix", str(tmp_path_factory.mktemp("environments"))]


@pytest.fixture(scope="module")
def conda_run(tiny_run, pool, conda_path, in_conda, tmp_path_factory):
    """The finished run as if its jobs had run in conda environments."""
    folder = tmp_path_factory.mktemp("conda") / "checkout"
    shutil.copytree(tiny_run, folder, ignore=PASSING)  # no links, as Snakemake touches the files
    arguments = (folder, "--touch", *in_conda)
    status, text = pool.apply(run_snakemake, arguments, {"environment": {"PATH": conda_path}})
    assert status == 0, text
    return folder


@pytest.fixture(scope="module")
def plans(tiny_run, conda_run, conda_path, in_conda, pool, tmp_path_factory):
    """What each row makes stale, planned side by side; of the sources' rows, those that are planned."""
    folder = tmp_path_factory.mktemp("rows")
    changes = {name: change for name, (change, _) in ROWS.items() if name not in SOURCES}
    conda = {name: changes[name] for name in changes if name.startswith("environments ")}
    of_files = {name: change for name, change in changes.items() if change.appended and name not in conda}
    of_files |= {f"{name} without conda": change for name, change in conda.items()}
    of_config = [name for name, change in changes.items() if not change.appended]
    tasks = [
        (conda_run, conda, {"arguments": in_conda, "search_path": conda_path}),
        (clone(tiny_run, folder / "files"), of_files, {}),
        *((tiny_run, {name: changes[name] for name in of_config[start::2]}, {}) for start in range(2)),
    ]
    groups = [pool.apply_async(plan_changes, task, options) for *task, options in tasks]
    planned = {
        name: pool.apply_async(plan_changed_source, (tiny_run, folder / str(number), ROWS[name][0]))
        for number, name in enumerate(TABLE["planned"])
    }
    return {name: plan.get() for name, plan in planned.items()} | dict(
        itertools.chain.from_iterable(group.get().items() for group in groups)
    )


@pytest.mark.parametrize("name", [name for name in ROWS if name not in SOURCES])
def test_a_change_makes_stale_what_its_row_says(plans, name):
    assert not isinstance(plans[name], Exception), plans[name]
    due = short(plans[name])
    assert due == ROWS[name][1], f"its row would be {spelled(due)}"


@pytest.fixture(scope="module")
def sources(tiny_run, pool):
    """What each job's fingerprint is made of in this checkout, and the jobs before it."""
    planned = pool.apply(job_sources, (tiny_run, TINY))
    return {
        name: source._replace(roots=[ROOT / Path(source.roots[0]).relative_to(tiny_run), *source.roots[1:]])
        for name, source in planned.items()
    }


@pytest.fixture(scope="module")
def jobs_changed_by(sources, tmp_path_factory):
    """Function that names the jobs whose fingerprint differs when code is added to a file."""
    read = fingerprint._source
    longer = tmp_path_factory.mktemp("source") / "longer.py"
    kinds = {tuple(source.roots) for source in sources.values()}  # jobs of one rule are mostly of one kind
    before = {roots: fingerprint.source_fingerprint(*roots) for roots in kinds}

    def changed(file, text):
        path = ROOT / file
        longer.write_text(path.read_text() + text)
        with pytest.MonkeyPatch.context() as patch:
            new = read.__wrapped__(longer)
            patch.setattr(fingerprint, "_source", lambda file: new if file == path else read(file))
            others = {roots for roots in kinds if fingerprint.source_fingerprint(*roots) != before[roots]}
        return {name for name, source in sources.items() if tuple(source.roots) in others}

    return changed


def due_after(changed, sources):
    """The jobs that are due when some have another source: they, and all that takes files of one."""
    due = set(changed)
    while more := {name for name, source in sources.items() if source.dependencies & due} - due:
        due |= more
    return due


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_makes_stale_what_uses_it(plans, sources, jobs_changed_by, name):
    """Which jobs are due after others is the workflow's; some sources are planned like the other rows."""
    change, expected = ROWS[name]
    [(file, text)] = change.appended.items()
    changed = jobs_changed_by(file, text)
    if name in plans:
        assert short(plans[name]) == expected
    if changed or name not in plans:  # of the script of no job here, what is planned alone tells
        due = short(due_after(changed, sources)) | (LAST if changed else set())
        assert due == expected, f"its row would be {spelled(due)}"


def test_everything_is_everything(tiny_run, pool):
    assert short(pool.apply(dry_run, (tiny_run, "--configfile", TINY, "--forceall"))) == jobs_of(
        ["everything"]
    )


@pytest.mark.parametrize("file", TABLE["environments"])
def test_without_conda_an_environment_makes_nothing_stale(plans, file):
    assert plans[f"environments {file} without conda"] == set()


def rewrite(checkout, change):
    """Change the text of every module, script and rule."""
    for pattern in ("src/**/*.py", "workflow/scripts/*.py", "rules/*.smk", "Snakefile"):
        for file in checkout.glob(pattern):
            file.write_text(change(file.read_text()))


def touch_results(checkout):
    """New times for all files, the raw ones last, so that every input is newer than what was made of it."""
    raw = checkout / "results" / "raw"
    files = [path for path in (checkout / "results").rglob("[!.]*") if path.is_file()]
    for file in sorted(files, key=lambda path: (path.is_relative_to(raw), -path.stat().st_mtime)):
        content = file.read_bytes()
        file.unlink()  # it may be a hard link
        file.write_bytes(content)


def clone_source(checkout):
    """The source written anew, as git does, below the old results."""
    for part in ("Snakefile", "rules", "workflow", "src"):
        path = checkout / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    other = copy_checkout(checkout / "clone")
    for part in ("Snakefile", "rules", "workflow", "src"):
        (other / part).rename(checkout / part)


def respell(checkout, change):
    """A config of the same values in another text."""
    content = change(yaml.safe_load((checkout / TINY).read_text()))
    (checkout / "respelled.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return ["--configfile", "respelled.yaml"]


def reverse(content):
    """The same mapping from the last key to the first, at every depth."""
    if not isinstance(content, dict):
        return content
    return {key: reverse(content[key]) for key in reversed(content)}


def whole_numbers(content):
    content["simulate"]["eeg_snr"] = int(content["simulate"]["eeg_snr"])
    content["loss"] = {"mse": 1, "info_nce": 1}
    return content


def other_folder(checkout):
    """Start in another checkout, and name the one with the results."""
    other = copy_checkout(checkout.parent / "other")
    return ["--directory", str(checkout), "--configfile", str(other / TINY)], other


# What each harmless change does to a finished checkout. Where Snakemake must start in another way, it returns
# the arguments, and the folder if that is another one.
HARMLESS = {
    "comments": functools.partial(rewrite, change=lambda text: text + "\n# a comment\n"),
    "docstrings": functools.partial(rewrite, change=lambda text: text.replace('"""', '"""Other words. ', 1)),
    "blank lines": functools.partial(rewrite, change=lambda text: re.sub(r"\n\n(?=\w)", "\n\n\n\n", text)),
    "touched source": functools.partial(rewrite, change=lambda text: text),
    "touched results": touch_results,
    "a clone": clone_source,
    "a moved folder": lambda checkout: None,  # the checkout is a copy elsewhere with the old times
    "another working folder": other_folder,
    "another config with the same values": functools.partial(respell, change=lambda content: content),
    "an absolute path of the config": lambda checkout: ["--configfile", str(checkout / TINY)],
    "another order of the keys": functools.partial(respell, change=reverse),
    "1 instead of 1.0": functools.partial(respell, change=whole_numbers),
}


def test_the_harmless_changes_are_known():
    assert list(HARMLESS) == TABLE["harmless"]


@pytest.mark.parametrize("name", TABLE["harmless"])
def test_a_harmless_change_makes_nothing_stale(tiny_run, pool, tmp_path, name):
    checkout = clone(tiny_run, tmp_path / "checkout")
    changed = HARMLESS[name](checkout)
    arguments, folder = changed if isinstance(changed, tuple) else (changed, checkout)
    assert pool.apply(dry_run, (folder, *(arguments or ["--configfile", TINY]))) == set()
