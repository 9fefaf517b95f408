"""Rows of tests/staleness.yaml that take a whole plan each: sources, environments, and harmless changes."""

import functools
import os
import re
import shutil

import pytest
import yaml
from helpers.checkouts import PASSING, TINY, clone, copy_checkout
from helpers.dry_runs import dry_run, plan_changed_source, plan_changes, run_snakemake
from helpers.stale_jobs import ROWS, TABLE, short, spelled

ENVIRONMENTS = [name for name in ROWS if name.startswith("environments ")]
# What Snakemake asks of conda before it plans.
CONDA = """#!/bin/sh
case "$*" in
  *--version*) echo "conda 25.1.0" ;;
  *config*) echo '{"get": {"channel_priority": "strict"}}' ;;
  *) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
esac
"""


def test_the_rows_that_are_planned_exist():
    assert len(TABLE["planned"]) == 13
    assert all(name.startswith(("modules ", "scripts ")) for name in TABLE["planned"])


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
    """What each row makes stale, planned side by side; of environments with conda and without it."""
    folder = tmp_path_factory.mktemp("rows")
    conda = {name: ROWS[name][0] for name in ENVIRONMENTS}
    without = {f"{name} without conda": change for name, change in conda.items()}
    groups = [
        pool.apply_async(
            plan_changes, (conda_run, conda), {"arguments": in_conda, "search_path": conda_path}
        ),
        pool.apply_async(plan_changes, (clone(tiny_run, folder / "files"), without)),
    ]
    planned = {
        name: pool.apply_async(plan_changed_source, (tiny_run, folder / str(number), ROWS[name][0]))
        for number, name in enumerate(TABLE["planned"])
    }
    found = {name: plan.get() for name, plan in planned.items()}
    return found | groups[0].get() | groups[1].get()


@pytest.mark.parametrize("name", [*TABLE["planned"], *ENVIRONMENTS])
def test_a_change_makes_stale_what_its_row_says(plans, name):
    assert not isinstance(plans[name], Exception), plans[name]
    due = short(plans[name])
    assert due == ROWS[name][1], f"its row would be {spelled(due)}"


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
