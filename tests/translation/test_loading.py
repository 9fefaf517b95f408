"""Baselines whose weights were kept translate new EEG as they predicted the test pairs; others say so."""

import logging
import runpy
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.small_lmdb import N_FEATURES, write_sources, write_whole

from brain2image.constants.predictors import Baseline
from brain2image.core.errors import InputError
from brain2image.evaluation.baselines.fitting import BASELINES
from brain2image.formats.files import read_json, write_json
from brain2image.formats.hdf5 import write_trials
from brain2image.models.linear_model import LINEAR_BASELINES, read_baseline
from brain2image.pairs.clip_embeddings import write_embeddings
from brain2image.translation.embeddings import translate
from brain2image.translation.loading import load_model

SCRIPT = Path(__file__).parents[2] / "workflow/scripts/fit_baseline.py"
NAMES = ", ".join(LINEAR_BASELINES)
FITTED = (*LINEAR_BASELINES, "kernel_ridge", "mean_target")


class Files(dict):
    """Snakemake's named files."""

    __getattr__ = dict.__getitem__


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """EEG trials, and the folders of baselines as the rule makes them."""
    folder, *_ = sources = write_sources(tmp_path_factory.mktemp("runs"))
    with h5py.File(folder / "eeg.h5", "a") as file:
        eeg = 20 + 5 * file["eeg"][:]
        eeg[:, 1] = 20  # Cz is flat
        file["eeg"][...] = eeg
    rng = np.random.default_rng(1)
    features, scanned = (rng.standard_normal((n, 5)).astype(np.float32) for n in (20, 30))
    write_embeddings(folder / "clip.npz", np.arange(20), features, clip="ViT, tag")
    write_embeddings(folder / "nsd.npz", np.arange(30), scanned, clip="ViT, tag")
    sources[3].to_parquet(folder / "pairs.parquet")
    lmdb = write_whole(sources)
    inputs = Files(
        lmdb=lmdb,
        lmdbs=[lmdb],
        pairs=folder / "pairs.parquet",
        projection=folder / "projection.h5",
        eeg_embeddings=[folder / "clip.npz"],
        fmri_embeddings=[folder / "nsd.npz"],
    )
    files = {"predictions": "predictions.npz", "model": "model.safetensors", "config": "config.json"}
    level, handlers = logging.root.level, logging.root.handlers[:]
    try:
        for name in FITTED:
            job = SimpleNamespace(
                rule="fit_baseline",
                threads=1,
                log=[str(folder / "log.txt")],
                input=inputs,
                output=Files({key: folder / name / file for key, file in files.items()}),
                wildcards=SimpleNamespace(run=name),
                params=SimpleNamespace(run={"training": {"targets": "both", "pictures": "all"}}),
            )
            runpy.run_path(str(SCRIPT), init_globals={"snakemake": job})
    finally:
        logging.captureWarnings(False)
        logging.basicConfig(level=level, handlers=handlers, force=True)
    return folder


def test_the_registry_names_what_keeps_its_weights(folder):
    assert set(LINEAR_BASELINES) < set(BASELINES) == set(Baseline.__args__)
    for name in FITTED:
        assert (read_json(folder / name / "config.json")["n_layers"] > 0) == (name in LINEAR_BASELINES)


@pytest.mark.parametrize("name", LINEAR_BASELINES)
def test_means_of_test_trials_are_translated_as_they_were_predicted(folder, name):
    expected = np.load(folder / name / "predictions.npz")
    found = translate(folder / "eeg.h5", folder / name, average=True)
    rows = pd.Index(found.trials["event"].astype(int)).get_indexer(expected["eeg_image"])
    assert found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding[rows], expected["predictions"], rtol=0, atol=1e-5)
    assert np.ptp(found.embedding, axis=0).max() > 0.01  # they depend on the EEG
    np.testing.assert_array_equal(load_model(folder / name).target_mean, expected["target_mean"])


def test_what_the_run_says_of_its_data(folder):
    config = read_json(folder / "ridge/config.json")
    assert config["baseline"] == "ridge"
    assert config["eeg"]["flat"] == ["Cz"]
    assert config["fmri"]["sha256"] == "0" * 64
    with h5py.File(folder / "subj01.h5", "w") as file:
        file["embedding"] = np.random.default_rng(0).standard_normal((9, N_FEATURES)).astype(np.float32)
        write_trials(file, pd.DataFrame({"image": range(9)}), {"checkpoint": "a", "sha256": "0" * 64})
    found = translate(folder / "eeg.h5", folder / "two_step", gallery=folder / "subj01.h5", top_k=2)
    assert found.fmri_image.shape == (80, 2)


def test_a_channel_that_was_flat_in_training_only_may_be_flat(folder):
    with h5py.File(folder / "eeg.h5") as file:
        eeg = file["eeg"][:5]
    options = {"unit": "uV", "channels": ["Fz", "Cz", "Pz", "Oz"], "sfreq": 200}
    translate(eeg, folder / "ridge", **options)
    eeg[:, 2] = 3
    with pytest.raises(InputError, match="got flat ones: Pz; have them"):
        translate(eeg, folder / "ridge", **options)


@pytest.mark.parametrize("name", ["kernel_ridge", "mean_target"])
def test_a_baseline_without_weights_says_so(folder, name):
    with pytest.raises(InputError, match=rf"that keeps its weights \({NAMES}\), got {name};"):
        translate(folder / "eeg.h5", folder / name)


def test_folders_that_are_no_runs(folder, tmp_path):
    for name in ("ceiling", "ridge"):
        with pytest.raises(InputError, match=rf"baselines {NAMES}, got {name} without weights"):
            load_model(tmp_path / name)
    (tmp_path / "bad").mkdir()
    write_json(tmp_path / "bad/config.json", read_json(folder / "ridge/config.json"))
    with pytest.raises(
        InputError, match=r"expected a fitted baseline with config.json and model.safetensors, but"
    ):
        read_baseline(tmp_path / "bad")
    content = (folder / "two_step/model.safetensors").read_bytes()
    (tmp_path / "bad/model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="the weights do not lead from the EEG to the embedding"):
        read_baseline(tmp_path / "bad")
    (tmp_path / "bad/model.safetensors").write_bytes(content[:100])
    with pytest.raises(InputError, match="expected a fitted baseline"):
        read_baseline(tmp_path / "bad")
