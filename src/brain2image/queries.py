"""The test pairs as queries: their EEG as means of 1, 2, 4, … and of all trials, given to a predictor."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.lmdb_store import LMDBReader
from brain2image.predictions import Predictions, write_predictions

MAX_DRAWS = 4  # subsets of a picture's trials for each number of trials; bounds the size of the file
SEED = 0  # of the subsets; one for all predictors, so that they answer the same queries


class Pairs(NamedTuple):
    """Picture pairs with what was measured."""

    eeg: np.ndarray  # (n_pairs, n_channels, n_times) float32, mean over trials, in the stored unit
    targets: np.ndarray  # (n_pairs, n_features) float32, mean over the fMRI repetitions
    table: pd.DataFrame  # things_image, nsd_image and the other columns of the pairs table


Predictor = Callable[[Pairs], np.ndarray]  # gives (n_pairs, n_features) float32


def write_test_predictions(
    out: str | Path, predict: Predictor, lmdb: str | Path, *, target_mean: np.ndarray
) -> None:
    """Predict the test pairs from every number of averaged trials, and measure whether targets leak in.

    Parameters
    ----------
    out : ``predictions.npz``.
    predict : the predictor; it is handed the targets too, so that a use of them is found: once more they come
        shuffled among the pairs, and the largest change of a prediction is written as target_dependence.
    lmdb : the data set.
    target_mean : (n_features,) float32, mean target of the training pairs.
    """
    reader = LMDBReader(lmdb)
    table = reader.pairs_of("test").reset_index(drop=True)
    trials = _trials(reader.eeg_index, table)
    fmri = _trials(reader.fmri_index, table)
    repetitions = [np.stack([reader.fmri(trial) for trial in numbers]) for numbers in fmri]
    targets = _mean_rows(repetitions)
    pairs = Pairs(_means(reader, trials), targets, table)
    predictions = predict(pairs)
    content = Predictions(
        predictions=predictions,
        targets=targets,
        things_image=table["things_image"].to_numpy(),
        nsd_image=table["nsd_image"].to_numpy(),
        target_mean=target_mean,
        repetitions=np.concatenate(repetitions),
        repetition_pair=np.repeat(np.arange(len(table)), [len(rows) for rows in repetitions]),
        target_dependence=np.abs(predict(shuffle_targets(pairs)) - predictions).max().astype(np.float64),
        by_count={
            count: np.stack([predict(pairs._replace(eeg=_means(reader, subset))) for subset in subsets])
            for count, subsets in draw_subsets(trials).items()
        },
    )
    write_predictions(out, content)


def draw_subsets(trials: list[np.ndarray]) -> dict[int, list[list[np.ndarray]]]:
    """Random disjoint subsets of 1, 2, 4, … trials of each picture.

    A number of trials is used when every picture has as many and some picture has more.

    Parameters
    ----------
    trials : the trial numbers of each pair.

    Returns
    -------
    For each number of trials up to four draws, each a list of trial numbers for every pair.
    """
    rng = np.random.default_rng(SEED)
    shuffled = [rng.permutation(numbers) for numbers in trials]
    n_trials = [len(numbers) for numbers in trials]
    counts = [2**power for power in range(min(n_trials).bit_length()) if 2**power < max(n_trials)]
    return {
        count: [
            [numbers[draw * count : (draw + 1) * count] for numbers in shuffled]
            for draw in range(min(MAX_DRAWS, min(n_trials) // count))
        ]
        for count in counts
    }


def shuffle_targets(pairs: Pairs) -> Pairs:
    """The same EEG and THINGS pictures, each with the targets and their metadata of another pair."""
    order = np.roll(np.arange(len(pairs.targets)), 1)
    answers = pairs.table.columns.difference(["pair", "things_image"])
    table = pairs.table.assign(**{name: pairs.table[name].to_numpy()[order] for name in answers})
    return pairs._replace(targets=pairs.targets[order], table=table)


def read_eeg_halves(lmdb: str | Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Mean EEG of each test picture over a random half of its trials, and over the other half.

    Returns
    -------
    halves : (2, n_images, n_channels * n_times) float32; a picture with a single trial is left out.
    pairs : the rows of the pairs table of all test pairs.
    """
    reader = LMDBReader(lmdb)
    table = reader.pairs_of("test")
    rng = np.random.default_rng(SEED)
    shuffled = [rng.permutation(numbers) for numbers in _trials(reader.eeg_index, table) if len(numbers) > 1]
    halves = zip(*((numbers[::2], numbers[1::2]) for numbers in shuffled), strict=True)
    return np.stack([_means(reader, list(half)).reshape(len(shuffled), -1) for half in halves]), table


def read_repetitions(lmdb: str | Path) -> np.ndarray:
    """The fMRI repetitions of the test pairs, as many as every pair has.

    Returns
    -------
    (n_repetitions, n_pairs, n_features) float32
    """
    reader = LMDBReader(lmdb)
    trials = _trials(reader.fmri_index, reader.pairs_of("test"))
    n_repetitions = min(len(numbers) for numbers in trials)
    return np.stack([[reader.fmri(numbers[i]) for numbers in trials] for i in range(n_repetitions)])


def training_targets(lmdb: str | Path) -> np.ndarray:
    """Mean fMRI embedding of every training pair, (n_pairs, n_features) float32, without reading its EEG."""
    reader = LMDBReader(lmdb)
    trials = _trials(reader.fmri_index, reader.pairs_of("train"))
    return _mean_rows([np.stack([reader.fmri(trial) for trial in numbers]) for numbers in trials])


def _mean_rows(repetitions: list[np.ndarray]) -> np.ndarray:
    return np.stack([rows.mean(axis=0, dtype=np.float32) for rows in repetitions])


def _trials(index: pd.DataFrame, table: pd.DataFrame) -> list[np.ndarray]:
    groups = {pair: rows.to_numpy() for pair, rows in index.groupby("pair")["trial"]}
    return [groups[pair] for pair in table["pair"]]


def _means(reader: LMDBReader, trials: list[np.ndarray]) -> np.ndarray:
    return np.stack(
        [np.mean([reader.eeg(trial) for trial in numbers], axis=0, dtype=np.float32) for numbers in trials]
    )
