"""EEG of every kind, opened as trials that are read block by block."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brain2image.errors import InputError, reason


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
    """

    name: str
    channels: Sequence[str]
    bads: Sequence[str]
    unit: str
    trials: pd.DataFrame
    blocks: Callable[[Sequence[int]], Iterator[np.ndarray]]
    kinds: Sequence[str] = ()


@contextmanager
def readable(name: str | os.PathLike) -> Iterator[None]:
    """Turn what the readers of EEG raise on a damaged or foreign file into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # MNE raises many types, by format and by where the damage is
        raise InputError(
            f"{name}: expected EEG in a format that MNE reads (FIF, BrainVision, EDF, BDF, EEGLAB, ...) or "
            f"an array (.npy), but cannot read it ({reason(error)}); export it again"
        ) from None


def select_events(
    trials: pd.DataFrame, events: Sequence[str] | None, *, source: str | os.PathLike
) -> pd.DataFrame:
    """The trials of these events, or of all where ``events`` is None; their index tells where they were.

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
    """The channels, and the bad ones among them, under the user's names where there are any.

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
