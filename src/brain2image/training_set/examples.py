"""Which EEG trials and fMRI repetitions make each training example: numbers alone, no data."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Trials:
    """The trials behind the items of a training, of EEG or of targets, numbered from 0.

    Parameters
    ----------
    trials : the trials' numbers in the LMDB, of each item.

    Attributes
    ----------
    numbers : (n_trials,) the numbers that occur, rising.
    by_item : (n_items, most trials of an item) the trials of each item; the rest is padding, -1.
    exists : the same shape, where ``by_item`` is no padding.
    """

    def __init__(self, trials: Sequence[np.ndarray]):
        # a rectangle with padding, not a list for each item, so that an epoch is drawn without a loop
        counts = np.array([len(numbers) for numbers in trials])
        self.exists = np.arange(counts.max()) < counts[:, None]
        self.by_item = np.full(self.exists.shape, -1)
        self.numbers, self.by_item[self.exists] = np.unique(np.concatenate(trials), return_inverse=True)


class Examples(NamedTuple):
    """Item, EEG trial and (where the target is one) fMRI repetition of every example, each (n_examples,)."""

    item: np.ndarray
    trial: np.ndarray
    repetition: np.ndarray


def list_examples(eeg: Trials, fmri: Trials, *, cross: bool) -> Examples:
    """List one example for each EEG trial of each item; for ``cross`` for each with each repetition."""
    item, column = np.nonzero(eeg.exists)
    # the first repetition is a stand-in: only `cross` reads it, and every item has one
    trial, repetition = eeg.by_item[item, column], fmri.by_item[item, 0]
    if cross:
        example, column = np.nonzero(fmri.exists[item])
        item, trial = item[example], trial[example]
        repetition = fmri.by_item[item, column]
    return Examples(item, trial, repetition)


def draw_trials(examples: Examples, eeg: Trials, average_trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw each example's own trial and up to ``average_trials`` - 1 others of its item, in random order."""
    candidates, own = eeg.by_item[examples.item], examples.trial[:, None]
    is_other = eeg.exists[examples.item] & (candidates != own)
    # Sorting random numbers shuffles every row at once; what may not be drawn is infinite and comes last.
    order = np.argsort(np.where(is_other, rng.random(candidates.shape), np.inf), axis=1)
    others = np.take_along_axis(candidates, order[:, : average_trials - 1], axis=1)
    # So many as were drawn, not always as many as possible: the model meets single trials and means alike.
    n_others = np.minimum(rng.integers(average_trials, size=len(own)), is_other.sum(axis=1))
    others[np.arange(others.shape[1]) >= n_others[:, None]] = -1
    return np.hstack((own, others))


def _all_repetitions(examples: Examples, fmri: Trials, _: np.random.Generator) -> np.ndarray:
    return fmri.by_item[examples.item]


def _random_repetition(examples: Examples, fmri: Trials, rng: np.random.Generator) -> np.ndarray:
    # the repetitions of an item stand first in its row, the padding behind them
    column = rng.integers(fmri.exists.sum(axis=1)[examples.item])
    return fmri.by_item[examples.item, column][:, None]


def _own_repetition(examples: Examples, _: Trials, __: np.random.Generator) -> np.ndarray:
    return examples.repetition[:, None]


# Which fMRI repetitions make the target of each example, by the name of the option.
TARGETS = {"mean": _all_repetitions, "sample": _random_repetition, "cross": _own_repetition}
