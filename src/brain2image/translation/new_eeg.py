"""EEG of every kind, opened as trials that are read block by block."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cutting:
    """How trials are cut from EEG.

    Attributes
    ----------
    events : which ones to take; None takes all.
    event_column : of ``events.tsv``, the column that names the events; None for those of BIDS.
    shift : ms from the event to the picture, of a display that is late.
    line_freq : Hz, of the recording's power line; None for what the recording says.
    filters : highpass, lowpass (Hz) and notch (list of Hz) of the training; empty where it had none.
    """

    events: Sequence[str] | None = None
    event_column: str | None = None
    shift: float = 0.0
    line_freq: float | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)

    def check_whole_recording(self, name: str) -> None:
        """Raise InputError where something is asked for that only a recording can do."""
        asked = [key for key in ("event_column", "line_freq") if getattr(self, key) is not None]
        if asked:
            raise InputError(
                f"{name}: expected {' and '.join(asked)} for recordings alone, as these trials have their "
                "events and are not filtered; leave it out"
            )


@dataclass(frozen=True)
class Source:
    """EEG that was opened; its samples are not read yet.

    Attributes
    ----------
    name : the file, for messages.
    channels : names, in the order of the rows.
    bads : the channels that are marked as bad.
    unit : ``V``, ``uV`` or ``whitened``.
    trials : a row a trial, in the order of the blocks: ``event`` (str), ``sample`` (int64).
    kinds : MNE's type of each channel, ``eeg``, ``eog`` and so on; empty where a file has none.
    blocks : given the rows to read, yields (n_trials, n_rows, 200) float32, in ``unit``, from the event on,
        some trials at a time.
    usable : given the rows to read, the source without the trials that have no EEG in them.
    reference : the electrode or the montage against which the EEG was recorded; None where nothing says so.
    baseline : first and last s, from the event on, of what the mean was subtracted of; None where it was not.
    clip : standard deviations at which its samples were clamped already; 0 where they were not.
    """

    name: str
    channels: Sequence[str]
    bads: Sequence[str]
    unit: str
    trials: pd.DataFrame
    blocks: Callable[[Sequence[int]], Iterator[np.ndarray]]
    usable: Callable[[Sequence[int]], "Source"]
    reference: str | None = None
    baseline: tuple[float, float] | None = None
    kinds: Sequence[str] = ()
    clip: float = 0.0


def select_events(
    trials: pd.DataFrame, events: Sequence[str] | None, *, source: str | os.PathLike
) -> pd.DataFrame:
    """Select the trials of these events, all where ``events`` is None; their index tells where they were.

    Parameters
    ----------
    trials : a row a trial, with its ``event`` (str).
    events : as they stand there; numbers are taken as text.

    Raises
    ------
    InputError
        When an event does not occur, or there is none at all.
    """
    found = sorted(set(trials["event"]))
    wanted = found if events is None else [str(event) for event in events]
    missing = [event for event in wanted if event not in found]
    if missing or not found:
        shown = ", ".join(map(repr, found[:20])) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
        raise InputError(
            f"{source}: expected {'events ' + ', '.join(map(repr, missing)) if missing else 'events'}, got "
            f"{shown or 'none'}; name events as they stand in the file"
        )
    return trials[trials["event"].isin(wanted)]


def named_channels(
    names: Sequence[str], given: Sequence[str] | None, *, bads: Sequence[str], source: str | os.PathLike
) -> tuple[list[str], list[str]]:
    """Return the channels, and the bad ones among them, under the user's names where there are any.

    Parameters
    ----------
    names : the file's.
    given : the user's names of all of them.
    bads : the file's names of the bad ones.

    Raises
    ------
    InputError
        When the user's are not as many, or one stands twice.
    """
    if given is not None and len(given) != len(names):
        raise InputError(
            f"{source}: expected as many names as channels, {len(names)}, got {len(given)}; name every "
            "channel, in the file's order"
        )
    chosen = list(names if given is None else given)
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise InputError(f"{source}: expected every channel once, got {', '.join(twice)} twice; rename one")
    return chosen, [new for new, name in zip(chosen, names, strict=True) if name in bads]
