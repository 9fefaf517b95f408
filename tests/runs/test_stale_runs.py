"""What a change makes stale runs again, nothing else does, and then nothing is stale."""

import time

from helpers.checkouts import changed_config, clone
from helpers.dry_runs import dry_run, run_snakemake
from helpers.stale_jobs import ROWS, TABLE, short


def run_for_real(pool, checkout, config):
    """Run the workflow; the jobs that ran, which open their logs anew."""
    start = time.time()
    status, text = pool.apply(run_snakemake, (checkout,), {"config": config})
    assert status == 0, text[-5000:]
    logs = checkout / "results" / "logs"
    changed = [log for log in logs.rglob("*.log") if log.stat().st_mtime >= start]
    return {log.relative_to(logs).with_suffix("").as_posix() for log in changed}


def test_what_is_stale_runs_and_is_then_fresh(tiny_run, pool, tmp_path):
    """Several changes at once: a module, a script, settings of the evaluation and of one run."""
    checkout = clone(tiny_run, tmp_path / "checkout")
    assert len(TABLE["real"]) == 4
    changes, expected = {}, set()
    for name in TABLE["real"]:
        change, jobs = ROWS[name]
        changes |= change.config
        expected |= jobs
        for file, text in change.appended.items():
            (checkout / file).write_text((checkout / file).read_text() + text)
    config = changed_config(checkout, changes)
    assert short(run_for_real(pool, checkout, config)) == expected
    assert pool.apply(dry_run, (checkout, "--configfile", config)) == set()
