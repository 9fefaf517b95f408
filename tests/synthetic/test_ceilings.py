"""The ceilings of synthetic data: nothing passes them, and more drawn pairs change nothing."""

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from brain2image.evaluation.predictions import read_predictions
from brain2image.formats.hdf5 import write_trials
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.pairs.matching import unit_rows
from brain2image.synthetic import ceilings
from brain2image.synthetic.ceilings import (
    Pairing,
    Sight,
    World,
    carried,
    fit_ceiling,
    fit_sight,
    predict_ceilings,
    turn_to_axes,
)
from brain2image.synthetic.latents import draw_latents
from brain2image.training_set.lmdb_build import write_lmdb

SIMULATE = {"n_concepts": 25, "images_per_concept": 3, "n_test_concepts": 5, "n_latents": 4, "seed": 0}
N_NSD, N_CLIP = 60, 10
OPTIONS = {"n_pairs": 50, "val": 0.1, "test": 0.3, "seed": 0, "group_by": "concept"}
ALPHAS = np.logspace(-3, 3, 7)


def draw_world(seed):
    """Latents as the simulation draws them, and a CLIP that sees them in ten features, with noise."""
    things, nsd = draw_latents(SIMULATE, N_NSD, seed=seed)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(N_CLIP, 4)))[0].T
    rng = np.random.default_rng(seed)
    clip = [(rows + 0.5 * rng.normal(size=rows.shape)) @ basis for rows in (things, nsd)]
    images = 100 + np.arange(N_NSD)
    ids = {"eeg": np.arange(len(things)), "fmri": images}
    embeddings = {
        name: Embeddings(ids[name], features.astype(np.float32), f"{name}.npz")
        for name, features in zip(ids, clip, strict=True)
    }
    return World(things, nsd, images, **embeddings)


def pairing(test_from="any"):
    partition = np.repeat(["train", "test"], [75, 5])
    concepts = [f"c{i // 3}" for i in range(75)] + [f"t{i}" for i in range(5)]
    eeg = pd.DataFrame({"image": range(80), "concept": concepts, "partition": partition})
    images = 100 + np.arange(N_NSD)
    fmri = pd.DataFrame({"image": images, "shared1000": images % 5 == 0})
    return Pairing(eeg, fmri, images, False, include_test=False, options=OPTIONS | {"test_from": test_from})


def others(world, pairs):
    """Predict the partners' latents with what a predictor of the workflow may know, and with more."""
    clip, unseen = world.eeg.of(pairs["eeg_image"]), ~np.isin(world.fmri.image, pairs["fmri_image"])
    nsd, seen = world.fmri.features[unseen], world.nsd[unseen]
    return {
        "the seen picture's own": world.things[pairs["eeg_image"]],
        "ridge on CLIP": RidgeCV(ALPHAS).fit(nsd, seen).predict(clip),
        "ridge on directions": RidgeCV(ALPHAS).fit(unit_rows(nsd), seen).predict(unit_rows(clip)),
        "nearest pictures": KNeighborsRegressor(5, metric="cosine").fit(nsd, seen).predict(clip),
    }


def squares(predicted, latents):
    return np.mean((predicted - latents) ** 2, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("test_from", "n_worlds"), [("any", 20), ("test_partition", 30)])
def test_nothing_passes_the_ceiling(test_from, n_worlds):
    way, planned = pairing(test_from), turn_to_axes(draw_world(1000))
    model = fit_ceiling(planned, way, simulate=SIMULATE, n_pairs=400)
    gains = {}
    for seed in range(n_worlds):
        world = draw_world(seed)
        pairs = way.test_pairs(world.eeg, world.fmri)
        # by the axes of the world that the ceiling was fitted in
        turned = world.eeg.features @ _axes(draw_world(1000))
        known = carried(world.things[pairs["eeg_image"]], turned[pairs["eeg_image"]])
        latents = world.nsd_of(pairs["fmri_image"])
        best = squares(model.predict(known), latents)
        for name, predicted in others(world, pairs).items():
            gains.setdefault(name, []).extend(best - squares(predicted, latents))
    for name, gain in gains.items():
        assert np.mean(gain) < -2 * np.std(gain) / np.sqrt(len(gain)), name


def _axes(world):
    features = np.concatenate([world.eeg.features, world.fmri.features])
    return np.linalg.svd(features, full_matrices=False)[2][:4].T


@pytest.mark.slow
def test_more_drawn_pairs_change_nothing():
    world, way = turn_to_axes(draw_world(0)), pairing()
    known = carried(world.things, world.eeg.features)
    few, many, more = (
        fit_ceiling(world, way, simulate=SIMULATE | {"seed": seed}, n_pairs=n).predict(known)
        for seed, n in ((0, 60), (1, 500), (2, 800))
    )
    assert np.mean((many - more) ** 2) < np.mean((few - more) ** 2) / 4


def test_clip_is_seen_as_it_sees(rng):
    latents = rng.normal(size=(4000, 3))
    mixing = rng.normal(size=(2, 2))
    planted = Sight(rng.normal(size=(3, 2)), rng.normal(size=2), mixing)
    found = fit_sight(latents, planted.draw(latents, rng=rng))
    np.testing.assert_allclose(found.weight, planted.weight, atol=0.1)
    np.testing.assert_allclose(found.offset, planted.offset, atol=0.1)
    np.testing.assert_allclose(found.noise.T @ found.noise, mixing.T @ mixing, rtol=0.1, atol=0.1)
    new = found.draw(latents, rng=rng) - latents @ found.weight - found.offset
    np.testing.assert_allclose(np.cov(new.T), mixing.T @ mixing, rtol=0.15, atol=0.1)


def test_fewer_axes_keep_all_cosines():
    world = draw_world(0)
    turned = turn_to_axes(world)
    assert turned.eeg.features.shape == (80, 4)
    before, after = (one.eeg.features @ one.fmri.features.T for one in (world, turned))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_both_ceilings_are_written_and_use_no_target(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(ceilings, "PAIRS_PER_COEFFICIENT", 10)
    world, way = draw_world(0), pairing()
    pairs = way.test_pairs(world.eeg, world.fmri)
    weight, offset = rng.normal(size=(4, 8)), rng.normal(size=8)
    np.savez(tmp_path / "oracle.npz", weight=weight, offset=offset)
    embeddings = (world.nsd @ weight + offset).astype(np.float32)
    for name, key, values, images in (
        ("eeg", "eeg", np.zeros((80, 2, 3), np.float32), world.eeg.image),
        ("fmri", "embedding", embeddings, world.nsd_images),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file[key] = values
            trials = pd.DataFrame({"image": images, "repetition": 0, "session": 0, "onset": -1})
            layout = {"unit": "uV", "sfreq": 200.0, "t0": 0.0, "channels": ["Oz", "Pz"]}
            write_trials(file, trials, layout if name == "eeg" else {"checkpoint": "x", "sha256": "0" * 64})
    lmdb = tmp_path / "data.lmdb"
    split = np.where(np.arange(len(pairs)) < 8, "train", "test")
    pairs = pairs.assign(cluster=0, split=split)
    files = {"eeg": tmp_path / "eeg.h5", "projection": tmp_path / "fmri.h5"}
    write_lmdb(lmdb, **files, pairs=pairs, eeg_pictures=way.eeg_pictures)
    out = {name: tmp_path / f"{name}.npz" for name in ("ceiling", "fmri_ceiling")}
    predict_ceilings(lmdb, world, way, oracle=tmp_path / "oracle.npz", simulate=SIMULATE, **out)
    found = {name: read_predictions(path) for name, path in out.items()}
    partner = found["fmri_ceiling"]
    np.testing.assert_allclose(partner.predictions, partner.targets, atol=1e-5)
    for ceiling in found.values():
        assert ceiling.target_dependence == 0
    # from the seen picture: in reach of the four latents, and nearer than their mean
    seen = found["ceiling"]
    back = LinearRegression(fit_intercept=False).fit(weight.T, (seen.predictions - offset).T)
    assert back.score(weight.T, (seen.predictions - offset).T) > 0.999
    error = np.mean((seen.predictions - seen.targets) ** 2)
    assert error < 0.8 * np.mean((seen.targets - offset) ** 2)
