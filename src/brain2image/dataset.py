"""The LMDB as training examples and as means of every pair."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from brain2image.errors import InputError
from brain2image.lmdb_store import LMDBReader


class AlignmentDataset(Dataset):
    """EEG trials with the fMRI of their picture's partner, one example per EEG trial.

    Draws come from torch's global generator: reproducible after torch.manual_seed, other ones every epoch.

    Parameters
    ----------
    path : the LMDB file.
    split : ``train``, ``val`` or ``test``.
    average_trials : the example is the mean of a random number, from one to this many, of the picture's
        trials, its own one included.
    fmri : target is the ``mean`` over the picture's fMRI repetitions, or a random one (``sample``).

    Each item is a dict: eeg (n_channels, 1, n_times) float32 in its stored unit, target (n_features,) float32
    in embedding units, pair and cluster (int).
    """

    def __init__(
        self,
        path: str | Path,
        split: str,
        *,
        average_trials: int = 1,
        fmri: Literal["mean", "sample"] = "mean",
    ):
        if average_trials < 1:
            raise InputError(f"average_trials: expected 1 or more, got {average_trials}")
        if fmri not in TARGETS:
            raise InputError(f"fmri: expected one of {', '.join(TARGETS)}, got {fmri!r}")
        self.reader = LMDBReader(path)
        self.average_trials, self._target = average_trials, TARGETS[fmri]
        pairs = self.reader.pairs_of(split)
        self._clusters = dict(zip(pairs["pair"], pairs["cluster"], strict=True))
        self._examples = self.reader.eeg_index[self.reader.eeg_index["pair"].isin(pairs["pair"])][
            ["trial", "pair"]
        ].to_numpy()
        self._siblings = _trials_of(self.reader.eeg_index)
        self._fmri = _fmri_of(self.reader, pairs["pair"])

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, example: int) -> dict[str, Any]:
        trial, pair = (int(number) for number in self._examples[example])
        return {
            "eeg": torch.from_numpy(self._eeg(trial, pair)).unsqueeze(1),
            "target": torch.from_numpy(self._target(self._fmri[pair])),
            "pair": pair,
            "cluster": int(self._clusters[pair]),
        }

    def _eeg(self, trial: int, pair: int) -> np.ndarray:
        others = self._siblings[pair][self._siblings[pair] != trial]
        n_others = min(int(torch.randint(self.average_trials, ())), len(others))
        drawn = others[torch.randperm(len(others))[:n_others].numpy()]
        return _mean([self.reader.eeg(number) for number in (trial, *drawn)])


def pair_means(path: str | Path, split: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Mean EEG and mean fMRI embedding of every pair of a split.

    Returns
    -------
    eeg : (n_pairs, n_channels, n_times) float32, mean over the picture's trials, in the stored unit.
    targets : (n_pairs, n_features) float32, mean over the repetitions, in embedding units.
    pairs : the rows of the pairs table in the same order.
    """
    reader = LMDBReader(path)
    pairs = reader.pairs_of(split).reset_index(drop=True)
    trials, fmri = _trials_of(reader.eeg_index), _fmri_of(reader, pairs["pair"])
    eeg = np.stack([_mean([reader.eeg(trial) for trial in trials[pair]]) for pair in pairs["pair"]])
    return eeg, np.stack([_mean(fmri[pair]) for pair in pairs["pair"]]), pairs


def _trials_of(index: pd.DataFrame) -> dict[int, np.ndarray]:
    return {int(pair): rows.to_numpy() for pair, rows in index.groupby("pair")["trial"]}


def _fmri_of(reader: LMDBReader, pairs: pd.Series) -> dict[int, np.ndarray]:
    trials = _trials_of(reader.fmri_index)
    return {int(pair): np.stack([reader.fmri(trial) for trial in trials[pair]]) for pair in pairs}


def _mean(arrays: list[np.ndarray] | np.ndarray) -> np.ndarray:
    return np.mean(arrays, axis=0, dtype=np.float32)


def _draw(repetitions: np.ndarray) -> np.ndarray:
    return repetitions[int(torch.randint(len(repetitions), ()))]


TARGETS = {"mean": _mean, "sample": _draw}
