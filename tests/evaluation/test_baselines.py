"""Every baseline finds a planted relation, and the regressions equal their textbook versions."""

import json
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.projections import write_projection
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from brain2image.config import RunConfig
from brain2image.constants.predictors import PAIRED, Baseline
from brain2image.core.errors import InputError
from brain2image.evaluation.baselines import base, by_clip, networks
from brain2image.evaluation.baselines import linear as baselines
from brain2image.evaluation.baselines.base import Scanned, fit_ridge_weights, inner_folds, read_training
from brain2image.evaluation.baselines.fitting import BASELINES, fit_baseline, read_scanned
from brain2image.evaluation.baselines.networks import fit_mlp
from brain2image.evaluation.queries import shuffle_targets
from brain2image.formats.hdf5 import write_trials
from brain2image.models.encoders.cbramod import CBraMod
from brain2image.models.linear_model import LinearModel, read_baseline
from brain2image.models.person_layer import move_earlier
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.lmdb_build import write_lmdb
from brain2image.training_set.means import Pairs, read_pairs, read_training_targets

N_CHANNELS, N_TIMES, N_FEATURES, N_CLIP = 5, 8, 6, 4
N_TRAIN, N_VAL, N_TEST, N_ALONE = 100, 20, 30, 40
# Those that a linear relation of EEG, CLIP and target must lead far below the error of the mean.
LINEAR = ("ridge", "kernel_ridge", "pls", "two_step", "two_step_kernel", "two_step_paired", "clip_oracle")
MEASURED = {"targets": "measured", "pictures": "paired"}
ALL = {"targets": "both", "pictures": "all"}


class World(NamedTuple):
    """A small training set, the CLIP embeddings of its EEG's pictures, and pictures that were scanned."""

    lmdb: Any
    clip: Embeddings
    scanned: Scanned

    def training(self, learned=MEASURED, **options):
        return read_training(self.lmdb, self.clip, **learned, read_scanned=lambda: self.scanned, **options)

    @property
    def test(self):
        return read_pairs(self.lmdb, "test")


@pytest.fixture
def plant(tmp_path, rng):
    """Function that writes a training set whose EEG, CLIP features and targets are linear in three latents.

    Every picture has one trial and one repetition. ``change`` may make other EEG and targets of the latents.
    """

    def plant(
        n_train=N_TRAIN, n_times=N_TIMES, noise=0.05, change=lambda latents, eeg, targets: (eeg, targets)
    ):
        splits = np.repeat(["train", "val", "test", "alone"], [n_train, N_VAL, N_TEST, N_ALONE])
        n = len(splits)
        latents = rng.standard_normal((n, 3))
        eeg = latents @ rng.standard_normal((3, N_CHANNELS * n_times))
        eeg = (eeg + noise * rng.standard_normal(eeg.shape)).reshape(n, N_CHANNELS, n_times)
        relation = rng.standard_normal((3, N_FEATURES))
        features = rng.standard_normal((3, N_CLIP))
        eeg, targets = change(latents, eeg, latents @ relation + 2)
        is_paired, image = splits != "alone", rng.permutation(n)
        trials = pd.DataFrame({"image": image, "repetition": 0, "session": 0, "onset": -1})
        channels = [f"E{number}" for number in range(N_CHANNELS)]
        attributes = {"channels": channels, "sfreq": 200.0, "unit": "whitened", "t0": 0.0}
        with h5py.File(tmp_path / "eeg.h5", "w") as file:
            file["eeg"] = eeg.astype(np.float32)
            write_trials(file, trials, attributes)
        embedding = targets.astype(np.float32)
        write_projection(tmp_path / "projection.h5", embedding[is_paired], np.flatnonzero(is_paired))
        with h5py.File(tmp_path / "predicted.h5", "w") as file:
            file["predicted_embedding"] = embedding
            write_trials(file, trials[["image"]], {"predicted": True})
        pictures = pd.DataFrame({"image": image, "concept": [f"c{k // 4}" for k in range(n)], "cluster": 0})
        pairs = pictures[is_paired].rename(columns={"image": "eeg_image"})
        pairs = pairs.assign(fmri_image=np.flatnonzero(is_paired), similarity=0.5, split=splits[is_paired])
        write_lmdb(
            tmp_path / "data.lmdb",
            eeg=tmp_path / "eeg.h5",
            projection=tmp_path / "projection.h5",
            pairs=pairs,
            eeg_pictures=pictures.assign(partition="train"),
            predicted=tmp_path / "predicted.h5",
            learnable=pictures[np.isin(splits, ["train", "alone"])],
        )
        clip = np.empty((n, N_CLIP), np.float32)
        clip[image] = latents @ features
        others = rng.standard_normal((60, 3))
        scanned = [(others @ part).astype(np.float32) for part in (features, relation)]
        clip = Embeddings(np.arange(n), clip, "clip.npz")
        return World(tmp_path / "data.lmdb", clip, Scanned(scanned[0], scanned[1] + 2))

    return plant


def noise_of(rng):
    """Change of the EEG into noise, one channel of which is flat."""

    def change(latents, eeg, targets):
        eeg = rng.standard_normal(eeg.shape)
        eeg[:, 0] = 1
        return eeg, targets

    return change


def flat(eeg):
    return eeg.reshape(len(eeg), -1)


def eeg_of(training):
    return training.encode(lambda eeg: eeg)


def relative_error(predictions, pairs):
    return np.mean((predictions - pairs.targets) ** 2) / pairs.targets.var(axis=0).mean()


def test_the_registry_is_the_config():
    assert tuple(BASELINES) == Baseline.__args__


@pytest.mark.parametrize(
    "name", [name for name in BASELINES if not name.startswith("cbramod") and not name.endswith(PAIRED)]
)
def test_predictions_come_from_the_eeg_alone_or_the_picture(plant, monkeypatch, name):
    monkeypatch.setattr(networks, "MLP_EPOCHS", 2)
    world = plant()
    predict, test = BASELINES[name](world.training(ALL)), world.test
    predictions = predict(test)
    assert (predictions.shape, predictions.dtype) == (test.targets.shape, np.float32)
    np.testing.assert_array_equal(predict(shuffle_targets(test)), predictions)
    one = predict(Pairs(test.eeg[:1], test.targets[:1], test.table[:1]))
    np.testing.assert_allclose(one, predictions[:1], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "learned"), [*((name, MEASURED) for name in LINEAR), ("ridge", ALL), ("two_step", ALL)]
)
def test_a_planted_linear_relation_is_found(plant, name, learned):
    world = plant()
    assert relative_error(BASELINES[name](world.training(learned))(world.test), world.test) < 0.05


@pytest.mark.parametrize("name", LINEAR[:-1])
def test_a_flat_channel_and_pure_noise_do_no_harm(plant, rng, name):
    world = plant(change=noise_of(rng))
    test = world.test
    predictions = BASELINES[name](world.training())(test._replace(eeg=np.zeros_like(test.eeg)))
    assert relative_error(predictions, test) < 1.5


@pytest.mark.parametrize("window", [0.0, 0.02])
@pytest.mark.parametrize("n_times", [N_TIMES, 60], ids=["primal", "dual"])
def test_ridge_equals_scikit_learn_at_one_alpha(plant, monkeypatch, window, n_times):
    """On means over four samples as on every sample; with fewer inputs than pictures, and with more."""
    monkeypatch.setattr(base, "ALPHAS", np.array([0.1]))
    world = plant(n_times=n_times)
    training, test = world.training(window=window), world.test
    rows, queries = (eeg_of(training), test.eeg)
    if window:
        rows, queries = (eeg.reshape(*eeg.shape[:2], -1, 4).mean(axis=3) for eeg in (rows, queries))
    rows, queries = flat(rows), flat(queries)
    mean, scale = rows.mean(0), rows.std(0) * np.sqrt(rows.shape[1])
    slow = Ridge(alpha=0.1).fit((rows - mean) / scale, training.targets)
    expected = slow.predict((queries - mean) / scale)
    np.testing.assert_allclose(BASELINES["ridge"](training)(test), expected, atol=2e-3)


def test_the_primal_solution_equals_the_dual(rng):
    """With the same penalties, chosen in the same folds."""
    x, weight = rng.standard_normal((90, 20)), rng.standard_normal((20, 7))
    x = (x - x.mean(axis=0)) / np.sqrt(20)
    targets = (x @ weight + np.linspace(0.1, 3, 7) * rng.standard_normal((90, 7)) + 5).astype(np.float32)
    concepts = np.repeat(np.arange(30), 3)
    found, offset = fit_ridge_weights(x, targets, concepts)
    mean = targets.mean(axis=0)
    expected = base._fit_dual(x, targets - mean, concepts, kernel="linear").get_primal_coef()
    np.testing.assert_allclose(x @ found + offset, x @ expected + mean, atol=1e-3)
    assert np.abs(expected).max() > 0.5


def test_pls_equals_scikit_learn_without_the_rotation(plant, monkeypatch):
    world = plant(noise=0.5)
    training, test = world.training(), world.test
    monkeypatch.setattr(baselines, "PLS_COMPONENTS", (3,))
    rows = flat(eeg_of(training))
    mean, scale = rows.mean(0), rows.std(0) * np.sqrt(N_CHANNELS * N_TIMES)
    slow = PLSRegression(3, scale=False).fit((rows - mean) / scale, training.targets)
    expected = slow.predict((flat(test.eeg) - mean) / scale)
    np.testing.assert_allclose(BASELINES["pls"](training)(test), expected, atol=1e-3)


@pytest.mark.parametrize("n_landmarks", [2000, 60], ids=["exact", "approximated"])
def test_a_kernel_finds_what_no_line_can(plant, monkeypatch, n_landmarks):
    """The target is the distance from the middle of the only latent."""

    def change(latents, eeg, targets):
        eeg = np.tile(latents[:, :1, None], (1, N_CHANNELS, N_TIMES))
        return eeg, np.tile(latents[:, :1] ** 2, (1, N_FEATURES))

    monkeypatch.setattr(base, "N_LANDMARKS", n_landmarks)
    world = plant(n_train=280, change=change)
    training, test = world.training(), world.test
    assert relative_error(BASELINES["kernel_ridge"](training)(test), test) < 0.1
    assert relative_error(BASELINES["ridge"](training)(test), test) > 0.8


def test_the_nearest_image_and_the_mean_are_training_targets(plant):
    world = plant()
    training = world.training()
    seen = Pairs(eeg_of(training), training.targets, training.items)
    np.testing.assert_array_equal(BASELINES["nearest_image"](training)(seen), training.targets)
    expected = np.tile(training.targets.mean(0), (N_TRAIN + N_VAL, 1))
    np.testing.assert_array_equal(BASELINES["mean_target"](training)(seen), expected)


def test_two_step_knows_nothing_but_the_clip_features(plant, rng):
    """What the CLIP features lack, a direct regression finds and the two steps do not."""
    world = plant()
    noise = rng.standard_normal(world.clip.features.shape).astype(np.float32)
    blind = world._replace(clip=world.clip._replace(features=noise)).training()
    assert relative_error(BASELINES["ridge"](blind)(world.test), world.test) < 0.05
    for name in ("two_step", "two_step_paired", "two_step_kernel"):
        assert relative_error(BASELINES[name](blind)(world.test), world.test) > 0.8, name


def test_two_step_learns_from_scanned_pictures_that_no_eeg_saw(plant):
    """Where these say the opposite of the pairs, so do its predictions; the paired one does not know them."""
    world = plant()
    opposite = world._replace(scanned=world.scanned._replace(targets=4 - world.scanned.targets))
    predictions = BASELINES["two_step"](opposite.training())(world.test)
    assert relative_error(4 - predictions, world.test) < 0.05
    paired = BASELINES["two_step_paired"](opposite.training()._replace(read_scanned=None))(world.test)
    assert relative_error(paired, world.test) < 0.05


def test_all_pictures_make_better_baselines_than_the_pairs(plant):
    """Of few pairs and many pictures that nobody scanned."""
    world = plant(n_train=8, noise=1.0)
    training, paired = world.training(ALL), world.training()
    assert len(training.items) == 2 * (8 + N_VAL) + N_ALONE
    assert len(paired.items) == 8 + N_VAL
    errors = [relative_error(BASELINES["ridge"](each)(world.test), world.test) for each in (training, paired)]
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_frozen_cbramod_is_read_with_its_weights_or_random_ones(plant, tmp_path):
    torch.manual_seed(5)
    torch.save(CBraMod().state_dict(), tmp_path / "weights.pth")
    world = plant(n_times=200, n_train=30)
    training = world.training(cbramod=tmp_path / "weights.pth")
    predictions = {
        name: BASELINES[name](training)(world.test) for name in ("cbramod_linear", "cbramod_random")
    }
    assert not np.allclose(*predictions.values())
    for name, values in predictions.items():
        assert relative_error(values, world.test) < 0.5, name
    again = BASELINES["cbramod_random"](training)(world.test)
    np.testing.assert_array_equal(again, predictions["cbramod_random"])


@pytest.mark.slow
def test_the_mlp_learns_and_repeats_itself(plant, monkeypatch):
    monkeypatch.setattr(networks, "MLP_EPOCHS", 15)
    world = plant(n_train=200)
    predictions = fit_mlp(world.training())(world.test)
    assert relative_error(predictions, world.test) < 0.3
    np.testing.assert_array_equal(fit_mlp(world.training())(world.test), predictions)


def test_the_mlp_takes_the_epoch_that_is_best_on_the_val_pairs(plant, monkeypatch):
    """Where val says the opposite of train, every epoch makes it worse, so that the first one is taken."""
    world = plant()
    training = world.training()
    is_val = (training.items["split"] == "val").to_numpy()
    assert is_val.sum() == N_VAL
    targets = np.where(is_val[:, None], 4 - training.targets, training.targets)
    predictions = {}
    for n_epochs in (1, 6):
        monkeypatch.setattr(networks, "MLP_EPOCHS", n_epochs)
        for name, each in (("opposite", training._replace(targets=targets)), ("same", training)):
            predictions[name, n_epochs] = fit_mlp(each)(world.test)
    np.testing.assert_array_equal(predictions["opposite", 1], predictions["opposite", 6])
    assert not np.allclose(predictions["same", 1], predictions["same", 6], atol=0.01)


def test_inner_folds_share_no_concept():
    concepts = np.repeat(["cat", "dog", "owl"], [5, 3, 2])
    splits = inner_folds(concepts)
    assert len(splits) == 3
    for train, test in splits:
        assert not set(concepts[train]) & set(concepts[test])
    with pytest.raises(InputError, match="at least 2 concepts, got 1"):
        inner_folds(np.zeros(5))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ridge", {"targets": "both", "n_pictures": 160, "n_items": 280}),
        ("ridge_paired", {"targets": "measured", "n_pictures": 120, "n_items": 120}),
        # from features of the EEG's pictures to what was measured of scanned ones
        ("two_step", {"targets": "measured", "n_pictures": 160, "n_items": 280, "n_scanned": 60}),
    ],
)
def test_a_fitted_baseline_says_what_it_learned_from(plant, tmp_path, name, expected):
    """As the run does; the paired ones from the measured pairs alone."""
    world, folder = plant(), tmp_path / name
    files = {"predictions": "predictions.npz", "model": "model.safetensors", "config": "config.json"}
    outputs = {part: folder / file for part, file in files.items()}
    options = {"clip": world.clip, "read_scanned": lambda: world.scanned, "cbramod": None}
    fit_baseline(name, world.lmdb, learned=[world.lmdb], run=RunConfig(training=ALL), **options, **outputs)
    learned = expected | {"people": ["data"]}
    assert json.loads(outputs["config"].read_text())["learned_from"] == learned
    content, kept = np.load(outputs["predictions"]), read_baseline(folder)
    training = world.training(MEASURED if name == "ridge_paired" else ALL, window=0.02)
    direct = BASELINES[name](training)(world.test)
    np.testing.assert_allclose(content["predictions"], direct, atol=1e-5)
    np.testing.assert_allclose(kept.model.predict(world.test.eeg), direct, atol=1e-5)
    # scores are centred on the measured embeddings of training pairs, whatever was learned from
    for mean in (kept.target_mean, content["target_mean"]):
        np.testing.assert_allclose(mean, read_training_targets(world.lmdb).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(kept.mean_response, eeg_of(training).mean(axis=0), atol=1e-5)


def test_the_second_step_is_learned_from_scanned_pictures_or_from_pairs_alone(plant):
    """Where scanned pictures say the opposite of the pairs, two_step follows them, the other does not."""
    world = plant()
    opposite = world.scanned._replace(targets=-world.scanned.targets)
    training, test = world._replace(scanned=opposite).training(), world.test
    for fit, sign in ((by_clip.fit_two_step, -1), (by_clip.fit_two_step_paired, 1)):
        found = np.corrcoef(fit(training)(test).ravel(), test.targets.ravel())[0, 1]
        assert sign * found > 0.9


def test_scanned_pictures_know_nothing_of_val_and_test(tmp_path, rng):
    """Neither their partners nor what nearly equals a picture of such a pair."""
    features = rng.standard_normal((12, 30)).astype(np.float32)
    shown = rng.standard_normal((6, 30)).astype(np.float32)
    features[7] = 1.5 * shown[2] + 0.01  # of a val pair's EEG picture
    features[8] = 2 * features[3]  # of a test pair's partner
    features[9] = shown[0]  # of a training pair's, which is no harm
    embedding = rng.standard_normal((24, N_FEATURES)).astype(np.float32)
    projection = write_projection(tmp_path / "projection.h5", embedding, np.repeat(np.arange(12), 2))
    pairs = pd.DataFrame({"eeg_image": [0, 1, 2, 3], "fmri_image": [0, 1, 2, 3]})
    pairs["split"] = ["train", "train", "val", "test"]
    sets = {"eeg": Embeddings(np.arange(6), shown, "a"), "fmri": Embeddings(np.arange(12), features, "b")}
    scanned, kept = read_scanned(projection, pairs, **sets), [0, 1, 4, 5, 6, 9, 10, 11]
    np.testing.assert_array_equal(scanned.features, features[kept])
    np.testing.assert_allclose(scanned.targets, embedding.reshape(12, 2, -1).mean(axis=1)[kept], rtol=1e-5)
    everything = pd.DataFrame({"eeg_image": 0, "fmri_image": range(12), "split": "test"})
    with pytest.raises(
        InputError, match="expected pictures apart from those of val and test pairs, got none"
    ):
        read_scanned(projection, everything, **sets)


@pytest.mark.parametrize("lag", [-2, 0, 3])
def test_a_linear_model_hears_somebody_less_the_mean_and_moved_by_the_lag(rng, lag):
    shapes = ((3 * 20, 5), (5, 4))
    layers = [
        (rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[1]).astype(np.float32))
        for shape in shapes
    ]
    model = LinearModel(rng.standard_normal(60).astype(np.float32), layers)
    response, eeg = rng.standard_normal((3, 20)).astype(np.float32), rng.standard_normal((7, 3, 20))
    expected = model.predict(move_earlier(eeg - response, lag))
    np.testing.assert_allclose(model.of_person(response, lag).predict(eeg), expected, atol=1e-4)
