"""What lies in the folder of Alljoined1: headers are read, no more."""

from collections.abc import Mapping

from brain2image.core.errors import InputError
from brain2image.datasets.alljoined1.alljoined1 import DATASET
from brain2image.datasets.alljoined1.biosemi import RAW_SFREQ, SESSIONS, open_recording, split_places
from brain2image.datasets.alljoined1.shown_pictures import check_named, read_design, read_table


def describe_person(data: Mapping[str, str], person: str) -> str:
    """Say which recordings of a person can be used, and what names their pictures.

    Raises
    ------
    InputError
        When none can, as it is for `alljoined_eeg.repack_eeg`; others are named.
    """
    recordings, tables, design = split_places(DATASET.find_release(data, person, must_exist=True).files)
    subject, minutes, problems = int(DATASET.label(person)[-2:]), 0.0, []
    for session in SESSIONS:
        try:
            if session not in recordings:
                raise InputError(f"session {session} is missing")
            n_samples = open_recording(recordings[session]).n_times
            if session in tables:
                read_table(tables[session], subject=subject, session=session)
            elif design is None:
                check_named(None, None, source=recordings[session])
            minutes += n_samples / RAW_SFREQ / 60
        except InputError as error:
            problems.append(str(error))
    if len(problems) == len(SESSIONS):
        raise InputError("; ".join(problems))
    sources = [f"{len(tables)} tables"] if tables else []
    if design:
        read_design(design)
        sources.append("nsd_expdesign.mat")
    n_usable = len(SESSIONS) - len(problems)
    found = f"raw: {n_usable} recordings, {minutes:.0f} minutes, 64 channels at {RAW_SFREQ} Hz, volts"
    return "; ".join([found, f"pictures by {' and '.join(sources)}", *problems])
