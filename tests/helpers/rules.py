"""The rules of the workflow, as texts, and the profile that says what they get on SLURM."""

import re

import yaml

from helpers.checkouts import ROOT

RULES = {
    name: text
    for file in sorted((ROOT / "rules").glob("*.smk"))
    for name, text in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", file.read_text(), re.MULTILINE)
}

PROFILE = "profiles/slurm"


def slurm_profile():
    """The profile, its examples of account and partitions included."""
    text = (ROOT / PROFILE / "profile.yaml").read_text()
    examples = re.sub(r"^# (?=\w+-resources:$|  +\w+:)", "", text, flags=re.MULTILINE)
    return yaml.safe_load(examples)
