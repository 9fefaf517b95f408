"""Each change of tests/staleness.yaml makes exactly the jobs stale that its row lists.

What sources make stale follows here from the fingerprints; tests/runs plans some of these rows, those of
environments, and the harmless changes.
"""

import itertools
from pathlib import Path

import pytest
from helpers.checkouts import ROOT, TINY, clone
from helpers.dry_runs import dry_run, job_sources, plan_changes
from helpers.stale_jobs import LAST, ROWS, TABLE, jobs_of, short, spelled

from brain2image.config import Config
from brain2image.config.messages import block_type
from brain2image.core import fingerprint

SOURCES = [name for name in ROWS if name.startswith(("modules ", "scripts "))]
PLANNED = [name for name in ROWS if name.startswith(("config ", "raw "))]


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


@pytest.fixture(scope="module")
def plans(tiny_run, pool, tmp_path_factory):
    """What each row makes stale, planned side by side."""
    changes = {name: ROWS[name][0] for name in PLANNED}
    of_files = {name: change for name, change in changes.items() if change.appended}
    of_config = [name for name in changes if name not in of_files]
    tasks = [
        (clone(tiny_run, tmp_path_factory.mktemp("rows") / "files"), of_files),
        *((tiny_run, {name: changes[name] for name in of_config[start::2]}) for start in range(2)),
    ]
    groups = [pool.apply_async(plan_changes, task) for task in tasks]
    return dict(itertools.chain.from_iterable(group.get().items() for group in groups))


@pytest.mark.parametrize("name", PLANNED)
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
def test_a_source_makes_stale_what_uses_it(sources, jobs_changed_by, name):
    """Which jobs are due after others is the workflow's."""
    change, expected = ROWS[name]
    [(file, text)] = change.appended.items()
    changed = jobs_changed_by(file, text)
    if changed or name not in TABLE["planned"]:  # of the script of no job here, what is planned alone tells
        due = short(due_after(changed, sources)) | (LAST if changed else set())
        assert due == expected, f"its row would be {spelled(due)}"


def test_everything_is_everything(tiny_run, pool):
    assert short(pool.apply(dry_run, (tiny_run, "--configfile", TINY, "--forceall"))) == jobs_of(
        ["everything"]
    )
