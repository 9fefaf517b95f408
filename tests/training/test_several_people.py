"""Trainings on several people: whom they learn from, whom they hear, and calibration to a new one."""

import json

import numpy as np
import pytest
import torch
from helpers.planted import N_CHANNELS, OUTPUTS, planted_lmdb, planted_people, planted_run

from brain2image.core.errors import InputError
from brain2image.evaluation.baselines import fitting
from brain2image.evaluation.baselines.fitting import fit_baseline
from brain2image.evaluation.predict import predict_pairs
from brain2image.models.alignment import AlignmentModel
from brain2image.models.linear_model import read_baseline
from brain2image.models.losses import info_nce
from brain2image.models.person_layer import move_earlier
from brain2image.training.start import build_model, start_linearly
from brain2image.training.train import train
from brain2image.training_set.joined import open_training_set
from brain2image.training_set.means import mean_response, read_pairs
from brain2image.translation.personal import calibrate_to_training_set

PREDICTED = {"targets": "predicted", "pictures": "all"}


def top1(predictions, targets):
    mean = targets.mean(axis=0)
    a, b = (x - mean for x in (predictions, targets))
    similarity = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    return np.mean(similarity.argmax(axis=1) == np.arange(len(a)))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return planted_people(tmp_path_factory.mktemp("people"))


def run_of(people, model=None, **training):
    run = planted_run(model=model or {}, training=PREDICTED | training)
    return run.model_copy(update={"people": people})


@pytest.fixture(scope="module")
def trained(paths, tmp_path_factory):
    """A run of the first two people."""
    folder = tmp_path_factory.mktemp("others")
    files = {name: folder / file for name, file in OUTPUTS.items()}
    train(paths[:2], run=run_of("others"), weights=None, code="", state=folder / "state", **files)
    return folder


def test_a_run_of_others_hears_somebody_new(paths, trained, tmp_path):
    config = json.loads((trained / "config.json").read_text())
    assert config["people_known"] == config["learned_from"]["people"] == ["things-01", "things-02"]
    predict_pairs(trained / "model.safetensors", paths[2], out=tmp_path / "predictions.npz")
    content = np.load(tmp_path / "predictions.npz")
    assert top1(content["predictions"], content["targets"]) > 0.3


def test_each_person_has_a_layer_and_a_term_of_their_own(paths, trained):
    aligner = AlignmentModel.load(trained)
    eeg = read_pairs(paths[0], "test").eeg
    own, other = (aligner.predict(eeg, person) for person in ("things-01", "things-02"))
    assert not torch.equal(own, other)
    assert aligner.person_layer.mixing.any(dim=(1, 2)).all()
    assert not torch.equal(*aligner.linear_path.person_weight)
    with pytest.raises(InputError, match=r"expected a person of this run \(things-01, things-02\), got 'x'"):
        aligner.predict(eeg, "x")


def test_somebody_new_is_heard_without_their_own_mean(paths, trained):
    aligner, reader = AlignmentModel.load(trained), open_training_set(paths[2])
    eeg, response = read_pairs(reader, "test").eeg, mean_response(reader, reader.pictures)
    moved = aligner.predict(eeg + 5, response=response + 5)
    torch.testing.assert_close(moved, aligner.predict(eeg, response=response), atol=1e-3, rtol=1e-3)


def test_somebody_late_is_heard_as_early_as_others(paths, trained):
    aligner, reader = AlignmentModel.load(trained), open_training_set(paths[2])
    eeg, response = read_pairs(reader, "test").eeg, aligner.person_layer.response.mean(0).numpy()
    late, own = (move_earlier(x, -4) for x in (eeg, response))
    found, expected = aligner.predict(late, response=own), aligner.predict(eeg, response=response)
    # what the edges hold is lost
    assert torch.nn.functional.cosine_similarity(found, expected).min() > 0.99


def test_coordinates_are_those_of_all_and_what_each_person_adds(paths):
    reader, run = open_training_set(paths[:2]), run_of("all", {"pooling": "none", "linear_axes": 8})
    aligner = build_model(reader, run=run, weights=None)
    coordinates = start_linearly(aligner, reader, run)
    shared, own = np.split(coordinates, 2, axis=1)
    assert len(shared) == 2 * 3 * 52  # trials of the learnable pictures
    assert np.abs(own).mean() < 0.5 * np.abs(shared).mean()
    assert not np.array_equal(own[:156], own[156:])


def test_negatives_may_be_of_the_same_person_alone():
    predictions, targets = torch.randn(2, 6, 4)
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    parts = [info_nce(predictions[own], targets[own], temperature=0.5) for own in (groups == 0, groups == 1)]
    found = info_nce(predictions, targets, groups=groups, temperature=0.5)
    torch.testing.assert_close(found, torch.stack(parts).mean())


def test_a_training_in_which_negatives_are_of_one_person(paths, tmp_path):
    files = {name: tmp_path / file for name, file in OUTPUTS.items()}
    run = run_of("all", negatives="person", epochs=1)
    train(paths[:2], run=run, weights=None, code="", state=tmp_path / "state", **files)
    assert json.loads((tmp_path / "config.json").read_text())["training"]["negatives"] == "person"


@pytest.mark.parametrize("n_pictures", [8, 40])
def test_calibration_finds_more_than_the_run_as_it_was(paths, trained, tmp_path, n_pictures):
    files = {"model": tmp_path / "model.safetensors", "config": tmp_path / "config.json"}
    calibrate_to_training_set(trained, paths[2], n_pictures=n_pictures, **files)
    found = json.loads(files["config"].read_text())["calibration"]
    assert (found["n_pictures"], found["n_trials"]) == (n_pictures, 3 * n_pictures)
    calibrated, before = AlignmentModel.load(tmp_path), AlignmentModel.load(trained)
    assert calibrated.people == ("things-03",)
    reader = open_training_set(paths[2])
    test, response = read_pairs(reader, "test"), mean_response(reader, reader.pictures)
    errors = [
        np.square(predictions.numpy() - test.targets).mean()
        for predictions in (
            calibrated.predict(test.eeg, "things-03"),
            before.predict(test.eeg, None, response),
        )
    ]
    assert found["low"] <= found["gain"] <= found["high"]
    if n_pictures == 40:
        assert found["low"] > 0
        assert errors[0] < errors[1]


def test_nobody_is_calibrated_to_themselves(paths, trained, tmp_path):
    files = {"model": tmp_path / "model.safetensors", "config": tmp_path / "config.json"}
    with pytest.raises(InputError, match="expected somebody whom the run does not know, got things-01"):
        calibrate_to_training_set(trained, paths[0], n_pictures=8, **files)
    with pytest.raises(InputError, match="expected 99 training pictures to calibrate with, got 52"):
        calibrate_to_training_set(trained, paths[2], n_pictures=99, **files)


@pytest.fixture
def turned(tmp_path):
    """The third person's training set, of a cap with the same channels in another order."""
    (tmp_path / "turned").mkdir()
    cap = [f"E{number}" for number in reversed(range(N_CHANNELS))]
    path = planted_lmdb(tmp_path / "turned", unit="whitened", person=3, cap=cap)
    return path.rename(tmp_path / "turned" / "things-03_subj01.lmdb")


def test_a_cap_with_another_order_of_the_channels_changes_nothing(paths, trained, turned, tmp_path):
    """Neither of a baseline of other people, nor of a calibration: channels are found by their names."""
    found = []
    for number, lmdb in enumerate((paths[2], turned)):
        folder = tmp_path / str(number)
        files = {"model": folder / "model.safetensors", "config": folder / "config.json"}
        options = {"clip": None, "read_scanned": None, "cbramod": None, "run": planted_run()}
        outputs = files | {"predictions": folder / "predictions.npz"}
        fit_baseline("ridge_others", lmdb, learned=paths[:2], **options, **outputs)
        predictions = np.load(outputs["predictions"])["predictions"]
        calibrate_to_training_set(trained, lmdb, n_pictures=8, **files)
        found.append((predictions, json.loads(files["config"].read_text())["calibration"]["gain"]))
    np.testing.assert_allclose(found[1][0], found[0][0], atol=1e-5)
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-6)


def test_a_baseline_of_others_gets_the_lag_that_the_run_gets(paths, tmp_path, monkeypatch):
    """And none of whom it learned from."""
    asked, models = [], {}

    def fit(lmdb, learned, lag):
        monkeypatch.setattr(fitting, "find_lag", lambda *_, sfreq: asked.append(sfreq) or lag)
        folder = tmp_path / str(len(models))
        files = {"model": folder / "model.safetensors", "config": folder / "config.json"}
        options = {"clip": None, "read_scanned": None, "cbramod": None, "run": planted_run()}
        outputs = files | {"predictions": folder / "predictions.npz"}
        fit_baseline("ridge_others", lmdb, learned=learned, **options, **outputs)
        return models.setdefault(len(models), read_baseline(folder))

    eeg = read_pairs(paths[2], "test").eeg
    still, late = (fit(paths[2], paths[:2], lag) for lag in (0, 4))
    assert asked == [200.0, 200.0]
    moved = move_earlier(eeg - late.mean_response, 4) + late.mean_response
    np.testing.assert_allclose(late.model.predict(eeg), still.model.predict(moved), atol=1e-3)
    assert np.abs(late.model.predict(eeg) - still.model.predict(eeg)).max() > 0.1
    fit(paths[1], paths[:2], 4)
    assert len(asked) == 2


def test_a_run_is_tested_on_a_smaller_cap(tmp_path):
    """It learns with the channels that both have, and hears these, by name."""
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole = planted_lmdb(tmp_path / "a", unit="whitened").rename(tmp_path / "things-01_subj01.lmdb")
    cap = [f"E{number}" for number in (7, 1, 2, 3, 5, 4)]
    part = planted_lmdb(tmp_path / "b", unit="whitened", cap=cap, picture_set="toy")
    part = part.rename(tmp_path / "toy-01_subj01.lmdb")
    run = run_of(["things-01"], {"pooling": "none"})
    files = {name: tmp_path / file for name, file in OUTPUTS.items()}
    options = {"run": run, "weights": None, "code": "", "state": tmp_path / "state"}
    train(whole, tested=[part], **options, **files)
    assert json.loads(files["config"].read_text())["eeg"]["channels"] == sorted(cap)
    predict_pairs(files["model"], part, out=tmp_path / "predictions.npz")
    content = np.load(tmp_path / "predictions.npz")
    assert top1(content["predictions"], content["targets"]) > 0.3
