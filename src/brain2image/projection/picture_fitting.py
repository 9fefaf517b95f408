"""The fit of the picture encoder: on which pictures, chosen how, and how well it predicts unseen ones."""

import logging
import os
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import open_trials, read_attributes, read_rows
from brain2image.pairs.clip_embeddings import PROJECTED, Embeddings, layer_name
from brain2image.pairs.duplicates import NEAR_DUPLICATE, find_near_duplicates
from brain2image.projection.picture_encoder import PictureEncoder, fit_encoder

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 1024  # read at once
SOURCE = ("checkpoint", "sha256")  # of MindEye2, as `projecting.project_fmri` writes them
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = np.linspace(
    -10, 100, 45
)  # % of variance, of the histogram over features; what is worse is in the first


class Unseen(NamedTuple):
    """What an encoder says of pictures that it was not fitted on, all folds together.

    Attributes
    ----------
    errors : (n_features,) float64, sum of the squared errors.
    spread : (n_features,) float64, the same of the mean of the pictures that were fitted on.
    ranks : of each fold (n_images,) int64: the place of a picture's measured embedding among those of the
        fold by the cosine with the predicted one, 1 the best; ties count against it.
    """

    errors: np.ndarray
    spread: np.ndarray
    ranks: list[np.ndarray]

    @property
    def r2(self) -> float:
        """Return the share of the variance of all features that is predicted."""
        return float(1 - self.errors.sum() / self.spread.sum())

    def r2_of_features(self) -> np.ndarray:
        """Return (n_features,) float64; 0 of a feature that does not vary."""
        unexplained = np.divide(
            self.errors, self.spread, out=np.ones_like(self.errors), where=self.spread > 0
        )
        return 1 - unexplained


def fit_picture_encoder(
    eeg: Embeddings,
    fmri: Embeddings,
    pairs: pd.DataFrame,
    *,
    projection: str | os.PathLike,
    elsewhere: np.ndarray | None = None,
    layers: Sequence[str | int],
    methods: Sequence[str],
    n_folds: int,
    seed: int,
) -> tuple[PictureEncoder, dict[str, Any]]:
    """Fit the encoder that predicts unseen pictures best, on all pictures that no test may know.

    Left out are the pictures of validation and test pairs, and near duplicates of either picture of such a
    pair. Of methods x layers, the one with the highest R2 of pictures of other folds is fitted on all.

    Parameters
    ----------
    eeg, fmri : features of the pictures of both sets.
    pairs : columns eeg_image, fmri_image, split.
    projection : measured embeddings, see `projecting.project_fmri`; those of a picture are averaged.
    elsewhere : (n_images, n_features) float32, pictures on which other data sets are tested.
    layers : ``projected`` and numbers of layers, as in the config.
    methods : names in `picture_methods.METHODS`.
    n_folds : folds of pictures.
    seed : seed of the folds.

    Returns
    -------
    encoder, and its quality for JSON: its facts, ``images`` (ids of those it was fitted on), ``candidates``
    (method, layer and R2 of each), ``excluded`` (counts), and of pictures of other folds ``r2_quantiles`` and
    ``r2_histogram`` over features (share of variance; counts in ``bins``, %) and ``ranks`` (see `Unseen`).

    Raises
    ------
    InputError
        When there are fewer than two pictures a fold, a picture has no features, or the sets' models differ.
    """
    if eeg.clip != fmri.clip:
        raise InputError(
            f"{eeg.source} and {fmri.source}: expected features of one model, got {eeg.clip} and "
            f"{fmri.clip}; delete them and run again"
        )
    image, targets, source = read_measured(projection)
    is_partner, is_duplicate = find_excluded(image, pairs, eeg, fmri, elsewhere=elsewhere)
    keep = ~(is_partner | is_duplicate)
    if keep.sum() < 2 * n_folds:
        raise InputError(
            f"{projection}: expected at least {2 * n_folds} pictures (twice picture_encoder.n_folds) to fit "
            f"the picture encoder on, got {keep.sum()} of {len(image)}: the others are, or nearly equal, "
            "pictures of validation and test pairs; lower split.val and split.test"
        )
    folds = KFold(n_folds, shuffle=True, random_state=seed)
    encoder, candidates = _fit_best(fmri, image[keep], targets[keep], folds, layers=layers, methods=methods)
    unseen = candidates[encoder.method, encoder.layer]
    facts: dict[str, Any] = {
        "method": encoder.method,
        "layer": encoder.layer,
        "clip": encoder.clip,
        **source,
        "n_pictures": int(keep.sum()),
        "n_excluded": int((~keep).sum()),
        "r2": round(unseen.r2, 6),
    }
    n_partners = int(is_partner.sum())
    return encoder._replace(facts=facts), {
        **facts,
        "images": image[keep].tolist(),
        "excluded": {"partners": n_partners, "near_duplicates": facts["n_excluded"] - n_partners},
        "candidates": [
            {"method": method, "layer": layer, "r2": round(one.r2, 6)}
            for (method, layer), one in candidates.items()
        ],
        **describe_unseen(unseen),
    }


def _fit_best(
    fmri: Embeddings,
    image: np.ndarray,
    targets: np.ndarray,
    folds: KFold,
    *,
    layers: Sequence[str | int],
    methods: Sequence[str],
) -> tuple[PictureEncoder, dict[tuple[str, str], Unseen]]:
    """Fit the best candidate on all pictures; what each says of unseen ones, by method and layer."""
    rows, candidates = fmri.rows(image), {}
    for layer, method in product(map(layer_name, layers), methods):
        unseen = cross_validate(fmri.layer(layer)[rows], targets, folds, method=method)
        candidates[method, layer] = unseen
        logger.info("%s on %s: R2 %.4f of unseen pictures", method, layer, unseen.r2)
    method, layer = max(candidates, key=lambda name: candidates[name].r2)
    logger.info("fitting %s on %s on all %d pictures", method, layer, len(image))
    features = fmri.layer(layer)[rows]
    splits = list(folds.split(features))
    encoder = fit_encoder(features, targets, splits, method=method, layer=layer, clip=fmri.clip)
    return encoder, candidates


def read_measured(projection: str | os.PathLike) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Read the mean embedding of each picture over all its trials.

    Returns
    -------
    image : (n_images,) int64, rising.
    embedding : (n_images, n_features) float32.
    source : the checkpoint of MindEye2 and its SHA-256.
    """
    with open_trials(projection, "embedding", ("n_trials", "n_features")) as (dataset, trials):
        attributes = read_attributes(dataset.file, SOURCE)
        image, row, n_trials = np.unique(trials["image"], return_inverse=True, return_counts=True)
        embedding = np.zeros((len(image), dataset.shape[1]), np.float32)
        for start in range(0, len(row), BLOCK_TRIALS):
            rows = slice(start, start + BLOCK_TRIALS)
            np.add.at(embedding, row[rows], read_rows(dataset, rows))
    embedding /= n_trials[:, None].astype(np.float32)
    return image, embedding, {name: str(attributes[name]) for name in SOURCE}


def find_excluded(
    image: np.ndarray,
    pairs: pd.DataFrame,
    eeg: Embeddings,
    fmri: Embeddings,
    *,
    elsewhere: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the scanned pictures that the encoder must not see, as validation or test would know them.

    Parameters
    ----------
    image : (n_images,) int64, pictures of the fMRI.
    pairs : columns eeg_image, fmri_image, split.
    eeg, fmri : embeddings of both sets.
    elsewhere : (n_images, n_features) float32, pictures on which other data sets are tested.

    Returns
    -------
    is_partner : (n_images,) bool, whether the picture is in a validation or test pair.
    is_duplicate : (n_images,) bool, whether its CLIP cosine with a picture of such a pair, or with one of
        ``elsewhere``, is 0.95 or more.
    """
    tested = pairs[pairs["split"] != "train"]
    own = [eeg.of(tested["eeg_image"]), fmri.of(tested["fmri_image"])]
    held_out = np.concatenate(own if elsewhere is None or not len(elsewhere) else [*own, elsewhere])
    is_partner, is_duplicate = (
        np.isin(image, tested["fmri_image"]),
        find_near_duplicates(fmri.of(image), held_out),
    )
    logger.info(
        "%d scanned pictures: %d are in a validation or test pair, %d others nearly equal a picture of one "
        "(CLIP cosine >= %.2f)",
        *(len(image), is_partner.sum(), (is_duplicate & ~is_partner).sum(), NEAR_DUPLICATE),
    )
    return is_partner, is_duplicate


def cross_validate(features: np.ndarray, targets: np.ndarray, folds: KFold, *, method: str) -> Unseen:
    """Predict the pictures of each fold by an encoder of the others.

    What the method must choose, it chooses on a part of the others, so that the fold's pictures are unknown.

    Parameters
    ----------
    features : (n_images, n_inputs) float32.
    targets : (n_images, n_features) float32.
    """
    errors, spread, ranks = np.zeros(targets.shape[1]), np.zeros(targets.shape[1]), []
    for train, test in folds.split(features):
        inner = next(folds.split(train))
        encoder = fit_encoder(
            features[train], targets[train], [inner], method=method, layer=PROJECTED, clip=""
        )
        predicted, mean = encoder.predict(features[test]), encoder.tensors["offset"]
        errors += np.square(predicted - targets[test]).sum(axis=0, dtype=np.float64)
        spread += np.square(targets[test] - mean).sum(axis=0, dtype=np.float64)
        ranks.append(_ranks(predicted - mean, targets[test] - mean))
    return Unseen(errors, spread, ranks)


def _ranks(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return the rank of each picture's own measured embedding by its cosine with the predicted one."""
    # The length of the predicted one is the same in a whole row.
    lengths = np.linalg.norm(measured, axis=1)
    similarity = (
        predicted
        @ np.divide(measured, lengths[:, None], out=np.zeros_like(measured), where=lengths[:, None] > 0).T
    )
    return (similarity >= np.diag(similarity)[:, None]).sum(axis=1)


def describe_unseen(unseen: Unseen) -> dict[str, Any]:
    """Describe how well unseen pictures are predicted, for JSON."""
    values = 100 * unseen.r2_of_features()
    counts, _ = np.histogram(np.clip(values, BINS[0], BINS[-1]), BINS)
    return {
        "r2_quantiles": {
            f"q{round(100 * q):02d}": round(float(np.quantile(values, q)), 4) for q in QUANTILES
        },
        "bins": BINS.tolist(),
        "r2_histogram": counts.tolist(),
        "ranks": [fold.tolist() for fold in unseen.ranks],
    }
