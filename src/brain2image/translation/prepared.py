"""New EEG of every kind, prepared as a run's training EEG was: some trials at a time."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from brain2image.core.errors import InputError
from brain2image.datasets.units import check_rms
from brain2image.translation.as_trained import Recipe, as_in_training, unit_factor, unit_remedy
from brain2image.translation.channels import Mixing, arrange_channels
from brain2image.translation.latency import LatencyCheck
from brain2image.translation.names import CapOptions
from brain2image.translation.new_eeg import Cutting, Source
from brain2image.translation.opening import open_eeg
from brain2image.translation.reference import Interpolated, Rereferenced, compare_reference, warn_of_average

logger = logging.getLogger(__name__)

FILTERS = ("highpass", "lowpass", "notch")
STEP = 0.005  # s, a sample of the model, by which a baseline may differ
BLOCK_MEANS = 128  # events whose mean is handed on at once


@dataclass(frozen=True)
class EEGOptions:
    """What the user says of EEG, and how it is to be taken; see `embeddings.translate` for each."""

    unit: str | None = None
    channels: Sequence[str] | None = None
    sfreq: float | None = None
    events: Sequence[str] | None = None
    event_column: str | None = None
    shift: float = 0.0
    line_freq: float | None = None
    rename: Mapping[str, str] | None = None
    rename_table: str | os.PathLike | None = None
    montage: str | None = None
    interpolate: bool = False
    min_channels: int | None = None
    reference: str | Sequence[str] | None = None

    @property
    def references(self) -> list[str] | None:
        """Return what the EEG is referenced anew to, as a list."""
        if self.reference is None:
            return None
        return [self.reference] if isinstance(self.reference, str) else list(self.reference)

    def open(self, eeg: Any, filters: Mapping[str, Any]) -> Source:
        """Open EEG; recordings are filtered as the training's were."""
        cutting = Cutting(self.events, self.event_column, self.shift, self.line_freq, filters)
        return open_eeg(eeg, unit=self.unit, channels=self.channels, sfreq=self.sfreq, cutting=cutting)

    def arrange(self, source: Source, training: Mapping[str, Any]) -> Mixing:
        """Bring a file's channels into the training's order."""
        cap = CapOptions(self.interpolate, self.min_channels, self.montage, self.rename, self.rename_table)
        is_rereferenced = self.reference is not None
        flat = training.get("flat", ())
        return arrange_channels(source, training["channels"], cap, flat=flat, rereferenced=is_rereferenced)


class Prepared(NamedTuple):
    """New EEG as a run's training EEG; it is read when its blocks are."""

    name: str  # the file, for messages
    trials: pd.DataFrame  # a row a trial: event, sample
    blocks: Iterator[np.ndarray]  # (n_trials, n_channels, n_times) float32, some trials at a time
    is_whitened: bool  # by its own trials


def prepare_eeg(
    eeg: Any,
    run: str | os.PathLike,
    *,
    config: Mapping[str, Any],
    response: np.ndarray,
    options: EEGOptions,
) -> Prepared:
    """Open EEG and prepare it as a run's training EEG was: channels, filters, unit, whitening, clamping.

    Parameters
    ----------
    eeg : of every kind that `embeddings.translate` takes.
    run, config : the run's folder, for messages, and its ``config.json``.
    response : (n_channels, n_times) float32, mean EEG of the training, to compare the latency with.
    options : the user's.

    Raises
    ------
    InputError
        Says in one line what does not fit the run.
    """
    training = _training_eeg(config.get("eeg"), run)
    filters = {name: training[name] for name in FILTERS if name in training}
    filters |= {"notch": np.atleast_1d(filters["notch"]).tolist()} if filters else {}
    source, reference = options.open(eeg, filters), options.references
    recipe = Recipe.of(source, training)
    unit = "uV" if recipe.whiten else training["unit"]
    factor = unit_factor(source, unit)
    _check_baseline(source, training.get("baseline", 0.0))
    mixing: Mixing | Rereferenced | Interpolated
    mixing = options.arrange(source, training)
    compare_reference(source, training.get("reference"), reference)
    if reference is not None:
        mixing = Rereferenced(mixing, source, reference)
    # channels are interpolated before they are whitened: what is whitened by session has been through it
    is_done = training.get("whiten") == "session" and source.unit == "whitened"
    if not is_done and (bads := training.get("interpolated")):
        mixing = Interpolated(mixing, training["channels"], bads, source=source.name)
    source = source.usable(mixing.rows)
    blocks = _prepare(source, mixing, factor, unit=unit)
    if reference is None and unit != "whitened":
        blocks = _check_average(blocks, source, training.get("reference"))
    blocks = as_in_training(blocks, recipe, training["channels"], source=source.name)
    blocks = _check_latency(blocks, source, response, shift=options.shift)
    return Prepared(source.name, source.trials, blocks, recipe.whiten)


def _training_eeg(eeg: Any, run: str | os.PathLike) -> Mapping[str, Any]:
    if not isinstance(eeg, dict) or not {"unit", "channels"} <= set(eeg):
        raise InputError(f"{run}: expected unit and channels of the EEG in config.json; train the run again")
    return eeg


def _check_baseline(source: Source, wanted: float) -> None:
    """Refuse EEG without the training's baseline, ``wanted`` s; say where only the EEG has one."""
    start, stop = source.baseline or (0.0, 0.0)
    if wanted and not (math.isclose(start, -wanted, abs_tol=STEP) and -STEP <= stop <= 0):
        raise InputError(
            f"{source.name}: expected EEG from which the mean of the {wanted:g} s before each event was "
            f"subtracted, as in training (eeg.baseline), got {source.baseline or 'none'}; filter the "
            f"recording as in training and cut epochs with baseline=(-{wanted:g}, 0)"
        )
    if source.baseline and not wanted:
        text = "%s: a baseline (%g to %g s) was subtracted from the EEG, none in training"
        logger.warning(text, source.name, start, stop)


def _prepare(
    source: Source, mixing: Mixing | Interpolated | Rereferenced, factor: float, *, unit: str
) -> Iterator[np.ndarray]:
    """Yield blocks (n_trials, n_channels, 200) float32 as the model takes them, checked."""
    console = Console(stderr=True)
    powers = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading EEG", total=len(source.trials))
        for block in source.blocks(mixing.rows):
            eeg = mixing(block) * np.float32(factor)
            powers.extend(np.mean(np.square(eeg, dtype=np.float64), axis=(1, 2)))
            if not np.isfinite(powers).all():
                number = int(np.flatnonzero(~np.isfinite(powers))[0])
                raise InputError(
                    f"{source.name}: expected finite EEG, got NaN or infinity in trial {number}; leave it out"
                )
            # The median passes over trials with artefacts.
            rms = float(np.sqrt(np.median(powers)))
            check_rms(rms, unit, source=source.name, remedy=unit_remedy(rms / factor, source.unit, unit))
            yield eeg
            progress.advance(task, len(eeg))


def _check_average(blocks: Iterator[np.ndarray], source: Source, trained: str | None) -> Iterator[np.ndarray]:
    """Pass the blocks on, after a look at the first for an average reference that training did not have."""
    for number, block in enumerate(blocks):
        if number == 0:
            warn_of_average(block, source, trained)
        yield block


def _check_latency(
    blocks: Iterator[np.ndarray], source: Source, training: np.ndarray, *, shift: float
) -> Iterator[np.ndarray]:
    """Pass the blocks on, and say at the end how late their mean response is against the training's."""
    check = LatencyCheck(training, len(source.trials))
    for block in blocks:
        check.add(block)
        yield block
    check.say(shift=shift, source=source.name)


def event_means(
    trials: pd.DataFrame, blocks: Iterator[np.ndarray]
) -> tuple[pd.DataFrame, Iterator[np.ndarray]]:
    """Average the EEG of each event's trials: one row an event, in the order in which they came first."""
    numbers, events = pd.factorize(trials["event"])
    counts = np.bincount(numbers)

    def means() -> Iterator[np.ndarray]:
        sums, start = None, 0
        for block in blocks:
            sums = np.zeros((len(events), *block.shape[1:]), np.float64) if sums is None else sums
            np.add.at(sums, numbers[start : start + len(block)], block)
            start += len(block)
        assert sums is not None  # as there are trials
        for first in range(0, len(events), BLOCK_MEANS):
            rows = slice(first, first + BLOCK_MEANS)
            yield (sums[rows] / counts[rows, None, None]).astype(np.float32)

    return pd.DataFrame({"event": events, "n_trials": counts}), means()
