"""What lies in the folder of Alljoined1: headers are read, no more."""

from collections.abc import Mapping

from brain2image.datasets.alljoined1.alljoined1 import DATASET
from brain2image.datasets.alljoined1.biosemi import RAW_SFREQ, SESSIONS, open_recording, split_places
from brain2image.datasets.alljoined1.shown_pictures import read_design, read_table


def describe_person(data: Mapping[str, str], person: str) -> str:
    """Say which recordings of a person are there, and what names their pictures."""
    files = DATASET.find_release(data, person, must_exist=True).files
    recordings, tables, design = split_places(files)
    minutes = sum(open_recording(path).n_times / RAW_SFREQ / 60 for path in recordings.values())
    found = [f"{len(recordings)} recordings, {minutes:.0f} minutes, 64 channels at {RAW_SFREQ} Hz, volts"]
    if design:
        read_design(design)
        found.append("pictures by nsd_expdesign.mat")
    for session, path in tables.items():
        n_trials = len(read_table(path, subject=int(DATASET.label(person)[-2:]), session=session))
        found.append(f"pictures of {n_trials:,} trials of session {session} by {path}")
    if missing := [str(session) for session in SESSIONS if session not in recordings]:
        found.append(f"session {', '.join(missing)} is missing")
    return f"raw: {'; '.join(found)}"
