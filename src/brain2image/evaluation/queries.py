"""The test pairs as queries: their EEG as means of 1, 2, 4, … and of all trials, given to a predictor."""

from pathlib import Path

import numpy as np
import pandas as pd
from einops import rearrange

from brain2image.evaluation.predictions import Predictions, write_predictions
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Pairs, Predictor, list_trials, trial_means

MAX_DRAWS = 4  # subsets of a picture's trials for each number of trials; bounds the size of the file
SEED = 0  # of the subsets; one for all predictors, so that they answer the same queries


def write_test_predictions(
    out: str | Path, predict: Predictor, source: str | Path | LMDBReader, *, target_mean: np.ndarray
) -> None:
    """Predict the test pairs from every number of averaged trials, and measure whether targets leak in.

    Parameters
    ----------
    out : ``predictions.npz``.
    predict : the predictor; it is handed the targets too, so that a use of them is found: once more they come
        shuffled among the pairs, and the largest change of a prediction is written as target_dependence.
    source : the training set of the person who is tested, its file or a reader.
    target_mean : (n_features,) float32, mean target of the training pairs.
    """
    reader = source if isinstance(source, LMDBReader) else LMDBReader(source)
    table = reader.pairs_of("test").reset_index(drop=True)
    trials = list_trials(reader.eeg_index, table["eeg_image"])
    fmri = list_trials(reader.fmri_index, table["fmri_image"])
    repetitions = [reader.read("fmri", numbers) for numbers in fmri]
    targets = np.stack([rows.mean(axis=0) for rows in repetitions])
    pairs = Pairs(trial_means(reader, "eeg", trials), targets, table)
    predictions = predict(pairs)
    content = Predictions(
        predictions=predictions,
        targets=targets,
        eeg_image=table["eeg_image"].to_numpy(),
        fmri_image=table["fmri_image"].to_numpy(),
        concept=table["concept"].to_numpy(str),  # of objects NumPy would write pickles
        target_mean=target_mean,
        repetitions=np.concatenate(repetitions),
        repetition_pair=np.repeat(np.arange(len(table)), [len(rows) for rows in repetitions]),
        target_dependence=np.abs(predict(shuffle_targets(pairs)) - predictions).max().astype(np.float64),
        by_count={
            count: np.stack(
                [predict(pairs._replace(eeg=trial_means(reader, "eeg", subset))) for subset in subsets]
            )
            for count, subsets in draw_subsets(trials).items()
        },
    )
    write_predictions(out, content)


def draw_subsets(trials: list[np.ndarray]) -> dict[int, list[list[np.ndarray]]]:
    """Draw random disjoint subsets of 1, 2, 4, … trials of each picture.

    A number of trials is used when every picture has as many and some picture has more.

    Parameters
    ----------
    trials : the trial numbers of each pair.

    Returns
    -------
    For each number of trials up to four draws, each a list of trial numbers for every pair.
    """
    rng = np.random.default_rng(SEED)
    # One order a picture, cut at different lengths: the draws of one count share no trial.
    shuffled = [rng.permutation(numbers) for numbers in trials]
    n_trials = [len(numbers) for numbers in trials]
    # Below the most trials, as the mean over all is predicted anyway; up to the fewest, as every query of a
    # count must have as many.
    counts = [2**power for power in range(min(n_trials).bit_length()) if 2**power < max(n_trials)]
    return {
        count: [
            [numbers[draw * count : (draw + 1) * count] for numbers in shuffled]
            for draw in range(min(MAX_DRAWS, min(n_trials) // count))
        ]
        for count in counts
    }


def shuffle_targets(pairs: Pairs) -> Pairs:
    """Give the same EEG and pictures, each with the targets and their metadata of another pair."""
    # by one place, as a random order may leave a pair its own target
    order = np.roll(np.arange(len(pairs.targets)), 1)
    answers = pairs.table.columns.difference(["pair", "eeg_image", "concept"])
    table = pairs.table.assign(**{name: pairs.table[name].to_numpy()[order] for name in answers})
    return pairs._replace(targets=pairs.targets[order], table=table)


def read_eeg_halves(lmdb: str | Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Average the EEG of each test picture over a random half of its trials, and over the other half.

    Returns
    -------
    halves : (2, n_images, n_channels * n_times) float32; a picture with a single trial is left out.
    pairs : the rows of the pairs table of all test pairs.
    """
    reader = LMDBReader(lmdb)
    table = reader.pairs_of("test")
    rng = np.random.default_rng(SEED)
    trials = list_trials(reader.eeg_index, table["eeg_image"])
    shuffled = [rng.permutation(numbers) for numbers in trials if len(numbers) > 1]
    # every second number of a random order: halves that differ in size by one trial at most
    halves = zip(*((numbers[::2], numbers[1::2]) for numbers in shuffled), strict=True)
    means = np.stack([trial_means(reader, "eeg", half) for half in halves])
    return rearrange(means, "halves pairs channels times -> halves pairs (channels times)"), table


def read_repetitions(lmdb: str | Path) -> np.ndarray:
    """Read the fMRI repetitions of the test pairs, as many as every pair has.

    Returns
    -------
    (n_repetitions, n_pairs, n_features) float32; no repetition where there is no fMRI.
    """
    reader = LMDBReader(lmdb)
    if reader.fmri_index.empty:
        return np.empty((0, len(reader.pairs_of("test")), 0), np.float32)
    trials = list_trials(reader.fmri_index, reader.pairs_of("test")["fmri_image"])
    # a session that is missing takes repetitions from some pictures only
    n_repetitions = min(len(numbers) for numbers in trials)
    return np.stack([[reader.fmri(numbers[i]) for numbers in trials] for i in range(n_repetitions)])
