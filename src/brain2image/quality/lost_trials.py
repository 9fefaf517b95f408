"""What was left out of a subject's raw recordings, and what was changed, in numbers and in sentences."""

import pandas as pd

from brain2image.datasets.left_out import FAULTS


def describe_losses(recordings: pd.DataFrame | None) -> list[dict[str, int]] | None:
    """Describe what each raw file lost, as of `left_out.read_recordings` but sessions from 1."""
    if recordings is None:
        return None
    return recordings.assign(session=recordings["session"] + 1).to_dict("records")


def loss_notes(recordings: pd.DataFrame | None, interpolated: list[str], *, edge: float) -> list[str]:
    """Say what a reader of the scores must know of the EEG, a sentence a thing; none where all is well."""
    notes = [f"Interpolated from the other channels: {', '.join(interpolated)}."] if interpolated else []
    if recordings is None:
        return notes
    missing = recordings[recordings["is_there"] == 0]
    if len(missing):
        names = [f"{row.session + 1} ({'test' if row.is_test else 'train'})" for row in missing.itertuples()]
        notes.append(f"No usable file of session {', '.join(names)}: their trials are missing.")
    total = recordings.sum()
    lost = {text: total[fault] for fault, text in FAULTS.items() if total[fault]}
    if lost:
        reasons = ", ".join(f"{n} {text}" for text, n in lost.items())
        n_all = total["sequences"] + sum(lost.values())
        notes.append(f"Dropped {sum(lost.values()):,} of {n_all:,} sequences of pictures: {reasons}.")
    sentences = {
        "stray_pulses": "Passed over {:,} pulses that belong to no sequence.",
        "near_edge": f"Left out {{:,}} trials within {edge:g} s of an end of a part, where filters distort.",
        "unclear_joints": "{:,} joints of parts have no clear step: an offset there rings for seconds.",
    }
    return [*notes, *(text.format(total[name]) for name, text in sentences.items() if total[name])]
