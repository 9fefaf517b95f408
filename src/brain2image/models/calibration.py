"""Fit a trained model to a person whom it does not know, in closed form, by the EEG of a few pictures.

Two things are fitted to what the model's shared path makes of the person's EEG, less the mean response: a
rotation of the channels, as whitened EEG of two heads differs by one, and a ridge regression of what the
linear path then leaves. How strong each is, and whether it is there at all, is chosen on pictures that it was
not fitted to.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from einops import rearrange

from brain2image.models.regression import fold_by_group

# Pull of the rotation towards the identity, in units of the mean singular value of what it is fitted to.
PULLS = (0.3, 1.0, 3.0, 10.0, 30.0)
# Penalty of the regression, in units of the mean diagonal of its kernel.
PENALTIES = tuple(np.logspace(-1, 4, 11))
N_FOLDS = 5


class Shared(NamedTuple):
    """What a model knows that people share: its linear path, on the EEG less the mean response."""

    weight: np.ndarray  # (n_channels * n_times, n_axes)
    offset: np.ndarray  # (n_axes,)
    pattern: np.ndarray  # (n_axes, n_channels, n_times), mean EEG where a coordinate is 1


class Strengths(NamedTuple):
    """How strongly a calibration is held back; None where a part is left out."""

    pull: float | None
    penalty: float | None

    def __str__(self) -> str:
        parts = [
            *([f"rotation of the channels (pull {self.pull:g})"] if self.pull is not None else []),
            *([f"regression (penalty {self.penalty:.3g})"] if self.penalty is not None else []),
        ]
        return " and ".join(parts) or "nothing"


class Calibration(NamedTuple):
    """What is a person's own."""

    rotation: np.ndarray  # (n_channels, n_channels), orthogonal
    weight: np.ndarray  # (n_channels * n_times, n_axes), added to the linear path's
    offset: np.ndarray  # (n_axes,)
    strengths: Strengths

    def coordinates(self, eeg: np.ndarray, shared: Shared) -> np.ndarray:
        """Map (n, n_channels, n_times) to coordinates on the axes, (n, n_axes)."""
        rows = _rows(self.rotation @ eeg)
        return rows @ (shared.weight + self.weight) + shared.offset + self.offset


def fit_calibration(
    eeg: np.ndarray, coordinates: np.ndarray, groups: np.ndarray, shared: Shared
) -> Calibration:
    """Choose strengths on pictures of other groups, by the cosine of their coordinates, and fit with them.

    Parameters
    ----------
    eeg : (n_pictures, n_channels, n_times), mean EEG of each picture less the person's mean response, each
        sample the mean of its window.
    coordinates : (n_pictures, n_axes), of the pictures' targets.
    groups : (n_pictures,) of any type, such as concepts; pictures of one group are never divided.
    shared : what the model knows.
    """
    folds = fold_by_group(groups, N_FOLDS)
    choices = [Strengths(*pair) for pair in product((None, *PULLS), (None, *PENALTIES))]
    scores = np.zeros(len(choices))
    for fold in range(folds.max() + 1):
        seen, unseen = folds != fold, folds == fold
        fits = _fit_all(eeg[seen], coordinates[seen], shared)
        for number, choice in enumerate(choices):
            found = fits[choice].coordinates(eeg[unseen], shared)
            scores[number] += cosines(found, coordinates[unseen]).sum()
    best = choices[int(np.argmax(scores))]  # the first of equal ones, which does less
    return _fit_all(eeg, coordinates, shared, choices=[best])[best]


def fold_out(
    eeg: np.ndarray, coordinates: np.ndarray, groups: np.ndarray, shared: Shared
) -> Iterator[tuple[np.ndarray, Calibration]]:
    """Yield rows that are left out, and the calibration that was chosen and fitted without them."""
    folds = fold_by_group(groups, N_FOLDS)
    for fold in range(folds.max() + 1):
        seen = folds != fold
        yield np.flatnonzero(~seen), fit_calibration(eeg[seen], coordinates[seen], groups[seen], shared)


def cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the cosine of each row with its own, (n,)."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return np.divide((found * expected).sum(axis=1), lengths, out=np.zeros(len(found)), where=lengths > 0)


def _fit_all(
    eeg: np.ndarray,
    coordinates: np.ndarray,
    shared: Shared,
    *,
    choices: Sequence[Strengths] | None = None,
) -> dict[Strengths, Calibration]:
    """Fit with all strengths, or with those that are asked for; one kernel serves all penalties."""
    pulls = (None, *PULLS) if choices is None else tuple(choice.pull for choice in choices)
    penalties = (None, *PENALTIES) if choices is None else tuple(choice.penalty for choice in choices)
    expected = np.einsum("na,act->nct", coordinates, shared.pattern, optimize=True)
    crossed = np.einsum("nct,ndt->cd", expected, eeg, optimize=True)
    fits = {}
    for pull in pulls:
        rotation = np.eye(len(crossed)) if pull is None else rotate_towards(crossed, pull)
        rows = _rows(rotation @ eeg)
        rest = coordinates - (rows @ shared.weight + shared.offset)
        values, vectors = np.linalg.eigh(rows @ rows.T)
        turned = vectors.T @ (rest - rest.mean(axis=0))
        for penalty in penalties:
            weight, offset = np.zeros_like(shared.weight), np.zeros_like(shared.offset)
            if penalty is not None:
                dual = vectors @ (turned / (values + penalty * values.mean())[:, None])
                # the mean is held back as the weights are: of few pictures it is noise
                weight, offset = rows.T @ dual, rest.mean(axis=0) / (1 + penalty)
            fits[Strengths(pull, penalty)] = Calibration(rotation, weight, offset, Strengths(pull, penalty))
    return fits


def rotate_towards(crossed: np.ndarray, pull: float) -> np.ndarray:
    """Return the rotation R that maximises ``trace(R crossed') + pull * mean singular value * trace(R)``.

    Source: the orthogonal Procrustes problem (Schönemann, Psychometrika 1966), with the identity as prior.
    """
    scale = np.linalg.svd(crossed, compute_uv=False).mean()
    left, _, right = np.linalg.svd(crossed + pull * scale * np.eye(len(crossed)))
    return left @ right


def _rows(eeg: np.ndarray) -> np.ndarray:
    return rearrange(eeg, "pictures channels times -> pictures (channels times)")
