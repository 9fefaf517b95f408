"""Maps of voxels: how far they go with the features of the embedding that are predicted from EEG."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.hdf5 import open_trials, read_rows
from brain2image.quality.fmri_quality import BLOCK_COLUMNS
from brain2image.quality.voxel_noise import check_repetitions

logger = logging.getLogger(__name__)

EVERY = "all features"  # the map that counts them alike; no run has a blank in its name


class EmbeddingMaps(NamedTuple):
    """How far each voxel goes with the features that are predicted from EEG.

    maps : (n_voxels,) float64, of `EVERY` and of each run.
    predicted : by run, the correlation of a feature's predictions with the measured ones, the mean of all.
    """

    maps: dict[str, np.ndarray]
    predicted: dict[str, float]


def map_embedding(
    betas: str | os.PathLike, projection: str | os.PathLike, predictions: Mapping[str, str | Path]
) -> EmbeddingMaps:
    """Correlate each voxel with the features of the embedding, and weigh these by how well EEG predicts them.

    The map is ``sqrt(max(0, sum_k w_k r_vk² - 1 / (n - 1)))``. r_vk is the correlation of voxel v with
    feature k over n pictures, the voxel from every other trial of a picture and the feature from those
    between, as a feature is made of voxels and would share their noise; 1 / (n - 1) is what r² is by chance.
    w_k is proportional to the square of the correlation of predicted and measured feature over the test
    pairs, 0 where that is negative, with a sum of 1. r_vk is the activation pattern of the feature in units
    of standard deviations: a decoder's weights themselves say nothing of where the signal is (Haufe et al.,
    2014, NeuroImage 87:96-110, eq. 6-8, for one feature at a time).

    Parameters
    ----------
    betas, projection : HDF5 of one subject, see `betas.repack_fmri` and `projecting.project_fmri`.
    predictions : of the test pairs, by run.
    """
    predicted = {run: correlate_features(path) for run, path in predictions.items()}
    with (
        open_trials(betas, "betas", ("n_trials", "n_voxels")) as (voxels, trials),
        open_trials(projection, "embedding", ("n_trials", "n_features")) as (embedding, projected),
    ):
        if not np.array_equal(trials["image"], projected["image"]):
            raise InputError(
                f"{projection}: expected the trials of {betas}, got others; delete both and run again"
            )
        check_repetitions(trials, betas)
        alike = np.full(embedding.shape[1], 1 / embedding.shape[1])
        weights = np.stack([alike, *map(_weigh, predicted.values())])  # (n_maps, n_features)
        even, odd = _halves(trials)
        features = np.concatenate(list(_standard_means(embedding, odd)), axis=1)  # (n_images, n_features)
        shares = [weights @ np.square(features.T @ block) for block in _standard_means(voxels, even)]
    maps = np.sqrt(np.maximum(np.concatenate(shares, axis=1) - 1 / (len(features) - 1), 0))
    for run, correlations in predicted.items():
        if not (correlations > 0).any():
            logger.warning("%s predicts no feature of the test pairs: its map is 0 everywhere", run)
    names = (EVERY, *predicted)
    return EmbeddingMaps(
        dict(zip(names, maps, strict=True)),
        {run: float(correlations.mean()) for run, correlations in predicted.items()},
    )


def correlate_features(predictions: str | Path) -> np.ndarray:
    """Correlate each predicted feature with the measured one over the test pairs, (n_features,) float64."""
    content = read_predictions(predictions)
    predicted, measured = (_standardise(array) for array in (content.predictions, content.targets))
    return (predicted * measured).sum(axis=0)


def _weigh(correlations: np.ndarray) -> np.ndarray:
    """Weigh features by the squares of these correlations, with a sum of 1; negative ones count nothing."""
    squares = np.square(np.maximum(correlations, 0))
    return squares / max(squares.sum(), np.finfo(float).tiny)


class _Half(NamedTuple):
    """Some trials of each picture, picture after picture."""

    rows: np.ndarray  # (n_chosen,) int64, rows of the trials
    starts: np.ndarray  # (n_images,) int64, where each picture begins in ``rows``


def _halves(trials: pd.DataFrame) -> tuple[_Half, _Half]:
    """Divide the trials of pictures that were shown twice into every other one and those between."""
    images = trials["image"].to_numpy()
    repetition = trials["repetition"].to_numpy()
    is_repeated = np.isin(images, images[repetition == 1])
    halves = []
    for remainder in (0, 1):
        chosen = np.flatnonzero(is_repeated & (repetition % 2 == remainder))
        rows = chosen[np.argsort(images[chosen], kind="stable")]
        halves.append(_Half(rows, np.unique(images[rows], return_index=True)[1]))
    return halves[0], halves[1]


def _standard_means(values: h5py.Dataset, half: _Half) -> Iterator[np.ndarray]:
    """Yield the means of the pictures, standardised, (n_images, n_columns) float32, block by block."""
    counts = np.diff(np.append(half.starts, len(half.rows)))
    for left in range(0, values.shape[1], BLOCK_COLUMNS):
        block = read_rows(values, np.s_[:, left : left + BLOCK_COLUMNS])
        yield _standardise(np.add.reduceat(block[half.rows], half.starts, axis=0) / counts[:, None])


def _standardise(columns: np.ndarray) -> np.ndarray:
    """Scale centred columns to a norm of 1, (n_rows, n_columns) float32; one that does not vary is 0."""
    centred = columns - columns.mean(axis=0, dtype=np.float64)
    norms = np.linalg.norm(centred, axis=0)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0).astype(np.float32)
