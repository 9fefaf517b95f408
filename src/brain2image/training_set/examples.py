"""Which EEG trials and fMRI repetitions make each training example: numbers alone, no data."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Trials:
    """The EEG trials or the fMRI repetitions of a split, numbered from 0.

    Attributes
    ----------
    numbers : (n_trials,) their numbers in the LMDB, rising.
    by_pair : (n_pairs, most trials of a pair) the trials of each pair; the rest is padding, -1.
    exists : the same shape, where ``by_pair`` is no padding.
    """

    def __init__(self, index: pd.DataFrame, pairs: pd.Series):
        index = index[index["pair"].isin(pairs)]
        self.numbers = np.unique(index["trial"])
        # a rectangle with padding, not a list for each pair, so that an epoch is drawn without a loop
        column = index.groupby("pair").cumcount().to_numpy()
        self.by_pair = np.full((len(pairs), column.max() + 1), -1)
        row = pd.Index(pairs).get_indexer(index["pair"])
        self.by_pair[row, column] = np.searchsorted(self.numbers, index["trial"])
        self.exists = self.by_pair >= 0


class Examples(NamedTuple):
    """Pair, EEG trial and (where the target is one) fMRI repetition of every example, each (n_examples,)."""

    pair: np.ndarray
    trial: np.ndarray
    repetition: np.ndarray


def list_examples(eeg: Trials, fmri: Trials, *, cross: bool) -> Examples:
    """List one example for each EEG trial of each pair; for ``cross`` for each with each repetition."""
    pair, column = np.nonzero(eeg.exists)
    # the first repetition is a stand-in: only `cross` reads it, and every pair has one
    trial, repetition = eeg.by_pair[pair, column], fmri.by_pair[pair, 0]
    if cross:
        example, column = np.nonzero(fmri.exists[pair])
        pair, trial = pair[example], trial[example]
        repetition = fmri.by_pair[pair, column]
    return Examples(pair, trial, repetition)


def draw_trials(examples: Examples, eeg: Trials, average_trials: int, rng: np.random.Generator) -> np.ndarray:
    """Draw each example's own trial and up to ``average_trials`` - 1 others of its pair, in random order."""
    candidates, own = eeg.by_pair[examples.pair], examples.trial[:, None]
    is_other = eeg.exists[examples.pair] & (candidates != own)
    # Sorting random numbers shuffles every row at once; what may not be drawn is infinite and comes last.
    order = np.argsort(np.where(is_other, rng.random(candidates.shape), np.inf), axis=1)
    others = np.take_along_axis(candidates, order[:, : average_trials - 1], axis=1)
    # So many as were drawn, not always as many as possible: the model meets single trials and means alike.
    n_others = np.minimum(rng.integers(average_trials, size=len(own)), is_other.sum(axis=1))
    others[np.arange(others.shape[1]) >= n_others[:, None]] = -1
    return np.hstack((own, others))


def _all_repetitions(examples: Examples, fmri: Trials, _: np.random.Generator) -> np.ndarray:
    return fmri.by_pair[examples.pair]


def _random_repetition(examples: Examples, fmri: Trials, rng: np.random.Generator) -> np.ndarray:
    # the repetitions of a pair stand first in its row, the padding behind them
    column = rng.integers(fmri.exists.sum(axis=1)[examples.pair])
    return fmri.by_pair[examples.pair, column][:, None]


def _own_repetition(examples: Examples, _: Trials, __: np.random.Generator) -> np.ndarray:
    return examples.repetition[:, None]


# Which fMRI repetitions make the target of each example, by the name of the option.
TARGETS = {"mean": _all_repetitions, "sample": _random_repetition, "cross": _own_repetition}
