"""What no predictor of synthetic data can pass: the best predictions from seen picture and partner."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from brain2image.evaluation.queries import write_test_predictions
from brain2image.formats.tables import read_npz
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import match_images, unit_rows
from brain2image.pairs.splits import split_pairs
from brain2image.synthetic.latents import draw_latents, generator
from brain2image.training_set.lmdb_store import LMDBReader
from brain2image.training_set.means import Pairs, read_training_targets

# Drawn pairs for each coefficient of the regression: fitting them adds 1 % to the error.
PAIRS_PER_COEFFICIENT = 100


class World(NamedTuple):
    """Pictures of both sets: what they truly show, and how CLIP sees them."""

    things: np.ndarray  # (n_things_images, n_latents) float64, by the picture's id
    nsd: np.ndarray  # (n_nsd_images, n_latents) float64
    nsd_images: np.ndarray  # (n_nsd_images,) int64, their ids, rising
    eeg: Embeddings  # of every picture of THINGS
    fmri: Embeddings  # of the pictures of NSD that the fMRI subject saw

    def nsd_of(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the latents of pictures of NSD, (n_wanted, n_latents)."""
        return self.nsd[np.searchsorted(self.nsd_images, images)]


class Pairing(NamedTuple):
    """How the workflow makes pairs of pictures, whatever these show."""

    eeg_pictures: pd.DataFrame  # image, concept, partition
    fmri_pictures: pd.DataFrame  # image, shared1000
    seen: np.ndarray  # (n,) int64, ids of the pictures that the fMRI subject saw
    is_exact: bool  # each picture is its own partner
    include_test: bool
    options: Mapping[str, Any]  # n_pairs and the block ``split`` of the config

    def test_pairs(self, eeg: Embeddings, fmri: Embeddings) -> pd.DataFrame:
        """Pair pictures with these embeddings, and return the test pairs."""
        shared = self.fmri_pictures["image"][self.fmri_pictures["shared1000"]]
        tables = match_images(
            self.eeg_pictures,
            *(eeg, fmri),
            seen=self.seen,
            shared=np.isin(self.seen, shared),
            include_test=self.include_test,
        )
        pairs = split_pairs(*tables, self.eeg_pictures, self.fmri_pictures, **self.options, is_logged=False)
        return pairs[pairs["split"] == "test"]


class Sight(NamedTuple):
    """How CLIP sees latents: ``latents @ weight + offset`` and normal noise, whatever draws the pixels."""

    weight: np.ndarray  # (n_latents, n_axes)
    offset: np.ndarray  # (n_axes,)
    noise: np.ndarray  # (n_sources, n_axes), by which independent standard normal numbers are multiplied

    def draw(self, latents: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """Draw the embeddings, (n_images, n_axes) float32, of new pictures that show these latents."""
        noise = rng.normal(size=(len(latents), len(self.noise))) @ self.noise
        return (latents @ self.weight + self.offset + noise).astype(np.float32)


def fit_sight(latents: np.ndarray, features: np.ndarray) -> Sight:
    """Fit how CLIP saw the pictures that were painted: least squares, and the covariance of what they leave.

    Parameters
    ----------
    latents : (n_images, n_latents).
    features : (n_images, n_axes), their embeddings.
    """
    model = LinearRegression().fit(latents, features)
    rest = features - model.predict(latents)
    _, scales, axes = np.linalg.svd(rest, full_matrices=False)
    return Sight(model.coef_.T, model.intercept_, scales[:, None] * axes / np.sqrt(len(rest)))


def turn_to_axes(world: World) -> World:
    """Turn CLIP's embeddings to as few axes as there are latents.

    The synthetic CLIP's last projection spreads so many readings over its features: nothing is lost, and
    cosines stay what they are.
    """
    features = np.concatenate([world.eeg.features, world.fmri.features])
    axes = np.linalg.svd(features, full_matrices=False)[2][: world.things.shape[1]].T
    eeg, fmri = (one._replace(features=one.features @ axes) for one in (world.eeg, world.fmri))
    return world._replace(eeg=eeg, fmri=fmri)


def carried(latents: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Return all that the seen picture carries: latents and CLIP's embedding, as they are and of unit length.

    CLIP chose the partner: where it errs about the picture, the partner's latents are off in the same
    direction. As it compares directions, these say more than the rows alone.

    Parameters
    ----------
    latents : (n_images, n_latents).
    embeddings : (n_images, n_axes).

    Returns
    -------
    (n_images, 2 * (n_latents + n_axes))
    """
    parts = [latents, embeddings]
    return np.concatenate([*parts, *map(unit_rows, parts)], axis=1)


def fit_ceiling(
    world: World, pairing: Pairing, *, simulate: Mapping[str, Any], n_pairs: int | None = None
) -> LinearRegression:
    """Fit the partner's latents on what the seen picture carries, in worlds that are drawn anew.

    In each world the latents of all pictures are drawn as those of ``world`` were, CLIP sees them as `Sight`
    says, and pairs are made and divided as by the workflow; what is learned from are the test pairs.

    Exact are the distribution of the latents, the pairing and the split. Fitted are the sight, on the
    pictures of ``world``, and the regression, on so many pairs that more change nothing (docs/ceilings.md,
    where a network and a kernel regression of the same pairs find nothing more).

    Parameters
    ----------
    world : the pictures of the run, embeddings turned by `turn_to_axes`.
    simulate : seed, and the fields of `config.SimulateConfig` that `draw_latents` reads.
    n_pairs : how many drawn test pairs are learned from at least; None: ``PAIRS_PER_COEFFICIENT``.
    """
    sight = fit_sight(
        np.concatenate([world.things[world.eeg.image], world.nsd_of(world.fmri.image)]),
        np.concatenate([world.eeg.features, world.fmri.features]),
    )
    n_pairs = n_pairs or PAIRS_PER_COEFFICIENT * (4 * world.things.shape[1] + 1)
    rng = generator(simulate["seed"], "drawn worlds")
    inputs: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    while sum(map(len, outputs)) < n_pairs:
        things, nsd = draw_latents(simulate, len(world.nsd), seed=int(rng.integers(2**31)))
        drawn = world._replace(things=things, nsd=nsd)
        eeg = world.eeg._replace(features=sight.draw(things[world.eeg.image], rng=rng))
        fmri = world.fmri._replace(features=sight.draw(drawn.nsd_of(world.fmri.image), rng=rng))
        tested = pairing.test_pairs(eeg, fmri)
        inputs.append(carried(things[tested["eeg_image"]], eeg.of(tested["eeg_image"])))
        outputs.append(drawn.nsd_of(tested["fmri_image"]))
    return LinearRegression().fit(np.concatenate(inputs), np.concatenate(outputs))


def predict_ceilings(
    lmdb: str | Path,
    world: World,
    pairing: Pairing,
    *,
    oracle: str | Path,
    simulate: Mapping[str, Any],
    ceiling: str | Path,
    fmri_ceiling: str | Path,
) -> None:
    """Predict the test pairs as well as can be, from all that the seen picture carries, and from its partner.

    Parameters
    ----------
    lmdb : the training set.
    world, pairing, simulate : see `fit_ceiling`; embeddings as CLIP gave them.
    oracle : what `nsd_files.oracle_arrays` says, by which latents become an embedding without noise.
    ceiling : ``predictions.npz`` from the seen picture, limited by pairing and fMRI noise; where pairs are
        exact, the seen picture is the partner.
    fmri_ceiling : ``predictions.npz`` from the partner's latents, limited by fMRI noise alone.
    """
    planted = read_npz(oracle, what="planted arrays", names=["weight", "offset"])
    # by the seen picture, as the audit shuffles the columns of answers to find uses of them
    partner = LMDBReader(lmdb).pairs_of("test").set_index("eeg_image")["fmri_image"]

    def embed(latents: np.ndarray) -> np.ndarray:
        return (latents @ planted["weight"] + planted["offset"]).astype(np.float32)

    def from_partner(pairs: Pairs) -> np.ndarray:
        return embed(world.nsd_of(partner[pairs.table["eeg_image"]]))

    from_seen = from_partner
    if not pairing.is_exact:
        turned = turn_to_axes(world)
        model = fit_ceiling(turned, pairing, simulate=simulate)

        def from_seen(pairs: Pairs) -> np.ndarray:
            images = pairs.table["eeg_image"]
            return embed(model.predict(carried(turned.things[images], turned.eeg.of(images))))

    target_mean = read_training_targets(lmdb).mean(axis=0)
    write_test_predictions(ceiling, from_seen, lmdb, target_mean=target_mean)
    write_test_predictions(fmri_ceiling, from_partner, lmdb, target_mean=target_mean)
