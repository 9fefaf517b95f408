"""The real Snakefile on the smallest run: every rule, and the promised files."""

import json
import re

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.checkouts import PAIR, TINY, changed_config, clone, copy_checkout
from helpers.dry_runs import dry_run, job_inputs, run_snakemake
from helpers.empty_releases import THINGS
from PIL import Image

from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.evaluation.summary import headline
from brain2image.formats.hdf5 import read_trials
from brain2image.pairs.clip_embeddings import read_embeddings
from brain2image.synthetic.preprocessed_files import write_ubp


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """A checkout after its tiny run."""
    return clone(tiny_run, tmp_path_factory.mktemp("checkout") / "repository")


def test_every_rule_ran(finished):
    files = [file for file in (finished / "rules").glob("*.smk") if file.name != "fetch.smk"]
    rules = re.findall(r"^rule (\w+):", "".join(file.read_text() for file in files), re.MULTILINE)
    logs = {path.stem for path in (finished / "results/logs").glob("*")}
    # simulated subjects have a checkpoint each: nothing to combine; tests/workflow/test_subjects.py does.
    # What is of several people runs in tests/cluster, what is of exact pairs in tests/runs; the page
    # of encoders is of several. Prior and unCLIP are not simulated: tests/decoding/test_diffusion_rules.py.
    exact = {"list_shown", "list_tested", "simulate_alljoined", "simulate_expdesign"}
    others = {"combine_projections", "check_data", "calibrate", "plot_people", "show_encoders"}
    others |= {"extract_prior", "sample_tokens", "extract_unclip", "draw_unclip"}
    assert set(rules) == logs | exact | others


def test_the_files_hold_what_the_design_promises(finished):
    results = finished / "results"
    things = pd.read_parquet(results / "pictures/things.parquet")
    assert list(things) == ["image", "path", "concept", "partition", "part"]
    nsd = pd.read_parquet(results / "pictures/nsd.parquet")
    assert list(nsd) == ["image", "row", "shared1000", "part"]
    with h5py.File(results / "eeg/things-01.h5") as file:
        n_trials = len(file["eeg"])
        assert file["eeg"].shape == (n_trials, 63, 200)
        assert file["eeg"].dtype == np.float32
        assert (file.attrs["unit"], file.attrs["sfreq"], file.attrs["t0"]) == ("whitened", 200, 0)
        trials = read_trials(file)
        assert list(trials) == ["image", "repetition", "session", "onset", "weight"]
        assert len(trials) == n_trials
        assert trials["image"].nunique() == len(things)
    for dataset, table, parts in (("things", things, ["all"]), ("nsd", nsd, ["shared", "subj01"])):
        embeddings = read_embeddings([results / f"clip/{dataset}/{part}.npz" for part in parts])
        assert sorted(embeddings.image) == table["image"].tolist()
    with (
        h5py.File(results / "fmri/subj01.h5") as betas,
        h5py.File(results / "projection/subj01.h5") as projection,
    ):
        assert betas["betas"].shape == (750, 64)
        assert projection["embedding"].shape == (750, 32)
        assert len(projection.attrs["sha256"]) == 64
        pd.testing.assert_frame_equal(read_trials(betas), read_trials(projection))
    assert (results / f"lmdb/{PAIR}.lmdb").is_file()
    for run in ("multitoken_vit", "flatten"):
        names = {path.name for path in (results / "runs" / PAIR / run).iterdir()}
        assert names == {
            "model.safetensors",
            "config.json",
            "history.csv",
            "tensorboard",
            "predictions.npz",
            "metrics.json",
        }
        assert list((results / "runs" / PAIR / run / "tensorboard").rglob("events.out.tfevents*"))
        assert (results / "state" / PAIR / run / "state.ckpt").is_file()
    for run in ("flatten", "ridge"):
        text = (results / "runs" / PAIR / run / "config.json").read_text()
        assert json.loads(text)["simulated"] is True
        assert json.loads(text)["fmri"]["checkpoint"] == "subj01.pth"
        assert str(finished) not in text
    for run in ("ridge", "two_step"):
        names = {path.name for path in (results / "runs" / PAIR / run).iterdir()}
        assert names == {"model.safetensors", "config.json", "predictions.npz", "metrics.json"}
    summary = pd.read_csv(results / "summary.csv")
    runs = {"multitoken_vit", "flatten", "ridge", "two_step", "ceiling", "fmri_ceiling", "measured_fmri"}
    assert set(summary["run"]) == runs
    assert {"1", "2", "all"} <= set(summary["n_trials"])
    keys = ["brains", "run", "seed", "level", "space", "n_trials", "direction", "n_gallery", "metric"]
    assert not summary.duplicated(keys).any()


def test_voxels_lie_where_the_mask_says(finished):
    """Those that were planted with the most signal have the highest noise ceilings, each in its place."""
    results = finished / "results"
    mask = nibabel.load(results / "raw/nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz").get_fdata()
    planted = np.load(results / "simulated/subj01_oracle.npz")["ncsnr"]
    volumes = ["subj01.noise_ceiling", f"{PAIR}/subj01", f"{PAIR}/subj01.flatten", f"{PAIR}/subj01.ridge"]
    for name in volumes:
        found = nibabel.load(results / f"cortex/{name}.nii.gz").get_fdata()
        np.testing.assert_array_equal(np.isfinite(found), mask == 1)
        assert np.corrcoef(found[mask == 1], planted)[0, 1] > 0.5, name


def test_pairs_hold_their_promises(finished):
    results = finished / "results"
    pairs = pd.read_parquet(results / "pairs/things_subj01.parquet")
    assert list(pairs) == ["eeg_image", "fmri_image", "similarity", "concept", "cluster", "split"]
    assert len(pairs) == 40
    assert pairs["eeg_image"].is_unique
    assert pairs["fmri_image"].is_unique
    assert pairs["similarity"].is_monotonic_decreasing
    concepts = pd.read_parquet(results / "pictures/things.parquet").set_index("image")["concept"]
    splits_of_concept = pairs["split"].groupby(concepts[pairs["eeg_image"]].to_numpy()).nunique()
    assert splits_of_concept.max() == 1


def test_matched_pictures_show_similar_latents(finished):
    latents = np.load(finished / "results/simulated/latents.npz")
    pairs = pd.read_parquet(finished / "results/pairs/things_subj01.parquet")
    rows = {image: row for row, image in enumerate(latents["nsd_images"])}
    things = unit(latents["things"][pairs["eeg_image"]])
    nsd = unit(latents["nsd"][[rows[image] for image in pairs["fmri_image"]]])
    matched, random = np.sum(things * nsd, axis=1), things @ nsd.T
    assert np.median(matched) > np.median(random) + 0.3
    assert np.median(matched) > np.quantile(random, 0.75)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_ceilings_know_the_answer(finished):
    summary = headline(pd.read_csv(finished / "results/summary.csv")).set_index(["run", "metric"])
    assert summary.loc[("ceiling", "cosine"), "p"] < 0.05
    assert summary.loc[("fmri_ceiling", "cosine"), "value"] > summary.loc[("ceiling", "cosine"), "value"]


def test_raised_epochs_go_on_where_the_training_ended(finished, pool, tmp_path):
    checkout = clone(finished, tmp_path / "checkout")
    history = f"results/runs/{PAIR}/flatten/history.csv"
    options = {"config": changed_config(checkout, {"training.epochs": 3})}
    status, text = pool.apply(run_snakemake, (checkout, history), options)
    assert status == 0, text
    assert (
        "going on after 2 finished epochs"
        in (checkout / f"results/logs/train/{PAIR}/flatten.log").read_text()
    )
    before, after = (pd.read_csv(folder / history) for folder in (finished, checkout))
    pd.testing.assert_frame_equal(after[:3], before)
    assert after["epoch"].tolist() == [0, 1, 2, 3]  # 0: the linear start


def test_a_second_run_does_nothing(finished, pool):
    assert pool.apply(dry_run, (finished, "--configfile", TINY)) == set()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"clip": {"modle": "x"}}, "unknown key 'clip.modle'; did you mean 'model'"),
        ({"training": {"epochs": "many"}}, "training.epochs: expected integer, got 'many'"),
        (
            {"data": {"things_images": "nowhere"}},
            "nowhere/training_images: no such file or folder. Download and unpack",
        ),
    ],
)
def test_a_bad_config_stops_before_any_job(pool, tmp_path, config, message):
    folder = copy_checkout(tmp_path)
    (folder / "bad.yaml").write_text(yaml.safe_dump(config))
    status, text = pool.apply(run_snakemake, (folder,), {"config": "bad.yaml"})
    assert status == 1
    assert message in text
    assert "Execute" not in text
    left = {path.relative_to(folder / "results").parts[0] for path in (folder / "results").rglob("*")}
    assert left <= {"manifest"}  # where it said that it was there


def squeezed(text):
    """A text without what a table adds to it: frames, and breaks wherever a line is full."""
    return re.sub(r"[\s│]+", "", text)


def test_check_data_says_what_was_found_and_what_is_missing(finished, pool, tmp_path):
    """The simulated files stand for downloaded ones; of the weights, one is at hand and two are remote."""
    raw = finished / "results/raw"
    content = {
        "results": str(tmp_path / "results"),
        "data": {
            "things_images": str(raw / "things/images"),
            "things_eeg": str(raw / "things/eeg"),
            "nsd": str(raw / "nsd"),
        },
        "weights": {"cbramod": str(raw / "weights/cbramod.pth")},
    }

    def check():
        (tmp_path / "real.yaml").write_text(yaml.safe_dump(content))
        options = {"config": str(tmp_path / "real.yaml")}
        status, text = pool.apply(run_snakemake, (finished, "check_data"), options)
        return status, squeezed(text), text

    status, table, _ = check()
    assert status == 0
    for line in (
        "ok THINGS pictures 48 training and 5 test pictures",
        "ok THINGS-EEG2 sub-01 raw: 8 recordings,",
        "ok NSD subj01 mindeye2: 750 of 30,000 trials, 64 voxels, 250 pictures",
        "ok CLIP weights to be fetched from open_clip's openai: snakemake fetch_weights",
        "ok MindEye2 ridge of subj01 to be fetched from hf://datasets/pscotti/mindeyev2@",
        "ok cbramod weights (multitoken_vit)",
        "209 tensors; left out 2: the reconstruction of the pretraining",
    ):
        assert squeezed(line) in table
    content["brains"] = ["things-01_subj02"]
    (raw / "things/images/test_images").rename(raw / "things/images/elsewhere")
    try:
        status, table, text = check()
    finally:
        (raw / "things/images/elsewhere").rename(raw / "things/images/test_images")
    assert status == 1
    assert squeezed("test_images: no such file or folder. Download and unpack training_images.zip") in table
    assert squeezed("-- NSD subj02") in table
    assert "check_data: 2 of 7 are missing or wrong; see docs/data.md" in text


EEG_FILE = "results/eeg/things-01.h5"


def write_pictures(folder, *, training):
    """Two pictures for training and two for the test, and the lists of them; their names in order."""
    lists, names = {}, {}
    for partition, name in (("train", training), ("test", "test_images")):
        names[partition] = [f"{name}/{i:05d}_{partition}{i}/{partition}{i}_01b.jpg" for i in (1, 2)]
        for path in names[partition]:
            (folder / path).parent.mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(folder / path)
        lists[f"{partition}_img_concepts"] = [path.split("/")[1] for path in names[partition]]
        lists[f"{partition}_img_files"] = [path.split("/")[2] for path in names[partition]]
    np.save(folder / "image_metadata.npy", lists)
    return names


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """A checkout whose config names downloaded pictures, and no synthetic data."""
    folder = copy_checkout(tmp_path_factory.mktemp("downloaded"))
    names = write_pictures(folder / "pictures", training="train_images")
    return folder, names


def write_config(folder, things_eeg, **changes):
    content = {"data": {"things_images": "pictures", "things_eeg": things_eeg}} | changes
    (folder / "real.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("release", THINGS.releases)
def test_the_eeg_release_in_the_folder_is_found(downloaded, pool, release):
    folder, _ = downloaded
    files = [f"{release}/{pattern.format(person='sub-01')}" for pattern in THINGS.releases[release]]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    write_config(folder, release)
    plan = (job_inputs, (folder, "real.yaml", EEG_FILE))
    found = pool.apply(*plan)
    assert [*files, "results/pictures/things.parquet"] in found
    assert any(file == "pictures/train_images" for inputs in found for file in inputs)
    (folder / files[-1]).unlink()
    if release == "raw":  # sessions that are there are read without the others
        assert [*files[:-1], "results/pictures/things.parquet"] in pool.apply(*plan)
        return
    status, text = pool.apply(run_snakemake, (folder, "--dry-run", EEG_FILE), {"config": "real.yaml"})
    assert status == 1
    message = (
        rf"files of the {release} release of sub-01, 1 are missing: {files[-1]}; .* change data\.things_eeg"
    )
    assert re.search(message, text)


def test_filters_concern_raw_recordings_alone(downloaded, pool, rng):
    folder, names = downloaded
    for partition, name in (("train", "train.pt"), ("test", "test.pt")):
        write_ubp(
            folder / "whitened/sub-01" / name,
            rng.standard_normal((2, 4, 63, 250)).astype(np.float16),
            channels=CHANNELS,
            pictures=names[partition],
            sessions=np.zeros((2, 4)),
        )
    write_config(folder, "whitened")
    status, text = pool.apply(run_snakemake, (folder, EEG_FILE), {"config": "real.yaml"})
    assert status == 0, text
    with h5py.File(folder / EEG_FILE) as file:
        assert (file.attrs["release"], file.attrs["unit"], len(file["eeg"])) == ("ubp", "whitened", 16)
    table = pd.read_parquet(folder / "results/pictures/things.parquet")
    assert table["path"].tolist() == [*names["train"], *names["test"]]
    write_config(folder, "whitened", eeg={"highpass": 0.5})
    _, text = pool.apply(run_snakemake, (folder, "--dry-run", EEG_FILE), {"config": "real.yaml"})
    assert "Nothing to be done" in text
