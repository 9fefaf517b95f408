"""What who knows the latents of `recovery_data` predicts, from the pictures or from their EEG."""

from pathlib import Path

import numpy as np
from recovery_data import (
    KINSHIP,
    Relation,
    Setting,
    draw_answer,
    draw_world,
    fmri_latents,
)
from scipy.special import erf

from brain2image.evaluation.baselines.base import Training, eeg_encoder, fit_ridge_weights, inner_folds
from brain2image.training_set.means import Pairs, Predictor


def expected_fmri_latents(
    latents: np.ndarray, relation: Relation, variance: np.ndarray | float = 0.0
) -> np.ndarray:
    """Return the mean of the partners' `fmri_latents`, given what is known of the seen pictures' latents.

    It is their best prediction. The partner's latents are normal around m = KINSHIP * latents, and their
    magnitudes folded normal, with the mean s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m erf(m / sqrt(2) s). CLIP
    features carry nothing besides, as partners are not chosen by them.

    Parameters
    ----------
    latents : (n_images, n_latents), the seen pictures', or their means where they are known with an error.
    variance : of that error, of all latents or (n_latents,) of each.
    """
    mean = KINSHIP * latents
    if relation == "linear":
        return mean
    deviation = np.sqrt(1 - KINSHIP**2 + KINSHIP**2 * variance)
    ratio = mean / (np.sqrt(2) * deviation)
    absolute = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2)) + mean * erf(ratio)
    folded = (absolute - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)
    return np.stack([mean, folded], axis=2).reshape(len(latents), -1)


def look_up(setting: Setting, _: Path, name: str) -> Predictor:
    """Give the best predictions of the partners' embeddings that there are.

    Parameters
    ----------
    name : ``ceiling``: from what the seen pictures truly show; the pairing and fMRI noise limit it.
        ``fmri_ceiling``: from what the partners truly show; fMRI noise alone limits it.
    """
    world = draw_world(setting)
    latents = {
        "ceiling": expected_fmri_latents(world.things, setting.relation),
        "fmri_ceiling": fmri_latents(world.nsd, setting.relation),
    }[name]
    known = _embed(latents, setting)
    return lambda pairs: known[pairs.table["eeg_image"]]  # the pairs are the first pictures of both


def fit_eeg_oracle(setting: Setting, training: Training) -> Predictor:
    """Predict from the EEG as somebody may who knows the latents and how the data are made.

    Ridge regression of the true latents on the EEG, which answers to them linearly in noise that is normal;
    and from the latents that it reads, and their error in pictures of other concepts, the mean of what the
    partners' voxels answer. Latents of the EEG's pictures are what nobody else is told. No bound: who knows
    the noise's covariance, or learns from more pictures, may read more.
    """
    encode, rows = eeg_encoder(training)
    latents = draw_world(setting).things[training.items["image"]]
    error = np.empty_like(latents)
    for fitted, held_out in inner_folds(training.concepts):
        weight, offset = fit_ridge_weights(rows[fitted], latents[fitted], training.concepts[fitted])
        error[held_out] = rows[held_out] @ weight + offset - latents[held_out]
    weight, offset = fit_ridge_weights(rows, latents, training.concepts)

    def predict(pairs: Pairs) -> np.ndarray:
        read = encode(pairs) @ weight + offset
        return _embed(expected_fmri_latents(read, setting.relation, error.var(axis=0)), setting)

    return predict


def _embed(latents: np.ndarray, setting: Setting) -> np.ndarray:
    voxels, weight, bias = draw_answer(setting, latents.shape[1])
    return (latents @ voxels.tuning @ weight.T + bias).astype(np.float32)
