"""EEG of every kind, opened as trials that are read block by block."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brain2image.errors import InputError


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
    blocks : given the rows to read, yields (n_trials, n_rows, 200) float32, in ``unit``, from the event on,
        some trials at a time.
    """

    name: str
    channels: Sequence[str]
    bads: Sequence[str]
    unit: str
    trials: pd.DataFrame
    blocks: Callable[[Sequence[int]], Iterator[np.ndarray]]


def select_events(
    trials: pd.DataFrame, events: Sequence[str] | None, *, source: str | os.PathLike
) -> pd.DataFrame:
    """The trials of these events, or of all where ``events`` is None; their index tells where they were.

    Raises
    ------
    InputError
        When an event does not occur, or there is none at all.
    """
    found = sorted(set(trials["event"]))
    missing = [event for event in events or () if event not in found]
    if missing or not found:
        shown = ", ".join(map(repr, found[:20])) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
        raise InputError(
            f"{source}: expected {'events ' + ', '.join(map(repr, missing)) if missing else 'events'}, got "
            f"{shown or 'none'}; name events as they stand in the file"
        )
    return trials if events is None else trials[trials["event"].isin(events)]


def named_channels(
    names: Sequence[str], given: Sequence[str] | None, *, source: str | os.PathLike
) -> list[str]:
    """The user's names of the channels where there are any, else the file's.

    Raises
    ------
    InputError
        When they are not as many as the channels, or one stands twice.
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
    return chosen
