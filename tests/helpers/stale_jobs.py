"""The rows of tests/staleness.yaml: what each changes, and the jobs that it makes stale."""

import yaml

from helpers.checkouts import ROOT
from helpers.dry_runs import Change

TABLE = yaml.safe_load((ROOT / "tests" / "staleness.yaml").read_text())
# What follows whatever runs.
LAST = {"write_provenance", "write_site"}
ONLY = {"sub-01", "things-01", "subj01", "things_subj01", "things-01_subj01"}
# The files that a row of each section changes, and what is added to them.
FILES = {
    "modules": ("src/brain2image/{}", "\nCHANGED = True\n"),
    "scripts": ("workflow/scripts/{}", "\nCHANGED = True\n"),
    "environments": ("envs/{}", "  - changed\n"),
    "raw": ("results/raw/{}", "\0"),
}


def jobs_of(names):
    """The jobs that a list of jobs and groups stands for."""
    groups = TABLE["groups"]
    found = set().union(*(jobs_of(groups[name]) if name in groups else {name} for name in names))
    return found | LAST if found else found


def short(names):
    """Jobs without the people that all of them share."""
    return {"/".join(part for part in name.split("/") if part not in ONLY) for name in names}


def spelled(jobs):
    """The row that stands for these jobs, of the largest groups that hold no other one."""
    groups = {name: jobs_of([name]) for name in TABLE["groups"]}
    left, row = jobs - LAST, []
    while left:
        fitting = [name for name, members in groups.items() if members <= jobs and len(members & left) > 1]
        largest = max(fitting, key=lambda name: (len(groups[name] & left), -len(groups[name])), default=None)
        found = groups[largest] if largest else left
        row += [largest] if largest else sorted(left)
        left = left - found
    return row or sorted(jobs)


def read_rows():
    """What each row changes, and the jobs that it makes stale, by a name of its own."""
    rows = {}
    for row in TABLE["config"]:
        name, n_same = f"config {row['key']}", sum(key.startswith(f"config {row['key']}") for key in rows)
        change = Change({row["key"]: row["value"]} | row.get("with", {}), row.get("files", {}))
        rows[f"{name} {n_same + 1}" if name in rows else name] = (change, jobs_of(row["reruns"]))
    for section, (pattern, text) in FILES.items():
        for file, reruns in TABLE[section].items():
            change = Change(appended={pattern.format(file): text})
            rows[f"{section} {file}"] = (change, jobs_of(reruns))
    return rows


ROWS = read_rows()
