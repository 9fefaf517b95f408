"""What baselines have in common: what they may learn from, their inputs, folds and ridge regression."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from scipy.spatial.distance import pdist
from sklearn.kernel_approximation import Nystroem

from brain2image.models.linear_model import LinearModel, Standardised
from brain2image.models.regression import ALPHAS, N_FOLDS, fold_by_group
from brain2image.models.windows import Windows
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.items import Pictures, Targets, encode_items, item_targets, list_items
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Pairs, Predictor, person_responses

N_SAMPLE = 500  # items from which a scale of the EEG is fitted
N_LANDMARKS = 2000  # pictures whose kernel is exact; beyond, it is approximated on so many of them
# Targets and penalties at once: more only take more memory.
BATCHES = {"n_alphas_batch": 1, "n_targets_batch": 512, "n_targets_batch_refit": 512}


class Scanned(NamedTuple):
    """Pictures of the fMRI that may be learned from."""

    features: np.ndarray  # (n_images, n_clip) float32, projected CLIP embeddings
    targets: np.ndarray  # (n_images, n_features) float32, mean measured embeddings


class Training(NamedTuple):
    """What a baseline may learn from: what the network does, and the val pairs that choose its epoch.

    Of several people's EEG each person's mean response is subtracted, as the network does.
    """

    reader: LMDBReader
    items: pd.DataFrame  # of `items.list_items`, and their split
    targets: np.ndarray  # (n_items, n_features) float32
    clip: Embeddings  # CLIP embeddings of the EEG's pictures
    responses: np.ndarray | None = None  # (n_people, n_channels, n_times), of several people
    window: float = 0.0  # s, over which linear models average the EEG
    temperature: float = 0.07  # of InfoNCE, for those that are trained by it
    cbramod: str | Path | None = None  # CBraMod's published weights, where the baseline takes them
    read_scanned: Callable[[], Scanned] | None = (
        None  # for those that learn from pictures that nobody's EEG saw
    )

    @property
    def concepts(self) -> np.ndarray:
        """Return the concept of each item, (n_items,); no two inner folds share one."""
        return self.items["concept"].to_numpy()

    @property
    def meta(self) -> Mapping[str, Any]:
        """Describe the training set: channels, unit and rate of the EEG."""
        return self.reader.meta

    def encode(self, encode: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Encode the mean EEG of every item, see `items.encode_items`."""
        return encode_items(self.reader, self.items, encode, centres=self.responses)

    def sample(self) -> np.ndarray:
        """Read the mean EEG of evenly spread items, (n, n_channels, n_times) float32, enough for a scale."""
        items = self.items.iloc[:: -(-len(self.items) // N_SAMPLE)]
        return encode_items(self.reader, items, lambda eeg: eeg, centres=self.responses)


def read_training(
    lmdbs: str | Path | Sequence[str | Path],
    clip: Embeddings,
    *,
    targets: Targets,
    pictures: Pictures,
    **options: Any,
) -> Training:
    """Read what a run with these options learns from, and the val pairs.

    Parameters
    ----------
    lmdbs : the training set, or those of several people.
    clip : embeddings of the EEG's pictures.
    targets, pictures : see `items.list_items`.
    options : the other fields of `Training`.
    """
    reader = open_training_set(lmdbs)
    parts = [
        list_items(reader, split, targets=targets, pictures=pictures).assign(split=split)
        for split in ("train", "val")
    ]
    items = pd.concat(parts, ignore_index=True)
    responses = person_responses(reader, items) if len(reader.people) > 1 else None
    return Training(reader, items, item_targets(reader, items), clip, responses, **options)


def eeg_encoder(training: Training) -> tuple[Standardised, np.ndarray]:
    """Encode the EEG as one row a picture, each channel and window z-scored by the training pictures.

    Returns
    -------
    The encoder of any EEG, and (n_items, n_inputs) float32, what it makes of the items.
    """
    meta = training.meta
    windows = Windows(meta["eeg_shape"][1], meta["sfreq"], training.window)
    return standardise_columns(windows.average, training.encode(windows.average), windows)


def standardise_columns(
    encode: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    windows: Windows | None = None,
) -> tuple[Standardised, np.ndarray]:
    """Z-score every column of what an encoder makes of EEG by the training pictures.

    Parameters
    ----------
    encode : from (n, n_channels, n_times) to (n, n_inputs), float32.
    rows : (n_items, n_inputs) float32, what it makes of the items.
    windows : whose means the encoder takes; None where it is not linear.
    """
    mean, scale = column_scales(rows)
    return Standardised(encode, mean, scale, windows), (rows - mean) / scale


def column_scales(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of each column, such that z-scored rows have a kernel of mean diagonal 1."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    scale = np.sqrt(rows.shape[1]) * np.where(deviation > 0, deviation, 1)
    return mean, scale.astype(np.float32)


def fit_linear(encoder: Standardised, rows: np.ndarray, training: Training) -> LinearModel:
    """Fit ridge regression of the targets on EEG that an encoder has made linear inputs of."""
    return encoder.model(*fit_ridge_weights(rows, training.targets, training.concepts))


def fit_kernel(encode: Callable[[Pairs], np.ndarray], rows: np.ndarray, training: Training) -> Predictor:
    """Fit ridge regression with an RBF kernel, ``exp(-gamma d^2)``, gamma the inverse median of d^2.

    Of more pictures than `N_LANDMARKS` the kernel is approximated (Nyström; Williams & Seeger, NeurIPS 2001),
    as the exact solution takes time with the cube of their number.
    """
    gamma = 1 / np.median(pdist(rows[:: -(-len(rows) // N_LANDMARKS)], "sqeuclidean"))
    mean = training.targets.mean(axis=0)
    if len(rows) <= N_LANDMARKS:
        dual = _fit_dual(
            rows, training.targets - mean, training.concepts, kernel="rbf", kernel_params={"gamma": gamma}
        )
        return lambda pairs: (dual.predict(encode(pairs).astype(np.float64)) + mean).astype(np.float32)
    landmarks = Nystroem(gamma=gamma, n_components=N_LANDMARKS, random_state=0).fit(rows)
    weight, offset = fit_ridge_weights(landmarks.transform(rows), training.targets, training.concepts)
    return lambda pairs: (landmarks.transform(encode(pairs)) @ weight + offset).astype(np.float32)


def fit_ridge_weights(
    x: np.ndarray, targets: np.ndarray, concepts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (n_inputs, n_features) and offset of the ridge regression on rows of mean zero.

    The penalty of each target is cross-validated over concepts. In the dual where there are more inputs than
    rows, else in the primal.

    Source: himalaya's KernelRidgeCV and RidgeCV (Dupré la Tour et al., NeuroImage 2022).
    """
    mean = targets.mean(axis=0)
    if len(x) <= x.shape[1]:
        return _fit_dual(x, targets - mean, concepts, kernel="linear").get_primal_coef(), mean
    centre = x.mean(axis=0)
    primal = RidgeCV(alphas=ALPHAS, cv=inner_folds(concepts), solver_params={**BATCHES, "warn": False})
    weight = primal.fit(np.float32(x - centre), np.float32(targets - mean)).coef_
    return weight, mean - centre @ weight


def _fit_dual(x: np.ndarray, targets: np.ndarray, concepts: np.ndarray, **kernel: object) -> KernelRidgeCV:
    """Fit ridge regression in its dual form, in float64: where the penalty is weak, the weights cancel."""
    model = KernelRidgeCV(alphas=ALPHAS, cv=inner_folds(concepts), warn=False, **kernel)
    return model.fit(x.astype(np.float64), targets.astype(np.float64))


def inner_folds(concepts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make five folds of the items, fewer where there are fewer concepts; no two share a concept.

    Raises
    ------
    InputError
        When all items show the same concept.
    """
    folds = fold_by_group(concepts, N_FOLDS)
    return [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(folds.max() + 1)]
