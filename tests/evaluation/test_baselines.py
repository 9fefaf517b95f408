"""Every baseline finds a planted relation, and the regressions equal their textbook versions."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from brain2image.constants.predictors import Baseline
from brain2image.core.errors import InputError
from brain2image.evaluation.baselines import base
from brain2image.evaluation.baselines import linear as baselines
from brain2image.evaluation.baselines.base import Training, inner_folds
from brain2image.evaluation.baselines.fitting import BASELINES
from brain2image.evaluation.baselines.networks import fit_mlp
from brain2image.evaluation.queries import shuffle_targets
from brain2image.models.encoders.cbramod import CBraMod
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.means import Pairs

N_CHANNELS, N_TIMES, N_FEATURES, N_CLIP = 5, 8, 6, 4
# Those that a linear relation of EEG, CLIP and target must lead far below the error of the mean.
LINEAR = ("ridge", "kernel_ridge", "pls", "two_step", "clip_oracle")


def planted(rng, n_train=120, n_test=30, noise=0.05, n_times=N_TIMES):
    """Training and test pairs whose EEG, CLIP features and targets are linear in three latents."""
    n = n_train + n_test
    latents = rng.standard_normal((n, 3))
    eeg = latents @ rng.standard_normal((3, N_CHANNELS * n_times))
    eeg = (eeg + noise * rng.standard_normal(eeg.shape)).reshape(n, N_CHANNELS, n_times)
    targets = latents @ rng.standard_normal((3, N_FEATURES)) + 2
    table = pd.DataFrame({"eeg_image": rng.permutation(n), "fmri_image": np.arange(n)})
    clip = np.empty((n, N_CLIP), np.float32)
    clip[table["eeg_image"]] = latents @ rng.standard_normal((3, N_CLIP))
    clip = Embeddings(np.arange(n), clip, "clip.npz")
    parts = [
        Pairs(
            eeg[part].astype(np.float32), targets[part].astype(np.float32), table[part].reset_index(drop=True)
        )
        for part in (slice(n_train), slice(n_train, None))
    ]
    concepts = np.arange(n_train) // 4
    channels = [f"E{number}" for number in range(N_CHANNELS)]
    meta = {"channels": channels, "eeg_shape": [N_CHANNELS, n_times], "sfreq": 200.0, "unit": "whitened"}
    return Training(parts[0], concepts, clip, meta=meta, cbramod=None), parts[1]


def flat(pairs):
    return pairs.eeg.reshape(len(pairs.eeg), -1)


def relative_error(predictions, pairs):
    return np.mean((predictions - pairs.targets) ** 2) / pairs.targets.var(axis=0).mean()


def test_the_registry_is_the_config(rng):
    assert tuple(BASELINES) == Baseline.__args__


@pytest.mark.parametrize("name", [name for name in BASELINES if not name.startswith("cbramod")])
def test_predictions_come_from_the_eeg_alone_or_the_picture(rng, name):
    training, test = planted(rng)
    predict = BASELINES[name](training)
    predictions = predict(test)
    assert (predictions.shape, predictions.dtype) == (test.targets.shape, np.float32)
    np.testing.assert_array_equal(predict(shuffle_targets(test)), predictions)
    np.testing.assert_allclose(
        predict(Pairs(test.eeg[:1], test.targets[:1], test.table[:1])), predictions[:1], rtol=1e-3
    )


@pytest.mark.parametrize("name", LINEAR)
def test_a_planted_linear_relation_is_found(rng, name):
    training, test = planted(rng)
    assert relative_error(BASELINES[name](training)(test), test) < 0.05


@pytest.mark.parametrize("name", LINEAR[:-1])
def test_a_flat_channel_and_pure_noise_do_no_harm(rng, name):
    training, test = planted(rng)
    eeg = rng.standard_normal(training.pairs.eeg.shape).astype(np.float32)
    eeg[:, 0] = 1
    noise = training._replace(pairs=training.pairs._replace(eeg=eeg))
    predictions = BASELINES[name](noise)(test._replace(eeg=np.zeros_like(test.eeg)))
    assert relative_error(predictions, test) < 1.5


def test_ridge_equals_scikit_learn_at_one_alpha(rng, monkeypatch):
    training, test = planted(rng)
    monkeypatch.setattr(base, "ALPHAS", np.array([0.1]))
    mean, scale = flat(training.pairs).mean(0), flat(training.pairs).std(0) * np.sqrt(N_CHANNELS * N_TIMES)
    slow = Ridge(alpha=0.1).fit((flat(training.pairs) - mean) / scale, training.pairs.targets)
    expected = slow.predict((flat(test) - mean) / scale)
    np.testing.assert_allclose(BASELINES["ridge"](training)(test), expected, atol=1e-3)


def test_pls_equals_scikit_learn_without_the_rotation(rng, monkeypatch):
    training, test = planted(rng, noise=0.5)
    monkeypatch.setattr(baselines, "PLS_COMPONENTS", (3,))
    mean, scale = flat(training.pairs).mean(0), flat(training.pairs).std(0) * np.sqrt(N_CHANNELS * N_TIMES)
    slow = PLSRegression(3, scale=False).fit((flat(training.pairs) - mean) / scale, training.pairs.targets)
    expected = slow.predict((flat(test) - mean) / scale)
    np.testing.assert_allclose(BASELINES["pls"](training)(test), expected, atol=1e-3)


def test_a_kernel_finds_what_no_line_can(rng):
    """The target is the distance from the middle of the only latent."""
    training, test = planted(rng, n_train=300)
    latents = [pairs.eeg[:, 0, 0] / training.pairs.eeg[:, 0, 0].std() for pairs in (training.pairs, test)]
    squares = [np.tile(latent[:, None] ** 2, (1, N_FEATURES)) for latent in latents]
    eeg = [np.tile(latent[:, None, None], (1, N_CHANNELS, N_TIMES)) for latent in latents]
    training = training._replace(pairs=training.pairs._replace(eeg=eeg[0], targets=squares[0]))
    test = test._replace(eeg=eeg[1], targets=squares[1])
    assert relative_error(BASELINES["kernel_ridge"](training)(test), test) < 0.1
    assert relative_error(BASELINES["ridge"](training)(test), test) > 0.8


def test_the_nearest_image_and_the_mean_are_training_targets(rng):
    training, _ = planted(rng)
    np.testing.assert_array_equal(
        BASELINES["nearest_image"](training)(training.pairs), training.pairs.targets
    )
    expected = np.tile(training.pairs.targets.mean(0), (120, 1))
    np.testing.assert_array_equal(BASELINES["mean_target"](training)(training.pairs), expected)


def test_two_step_knows_nothing_but_the_clip_features(rng):
    """What the CLIP features lack, a direct regression finds and the two steps do not."""
    training, test = planted(rng)
    blind = training._replace(
        clip=training.clip._replace(
            features=rng.standard_normal(training.clip.features.shape).astype(np.float32)
        )
    )
    assert relative_error(BASELINES["ridge"](blind)(test), test) < 0.05
    assert relative_error(BASELINES["two_step"](blind)(test), test) > 0.8


@pytest.mark.slow
def test_frozen_cbramod_is_read_with_its_weights_or_random_ones(rng, tmp_path):
    torch.manual_seed(5)
    torch.save(CBraMod().state_dict(), tmp_path / "weights.pth")
    training, test = planted(rng, n_times=200, n_train=40, n_test=8)
    training = training._replace(cbramod=tmp_path / "weights.pth")
    predictions = {name: BASELINES[name](training)(test) for name in ("cbramod_linear", "cbramod_random")}
    assert not np.allclose(*predictions.values())
    for name, values in predictions.items():
        assert relative_error(values, test) < 0.5, name
        np.testing.assert_array_equal(BASELINES[name](training)(test), values)


@pytest.mark.slow
def test_the_mlp_learns_and_repeats_itself(rng):
    training, test = planted(rng, n_train=200)
    predictions = fit_mlp(training)(test)
    assert relative_error(predictions, test) < 0.3
    np.testing.assert_array_equal(fit_mlp(training)(test), predictions)


def test_inner_folds_share_no_concept():
    concepts = np.repeat(["cat", "dog", "owl"], [5, 3, 2])
    splits = inner_folds(concepts)
    assert len(splits) == 3
    for train, test in splits:
        assert not set(concepts[train]) & set(concepts[test])
    with pytest.raises(InputError, match="at least 2 concepts, got 1"):
        inner_folds(np.zeros(5))
