"""The jobs that stand in a row of tests/staleness.yaml."""

import yaml

from helpers.checkouts import ROOT

TABLE = yaml.safe_load((ROOT / "tests" / "staleness.yaml").read_text())
# What follows whatever runs.
LAST = {"write_provenance", "write_site"}
ONLY = {"sub-01", "things-01", "subj01", "things_subj01", "things-01_subj01"}


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
