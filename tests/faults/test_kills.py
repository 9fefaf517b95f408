"""kill -9, 20 times in a row over one tiny run: of a job of every stage, of Snakemake, of all at once."""

import os
import random
import re
import signal
import time

from helpers.checkouts import ROOT, copy_checkout
from helpers.tiny_run import (
    assert_same,
    compared,
    is_same,
    left_processes,
    recorded_seconds,
    run,
    running_jobs,
    start,
)

# FAULT_SEED=1 tries other moments.
SEED = int(os.environ.get("FAULT_SEED", "0"))
N_KILLS = 20
# Jobs are struck after this share of the time that they took undisturbed.
MOMENTS = (0.05, 0.85)


def kill_job(process, job):
    """The others go on, and so does Snakemake, with --keep-going."""
    job.kill()


def kill_snakemake(process, job):
    """Its jobs notice it themselves."""
    process.kill()


def kill_group(process, job):
    """As when the machine goes down."""
    os.killpg(process.pid, signal.SIGKILL)


WAYS = (kill_job, kill_snakemake, kill_group)


def draw_schedule(seconds, draw):
    """Rules to strike, at least one of each stage: how and after which time, in s."""
    stages = {
        file.stem: sorted(set(re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE)) & seconds.keys())
        for file in sorted((ROOT / "rules").glob("*.smk"))
    }
    first = [draw.choice(rules) for rules in stages.values() if rules]
    others = sorted(seconds.keys() - set(first))
    victims = first + draw.sample(others, N_KILLS - len(first))
    return {rule: (draw.choice(WAYS), draw.uniform(*MOMENTS) * seconds[rule]) for rule in victims}


def disturb(process, schedule):
    """Strike the jobs of one Snakemake as the schedule has it, until it ends; rules that were struck.

    A rule whose job ended before its time stays in the schedule, for the next job of that rule.
    """
    struck, due = [], {}
    while process.poll() is None:
        for job, rule in running_jobs(process).items():
            if rule in schedule and job not in due:
                due[job] = (time.monotonic() + schedule[rule][1], rule)
        for job, (moment, rule) in list(due.items()):
            if time.monotonic() >= moment and rule in schedule and job.is_running():
                way = schedule.pop(rule)[0]
                way(process, job)
                struck.append(rule)
                print(f"{way.__name__} during {rule}")
        time.sleep(0.02)
    return struck


def assert_nothing_is_half_written(results, expected, checked):
    """Every output that is there is whole and right; ``checked`` remembers what has been compared."""
    for path in compared(results) & compared(expected):
        state = (results / path).stat().st_mtime_ns
        if checked.get(path) != state:
            assert is_same(results / path, expected / path), path
            checked[path] = state


def test_killed_20_times_in_a_row(undisturbed, tmp_path):
    print(f"FAULT_SEED={SEED}")
    schedule = draw_schedule(recorded_seconds(undisturbed / "results"), random.Random(SEED))
    folder, expected = copy_checkout(tmp_path / "checkout"), undisturbed / "results"
    struck, found, checked, forced = [], [], {}, []
    while schedule or found:
        process = start(folder, "--keep-going", *forced)
        found = disturb(process, schedule)
        struck += found
        if process.returncode >= 0:
            assert_nothing_is_half_written(folder / "results", expected, checked)
        if not found:
            assert process.returncode == 0, (folder / "run.log").read_text()[-5000:]
            # these were faster than recorded: once more, and sooner
            schedule = {rule: (way, moment / 3) for rule, (way, moment) in schedule.items()}
        forced = ["--forcerun", *sorted(schedule)] if schedule and not found else []
    assert len(struck) == N_KILLS
    assert_same(folder / "results", expected)
    assert "Nothing to be done" in run(folder, "--dry-run")
    assert not left_processes()
