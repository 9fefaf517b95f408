"""Picture pairs with what was measured of them: means over EEG trials and over fMRI repetitions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.training_set.lmdb_store import LMDBReader


class Pairs(NamedTuple):
    """Picture pairs with what was measured."""

    eeg: np.ndarray  # (n_pairs, n_channels, n_times) float32, mean over trials, in the stored unit
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    table: pd.DataFrame  # eeg_image, fmri_image and the other columns of the pairs table


Predictor = Callable[[Pairs], np.ndarray]  # gives (n_pairs, n_features) float32


def read_pairs(path: str | Path, split: str) -> Pairs:
    """Read the mean EEG and the mean fMRI embedding of every pair of a split.

    Parameters
    ----------
    path : the LMDB file.
    split : ``train``, ``val`` or ``test``.
    """
    reader = LMDBReader(path)
    table = reader.pairs_of(split).reset_index(drop=True)
    return Pairs(eeg_means(reader, table), target_means(reader, table), table)


def read_training_targets(path: str | Path) -> np.ndarray:
    """Read the mean fMRI embedding of every training pair, (n_pairs, n_features) float32, and no EEG."""
    reader = LMDBReader(path)
    return target_means(reader, reader.pairs_of("train"))


def eeg_means(reader: LMDBReader, pairs: pd.DataFrame) -> np.ndarray:
    """Read the mean EEG of every pair, (n_pairs, n_channels, n_times) float32 in the stored unit."""
    return trial_means(reader, "eeg", list_trials(reader.eeg_index, pairs))


def target_means(reader: LMDBReader, pairs: pd.DataFrame) -> np.ndarray:
    """Read the mean fMRI embedding of every pair over its repetitions, (n_pairs, n_features) float32."""
    return trial_means(reader, "fmri", list_trials(reader.fmri_index, pairs))


def list_trials(index: pd.DataFrame, pairs: pd.DataFrame) -> list[np.ndarray]:
    """List the numbers of the trials, or of the repetitions, of every pair.

    Parameters
    ----------
    index : ``eeg_index`` or ``fmri_index`` of the reader.
    pairs : rows of its table of pairs.
    """
    trials = {pair: rows.to_numpy() for pair, rows in index.groupby("pair")["trial"]}
    return [trials[pair] for pair in pairs["pair"]]


def trial_means(reader: LMDBReader, name: str, trials: Sequence[np.ndarray]) -> np.ndarray:
    """Read the mean over each of several groups of trials, (n_groups, ...) float32.

    Parameters
    ----------
    name : ``eeg`` or ``fmri``.
    trials : numbers of the trials of each group.
    """
    return np.stack([reader.read(name, numbers).mean(axis=0) for numbers in trials])
