"""Names of brains: an EEG person, and one or several fMRI people of one embedding space."""

import re

BRAINS = re.compile(r"([a-z][a-z0-9]*-\d{2,})_(subj\d{2}(?:-subj\d{2})*)")

SEVERAL = "people"  # stands for the EEG person in the name of what several of them share


def divide_brains(brains: str) -> tuple[str, str]:
    """Return the EEG person and the fMRI side of brains: ``things-01`` and ``subj02-subj05``."""
    person, _, subjects = brains.partition("_")
    return person, subjects


def members(subjects: str) -> list[str]:
    """Return the people of the fMRI side of brains: ``subj02-subj05`` is ``subj02`` and ``subj05``."""
    return subjects.split("-")
