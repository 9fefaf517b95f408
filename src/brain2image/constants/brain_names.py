"""Names of brains: an EEG person, and one or several fMRI people of one embedding space, or none."""

import re

PICTURES = "pictures"  # in the place of the fMRI people: there is none, only the pictures that the EEG's saw
BRAINS = re.compile(rf"([a-z][a-z0-9]*-\d{{2,}})_(subj\d{{2}}(?:-subj\d{{2}})*|{PICTURES})")

SEVERAL = "people"  # stands for the EEG person in the name of what several of them share


def divide_brains(brains: str) -> tuple[str, str]:
    """Return the EEG person and the fMRI side of brains: ``things-01`` and ``subj02-subj05``."""
    person, _, subjects = brains.partition("_")
    return person, subjects


def members(subjects: str) -> list[str]:
    """Return the people of the fMRI side of brains: ``subj02-subj05`` is ``subj02`` and ``subj05``."""
    return [] if subjects == PICTURES else subjects.split("-")


def has_fmri(brains: str) -> bool:
    """Tell whether brains, or their fMRI side, are of somebody's fMRI, and not of pictures alone."""
    return not brains.endswith(PICTURES)
