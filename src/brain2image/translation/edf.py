"""EDF and BDF files, where MNE would lose codes or read across interruptions.

Format: https://www.edfplus.info/specs/edf.html and edfplus.html.
"""

import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np

from brain2image.formats.eeg_files import MNE_LEVEL

logger = logging.getLogger(__name__)

SUFFIXES = {".edf": 2, ".bdf": 3}  # bytes a sample
TRIGGERS = ("status", "trigger")  # labels of the channels that MNE takes for trigger channels
ANNOTATIONS = "Annotations"  # the end of the label of what holds texts
FIXED, PER_SIGNAL = 256, 256  # bytes of the header
# A time, perhaps a duration, and texts; the first of a record says when the record began.
TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")


class Layout(NamedTuple):
    """What the header says of the records."""

    kind: str  # EDF+D where records do not follow each other, else EDF+C, 24BIT or nothing
    labels: list[str]
    n_bytes: np.ndarray  # (n_signals,) of each in a record
    record_length: float  # s


def read_edf(path: Path) -> mne.io.BaseRaw:
    """Open an EDF or BDF file as MNE does, but with the codes as they are stored, and its pauses marked.

    MNE cuts the codes of a scaled trigger channel off behind the point, so that 94.998 for 95 becomes 94; and
    it takes the records of an interrupted file (EDF+D) for one piece.
    """
    layout = read_layout(path)
    is_trigger = np.array([label.casefold() in TRIGGERS for label in layout.labels])
    is_text = np.array([label.endswith(ANNOTATIONS) for label in layout.labels])
    # at another rate than the EEG's MNE holds codes, but would interpolate EEG
    own_rate = (layout.n_bytes[is_trigger] < layout.n_bytes[~is_trigger & ~is_text].max(initial=0)).any()
    is_interrupted = layout.kind[3:5] == "+D"
    # what MNE says of annotations by the clock is put right below
    options: dict[str, Any] = {"verbose": "error" if is_interrupted else MNE_LEVEL}
    if path.suffix.lower() == ".edf" and is_trigger.any() and not own_rate:
        options["stim_channel"] = False
    raw = mne.io.read_raw(path, preload=False, **options)
    if "stim_channel" in options:
        kinds = {name: "stim" for name in raw.ch_names if name.casefold() in TRIGGERS}
        raw.set_channel_types(kinds, on_unit_change="ignore", verbose=MNE_LEVEL)
    if is_interrupted:
        _mark_pauses(raw, path, layout)
    return raw


def read_layout(path: Path) -> Layout:
    """Read the header of an EDF or BDF file."""
    with open(path, "rb") as file:
        fixed = file.read(FIXED)
        n_signals = int(fixed[252:256])
        rest = file.read(n_signals * PER_SIGNAL)
    labels = [rest[16 * i : 16 * i + 16].decode("latin-1").strip() for i in range(n_signals)]
    counts = [int(rest[216 * n_signals + 8 * i :][:8]) for i in range(n_signals)]
    n_bytes = np.array(counts) * SUFFIXES[path.suffix.lower()]
    return Layout(fixed[192:236].decode("latin-1").strip(), labels, n_bytes, float(fixed[244:252]))


def _mark_pauses(raw: mne.io.BaseRaw, path: Path, layout: Layout) -> None:
    """Mark where records do not follow each other, and move annotations from clock time to the file's."""
    onsets, texts = _read_texts(path, layout)
    length = layout.record_length
    starts = length * np.arange(len(onsets))
    jumps = np.flatnonzero(np.abs(np.diff(onsets) - length) > 0.5 / raw.info["sfreq"]) + 1
    marks, n_lost = [(starts[jump], 0.0, "EDGE boundary") for jump in jumps], 0
    for time, duration, text in texts:
        record = max(int(np.searchsorted(onsets, time, side="right")) - 1, 0)
        if time - onsets[record] < length:
            marks.append((starts[record] + time - onsets[record], duration, text))
        else:
            n_lost += 1
    if len(jumps):
        logger.info("%s: interrupted %d times", path, len(jumps))
    if n_lost:
        logger.warning("%s: left out %d annotations of what was not recorded", path, n_lost)
    raw.set_annotations(mne.Annotations(*zip(*marks, strict=True)) if marks else None, verbose=MNE_LEVEL)


def _read_texts(path: Path, layout: Layout) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Read when each record began, (n_records,) s, and time, duration and text of all annotations."""
    ends = np.cumsum(layout.n_bytes)
    rows = [row for row, label in enumerate(layout.labels) if label.endswith(ANNOTATIONS)]
    content = np.memmap(path, np.uint8, "r", offset=FIXED + len(ends) * PER_SIGNAL)
    records = content[: len(content) // ends[-1] * ends[-1]].reshape(-1, ends[-1])
    onsets, found = [], []
    for record in records:
        listed = b"".join(record[ends[row] - layout.n_bytes[row] : ends[row]].tobytes() for row in rows)
        (first, _, _), *_ = lists = TAL.findall(listed)
        onsets.append(float(first))
        for time, duration, texts in lists:
            found += [
                (float(time), float(duration or 0), text.decode("utf-8", "replace"))
                for text in texts.split(b"\x14")
                if text
            ]
    return np.array(onsets), found
