"""Picture pairs with what was measured of them: means over EEG trials and over fMRI repetitions."""

from collections.abc import Callable, Iterable, Sequence
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
    return Pairs(eeg_means(reader, table["eeg_image"]), target_means(reader, table["fmri_image"]), table)


def read_training_targets(path: str | Path) -> np.ndarray:
    """Read the mean fMRI embedding of every training pair, (n_pairs, n_features) float32, and no EEG."""
    reader = LMDBReader(path)
    return target_means(reader, reader.pairs_of("train")["fmri_image"])


def eeg_means(reader: LMDBReader, images: Iterable[int]) -> np.ndarray:
    """Read the mean EEG of pictures, (n_images, n_channels, n_times) float32 in the stored unit."""
    return trial_means(reader, "eeg", list_trials(reader.eeg_index, images))


def target_means(reader: LMDBReader, images: Iterable[int]) -> np.ndarray:
    """Read the mean fMRI embedding of pictures over their repetitions, (n_images, n_features) float32."""
    return trial_means(reader, "fmri", list_trials(reader.fmri_index, images))


def list_trials(index: pd.DataFrame, images: Iterable[int]) -> list[np.ndarray]:
    """List the numbers of the trials, or of the repetitions, of every picture.

    Parameters
    ----------
    index : ``eeg_index``, ``fmri_index`` or ``predicted_index`` of the reader.
    images : ids of pictures, each of which has a trial.
    """
    trials = {image: rows.to_numpy() for image, rows in index.groupby("image")["trial"]}
    return [trials[image] for image in images]


def trial_means(reader: LMDBReader, name: str, trials: Sequence[np.ndarray]) -> np.ndarray:
    """Read the mean over each of several groups of trials, (n_groups, ...) float32.

    Trials of EEG count by their weight, where they have one.

    Parameters
    ----------
    name : ``eeg``, ``fmri`` or ``predicted``.
    trials : numbers of the trials of each group.
    """
    weights = trial_weights(reader, name)
    means = np.empty((len(trials), *reader.shape(name)), np.float32)
    for mean, numbers in zip(means, trials, strict=True):
        mean[...] = np.average(reader.read(name, numbers), axis=0, weights=weights[numbers])
    return means


def trial_weights(reader: LMDBReader, name: str) -> np.ndarray:
    """Return how much each trial counts in a mean, (n_trials,) float32, 1 where the data set does not say."""
    index = {"eeg": reader.eeg_index, "fmri": reader.fmri_index, "predicted": reader.predicted_index}[name]
    return index["weight"].to_numpy(np.float32) if "weight" in index else np.ones(len(index), np.float32)
