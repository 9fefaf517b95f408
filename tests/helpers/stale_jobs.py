"""The jobs that stand in a row of tests/staleness.yaml."""

import yaml

from helpers.checkouts import ROOT

TABLE = yaml.safe_load((ROOT / "tests" / "staleness.yaml").read_text())
SHARED = {
    "things-01",
    "sub-01",
    "subj01",
    "things-01_subj01",
    "things_subj01",
}  # the tiny run is of one pair of brains


def jobs_of(names):
    """The jobs that a list of jobs and groups stands for."""
    groups = TABLE["groups"]
    found = set().union(*(jobs_of(groups[name]) if name in groups else {name} for name in names))
    return found | {"write_provenance"} if found else found


def short(names):
    """Jobs without the brains that all of them share."""
    return {"/".join(part for part in name.split("/") if part not in SHARED) for name in names}
