"""The jobs that stand in a row of tests/staleness.yaml."""

import yaml

from helpers.checkouts import ROOT

TABLE = yaml.safe_load((ROOT / "tests" / "staleness.yaml").read_text())
ONLY = {"sub-01", "things-01", "subj01", "things_subj01", "things-01_subj01"}


def jobs_of(names):
    """The jobs that a list of jobs and groups stands for."""
    groups = TABLE["groups"]
    found = set().union(*(jobs_of(groups[name]) if name in groups else {name} for name in names))
    return found | {"write_provenance"} if found else found


def short(names):
    """Jobs without the people that all of them share."""
    return {"/".join(part for part in name.split("/") if part not in ONLY) for name in names}
