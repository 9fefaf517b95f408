"""What the synthetic pictures show: the latent variables that the two picture sets have in common."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from einops import rearrange

# Share of the latent variance that the pictures of one THINGS concept have in common.
CONCEPT_SHARE = 0.6

# So many of the NSD pictures resemble one THINGS picture, with this correlation of their latents; the others
# show something else. It is what makes pairs of look-alikes possible, and what bounds their quality.
RELATED_SHARE = 0.7
KINSHIP = 0.85

N_NSD_IMAGES = 73_000  # NSD's stimulus file, of which the simulated subjects see a few
TRIALS_PER_SESSION = 750
IMAGES_PER_SESSION = 250  # each three times
FIRST_SHARED_IMAGE = 2950  # smallest 0-based id of NSD's shared pictures; it exposes off-by-one errors


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Make random numbers that depend on the seed and on what they are for, and on no others drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in purpose)])


def things_latents(
    n_concepts: int, images_per_concept: int, n_latents: int, *, partition: str, seed: int
) -> np.ndarray:
    """Draw latents of THINGS pictures, z = concept mean + exemplar, of unit variance.

    Parameters
    ----------
    partition : ``training`` or ``test``; their concepts differ.

    Returns
    -------
    (n_concepts * images_per_concept, n_latents) float64, concept by concept.
    """
    rng = generator(seed, "things latents", partition)
    means = rng.normal(scale=CONCEPT_SHARE**0.5, size=(n_concepts, 1, n_latents))
    exemplars = rng.normal(scale=(1 - CONCEPT_SHARE) ** 0.5, size=(n_concepts, images_per_concept, n_latents))
    return rearrange(means + exemplars, "concepts images latents -> (concepts images) latents")


def nsd_latents(things: np.ndarray, n_images: int, *, seed: int) -> np.ndarray:
    """Draw latents of NSD pictures: most resemble a THINGS picture, r z + sqrt(1 - r²) noise, others are new.

    Parameters
    ----------
    things : (n_things_images, n_latents), unit variance.

    Returns
    -------
    (n_images, n_latents) float64 of unit variance. No row equals one of ``things``.
    """
    rng = generator(seed, "nsd latents")
    new = rng.normal(size=(n_images, things.shape[1]))
    # Every THINGS picture is somebody's model before one is taken again.
    rounds = -(-n_images // len(things))
    model = np.concatenate([rng.permutation(len(things)) for _ in range(rounds)])[:n_images]
    related = rng.random(n_images) < RELATED_SHARE
    kinship = np.where(related, KINSHIP, 0.0)[:, None]
    return kinship * things[model] + np.sqrt(1 - kinship**2) * new


def draw_latents(
    simulate: Mapping[str, Any], n_nsd_images: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the latents of both picture sets.

    Parameters
    ----------
    simulate : n_concepts, images_per_concept, n_test_concepts and n_latents of `config.SimulateConfig`.

    Returns
    -------
    things : (n_things_images, n_latents) float64, training pictures before test pictures.
    nsd : (n_nsd_images, n_latents) float64.
    """
    sizes = {
        "training": (simulate["n_concepts"], simulate["images_per_concept"]),
        "test": (simulate["n_test_concepts"], 1),
    }
    things = np.concatenate(
        [
            things_latents(*size, simulate["n_latents"], partition=partition, seed=seed)
            for partition, size in sizes.items()
        ]
    )
    return things, nsd_latents(things, n_nsd_images, seed=seed)


@dataclass(frozen=True)
class NSDDesign:
    """Which NSD picture is shown in which trial.

    Attributes
    ----------
    images : (n_images,) int64, sorted 0-based ids of all pictures that are shown.
    shared : (n_images,) bool, whether every subject sees the picture.
    trials : NSD subject to (n_trials,) int64, the id of each trial's picture in global order.
    """

    images: np.ndarray
    shared: np.ndarray
    trials: dict[str, np.ndarray]


def nsd_design(subjects: list[str], n_sessions: int, *, share: float, seed: int) -> NSDDesign:
    """Draw the pictures of each NSD subject and their order: 250 a session, each shown three times.

    A ``share`` of the pictures, really a tenth, is seen by all subjects; the others by one subject only.
    """
    rng = generator(seed, "nsd design")
    n_seen = IMAGES_PER_SESSION * n_sessions
    n_shared = round(share * n_seen)
    n_own = n_seen - n_shared
    # All 8 subjects and 40 sessions need 1,000 + 8 x 9,000 pictures: exactly those that NSD has.
    ids = np.arange(N_NSD_IMAGES)
    others = rng.choice(ids[FIRST_SHARED_IMAGE + 1 :], size=n_shared - 1, replace=False)
    shared = np.append(others, FIRST_SHARED_IMAGE)
    own = rng.choice(np.setdiff1d(ids, shared), size=(len(subjects), n_own), replace=False)
    trials = {
        subject: _spread(np.concatenate([shared, images]), rng)
        for subject, images in zip(subjects, own, strict=True)
    }
    images = np.sort(np.concatenate([shared, own.ravel()]))
    return NSDDesign(images=images, shared=np.isin(images, shared), trials=trials)


def _spread(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order trials: one pass through all pictures in a random order a repetition."""
    return np.concatenate([rng.permutation(images) for _ in range(3)])
