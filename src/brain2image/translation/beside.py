"""What BIDS puts beside a recording: its table of events, and what is said of it."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError, reason
from brain2image.formats.files import read_json
from brain2image.translation.marks import Mark, make_mark

logger = logging.getLogger(__name__)

RECORDING = re.compile(r"(_split-\d+)?_eeg(\.\w+)+$")  # the end of a recording's name
NAMES = ("trial_type", "value")  # columns that say what happened, the first that does
MISSING = ("n/a", "N/A", "nan", "NaN", "")


def beside(name: str | os.PathLike, ending: str) -> Path | None:
    """Return the file with this ending that belongs to a recording, if there is one."""
    path = Path(RECORDING.sub(ending, str(name)))
    return path if path != Path(name) and path.is_file() else None


def read_sidecar(name: str | os.PathLike) -> Mapping[str, Any]:
    """Return what ``…_eeg.json`` beside a recording says; nothing where there is none."""
    path = beside(name, "_eeg.json")
    try:
        content = read_json(path) if path else {}
    except InputError as error:
        logger.warning("%s", error)
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if value not in MISSING}


def read_events(path: Path, *, column: str | None, sfreq: float, n_times: int) -> list[Mark]:
    """Read the rows of a BIDS ``events.tsv`` that say what happened and when; log how many do not, and why.

    Parameters
    ----------
    path : the table. Its onsets are seconds; where one is missing, ``sample`` counts.
    column : the one that names the events; None for ``trial_type``, or ``value`` in rows where that is n/a.
    sfreq, n_times : of the recording.

    Raises
    ------
    InputError
        When columns are missing, or most onsets lie outside of the recording.
    """
    table = read_table(path)
    _check_columns(table, path, column)
    names = [column] if column else [name for name in NAMES if name in table]
    text = table[names].bfill(axis=1).iloc[:, 0]
    onset = pd.to_numeric(table["onset"], errors="coerce")
    if "sample" in table:
        onset = onset.fillna(pd.to_numeric(table["sample"], errors="coerce") / sfreq)
    duration = pd.to_numeric(table.get("duration", pd.Series(0.0, table.index)), errors="coerce")
    status = table.get("status", pd.Series("good", table.index)).str.casefold()
    has_onset = np.isfinite(onset)
    is_inside = has_onset & (onset >= 0) & (np.round(onset * sfreq) < n_times)
    if is_inside.sum() < (has_onset & ~is_inside).sum():
        raise InputError(
            f"{path}: expected onsets in seconds, 0 to {n_times / sfreq:g} as the recording lasts, got "
            f"{onset.min():g} to {onset.max():g}; are they milliseconds, or is the recording cut?"
        )
    kept = pd.Series(True, table.index)
    for is_odd, why in (
        (~has_onset, "have no onset"),
        (has_onset & ~is_inside, "lie outside of the recording"),
        (text.isna(), f"have no {' or '.join(names)}"),
        (status == "bad", "have the status bad"),
    ):
        if n_odd := int((kept & is_odd).sum()):
            logger.warning("%s: left out %d of %d rows, which %s", path, n_odd, len(table), why)
        kept &= ~is_odd
    if len(names) > 1 and (n_other := int((kept & table[names[0]].isna()).sum())):
        logger.info("%s: %d of %d events are named by %s", path, n_other, int(kept.sum()), names[1])
    rows = zip(text[kept], onset[kept], duration[kept], strict=True)
    return [make_mark(*row, sfreq=sfreq) for row in rows]


def read_table(path: Path) -> pd.DataFrame:
    """Read all columns of an ``events.tsv`` as text."""
    try:
        options = {"na_values": MISSING, "keep_default_na": False, "encoding": "utf-8-sig"}
        return pd.read_csv(path, sep="\t", dtype=str, **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected a table with tabs, but cannot read it ({reason(error)}); mend it, or take it "
            "away to use the recording's own events"
        ) from None


def _check_columns(table: pd.DataFrame, path: Path, column: str | None) -> None:
    wanted = [column] if column else [name for name in NAMES if name in table] or [" or ".join(NAMES)]
    if not {"onset", *wanted} <= set(table):
        raise InputError(
            f"{path}: expected the columns onset and {wanted[0]}, got {', '.join(table)}; name the column "
            "that says what happened (--event-column), or take the table away to use the recording's own "
            "events"
        )
