"""Picture pairs with what was measured of them: means over EEG trials and over fMRI repetitions."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.training_set.lmdb_store import LMDBReader

RESPONSE_TRIALS = 4000  # EEG trials of the mean response; the noise of 10 uV leaves 0.2 uV in their mean
READ_TRIALS = 256  # read at once


class Pairs(NamedTuple):
    """Picture pairs with what was measured."""

    eeg: np.ndarray  # (n_pairs, n_channels, n_times) float32, mean over trials, in the stored unit
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    table: pd.DataFrame  # eeg_image, fmri_image and the other columns of the pairs table


Predictor = Callable[[Pairs], np.ndarray]  # gives (n_pairs, n_features) float32


def read_pairs(source: str | Path | LMDBReader, split: str) -> Pairs:
    """Read the mean EEG and the mean fMRI embedding of every pair of a split.

    Parameters
    ----------
    source : the LMDB file, or a reader, of several people too.
    split : ``train``, ``val`` or ``test``.
    """
    reader = _reader(source)
    table = reader.pairs_of(split).reset_index(drop=True)
    items = table.rename(columns={"eeg_image": "image"})
    eeg = trial_means(reader, "eeg", list_eeg_trials(reader, items))
    return Pairs(eeg, target_means(reader, table["fmri_image"]), table)


def read_training_targets(source: str | Path | LMDBReader) -> np.ndarray:
    """Read the mean fMRI embedding of every training pair, (n_pairs, n_features) float32, and no EEG.

    A pair that several people have is there once.
    """
    reader = _reader(source)
    return target_means(reader, reader.pairs_of("train")["fmri_image"].unique())


def target_means(reader: LMDBReader, images: Iterable[int]) -> np.ndarray:
    """Read the mean fMRI embedding of pictures over their repetitions, (n_images, n_features) float32."""
    return trial_means(reader, "fmri", list_trials(reader.fmri_index, images))


def _reader(source: str | Path | LMDBReader) -> LMDBReader:
    return source if isinstance(source, LMDBReader) else LMDBReader(source)


def list_eeg_trials(reader: LMDBReader, items: pd.DataFrame) -> list[np.ndarray]:
    """List the numbers of the trials in which each item's person saw its picture.

    Parameters
    ----------
    items : person and image, each of which has a trial.
    """
    trials = {key: rows.to_numpy() for key, rows in reader.eeg_index.groupby(["person", "image"])["trial"]}
    return [trials[key] for key in zip(items["person"], items["image"], strict=True)]


def list_trials(index: pd.DataFrame, images: Iterable[int]) -> list[np.ndarray]:
    """List the numbers of the trials, or of the repetitions, of every picture.

    Parameters
    ----------
    index : of the reader, ``fmri_index`` or ``predicted_index``; ``eeg_index`` where it is one person's.
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


def mean_response(reader: LMDBReader, items: pd.DataFrame) -> np.ndarray:
    """Average evenly spread trials of items, (n_channels, n_times) float64 in the EEG's unit.

    Parameters
    ----------
    items : person and image; what they show is without effect.
    """
    trials = spread_trials(reader, items, RESPONSE_TRIALS)
    total = np.zeros(reader.shape("eeg"))
    for start in range(0, len(trials), READ_TRIALS):
        total += reader.read("eeg", trials[start : start + READ_TRIALS]).sum(axis=0, dtype=np.float64)
    return total / len(trials)


def person_responses(reader: LMDBReader, items: pd.DataFrame) -> np.ndarray:
    """Average evenly spread trials of each person's items, (n_people, n_channels, n_times) float32."""
    numbers = range(len(reader.people))
    means = [mean_response(reader, items[items["person"] == number]) for number in numbers]
    return np.stack(means).astype(np.float32)


def spread_trials(reader: LMDBReader, items: pd.DataFrame, n_trials: int) -> np.ndarray:
    """Return the numbers of about so many trials of items, evenly spread over all of theirs."""
    shown = reader.eeg_index.merge(items[["person", "image"]].drop_duplicates(), on=["person", "image"])
    trials = np.sort(shown["trial"].to_numpy())
    return trials[:: math.ceil(len(trials) / n_trials)]


def trial_weights(reader: LMDBReader, name: str) -> np.ndarray:
    """Return how much each trial counts in a mean, (n_trials,) float32, 1 where the data set does not say."""
    index = {"eeg": reader.eeg_index, "fmri": reader.fmri_index, "predicted": reader.predicted_index}[name]
    return index["weight"].to_numpy(np.float32) if "weight" in index else np.ones(len(index), np.float32)
