"""The real Snakefile on the smallest run: every rule, the promised files, and what a change makes stale."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from brain2image.evaluation import headline
from brain2image.files import read_trials
from brain2image.releases import THINGS_EEG
from brain2image.synthetic.epochs import write_ubp
from brain2image.things.raw import CHANNELS

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "rules", "workflow", "config", "profiles", "envs", "src", "tests/tiny.yaml"]
PAIR = "sub-01_subj01"

# Jobs downstream of a stage, by what is computed again.
SCORES = Counter(evaluate=5, summarise=1, plot_retrieval=1)
BASELINES = Counter(fit_baseline=2, evaluate=2, summarise=1, plot_retrieval=1, plot_gallery=1)
LMDB = (
    Counter(build_lmdb=1, train=2, predict=2, fit_baseline=2, predict_ceiling=1, plot_training=1)
    + Counter(plot_gallery=3, measure_ceilings=1)
    + SCORES
)
CLUSTERS = Counter(cluster_pairs=1, audit_split=1, plot_pairs=1, plot_clusters=1) + LMDB
SPLITS = Counter(split_pairs=1) + CLUSTERS
MATCHES = Counter(match_images=1) + SPLITS
EMBEDDINGS = Counter(embed_images=2) + MATCHES
RUN = Counter(train=1, predict=1, plot_training=1, plot_gallery=1, evaluate=1, summarise=1, plot_retrieval=1)
RUNS = Counter(train=2, predict=2, plot_training=1, plot_gallery=2, evaluate=2, summarise=1, plot_retrieval=1)
FIGURES = Counter(plot_pairs=1, plot_clusters=1, plot_training=1, plot_retrieval=1, plot_gallery=3)

CONFIG_CHANGES = [
    ("simulate.eeg_snr", 2.0, Counter(simulate_eeg=1, repack_things_eeg=1, audit_split=1) + LMDB),
    (
        "simulate.n_features",
        48,
        Counter(simulate_fmri=1, repack_nsd_fmri=1, extract_ridge=1, project_fmri=1) + MATCHES,
    ),
    ("eeg.highpass", 0.5, Counter(repack_things_eeg=1, audit_split=1) + LMDB),
    ("clip.batch_size", 32, EMBEDDINGS),
    ("matching.top_k", 39, MATCHES),
    ("matching.include_things_test", True, MATCHES),
    ("split.seed", 1, SPLITS),
    ("split.group_by", "image", SPLITS),
    ("clustering.n_clusters", 3, CLUSTERS),
    ("model.hidden_size", 24, RUNS),
    ("model.n_tokens", 3, RUN),  # the run called flatten has no such option
    ("model.linear_axes", 8, RUNS),
    ("runs.flatten.model.hidden_size", 24, RUN),
    ("loss.temperature", 0.1, RUNS),
    ("training.epochs", 3, RUNS),
    ("training.precision", "bf16", RUNS),
    ("baselines", ["ridge"], Counter(summarise=1, plot_retrieval=1)),
    (
        "baselines",
        ["ridge", "two_step", "pls"],
        Counter(fit_baseline=1, evaluate=1, summarise=1, plot_retrieval=1),
    ),
    ("n_seeds", 2, RUNS),
    ("evaluation.n_permutations", 200, SCORES),
]

CODE_CHANGES = [
    (
        "workflow/scripts/simulate_fmri.py",
        Counter(simulate_fmri=1, repack_nsd_fmri=1, extract_ridge=1, project_fmri=1) + MATCHES,
    ),
    ("workflow/scripts/simulate_clip.py", Counter(simulate_clip=1) + EMBEDDINGS),
    (
        "workflow/scripts/predict_ceiling.py",
        Counter(predict_ceiling=1, evaluate=1, summarise=1, plot_retrieval=1),
    ),
    ("src/brain2image/synthetic/eeg.py", Counter(simulate_eeg=1, repack_things_eeg=1, audit_split=1) + LMDB),
    ("workflow/scripts/simulate_cbramod.py", Counter(simulate_cbramod=1) + RUNS),
    (
        "workflow/scripts/repack_things_images.py",
        Counter(repack_things_images=1, repack_things_eeg=1) + EMBEDDINGS - Counter(embed_images=1),
    ),
    (
        "workflow/scripts/repack_nsd_images.py",
        Counter(repack_nsd_images=1) + EMBEDDINGS - Counter(embed_images=1),
    ),
    ("src/brain2image/checkpoints.py", Counter(extract_ridge=1, project_fmri=1, audit_split=1) + LMDB),
    ("src/brain2image/nsd/fmri.py", Counter(repack_nsd_fmri=1, project_fmri=1) + MATCHES),
    (
        "src/brain2image/nsd/mindeye1.py",  # the scripts serve both releases
        Counter(repack_nsd_images=1, repack_nsd_fmri=1, project_fmri=1)
        + EMBEDDINGS
        - Counter(embed_images=1),
    ),
    ("src/brain2image/projection.py", Counter(project_fmri=1, audit_split=1) + LMDB),
    ("src/brain2image/things/signals.py", Counter(repack_things_eeg=1, audit_split=1) + LMDB),
    ("src/brain2image/clip.py", EMBEDDINGS),
    ("src/brain2image/splits.py", SPLITS),
    ("src/brain2image/audit.py", Counter(audit_split=1) + SCORES),
    ("src/brain2image/clustering.py", CLUSTERS),
    ("src/brain2image/lmdb_store.py", LMDB),
    ("src/brain2image/resume.py", RUNS),
    (
        "src/brain2image/losses.py",
        RUNS + BASELINES + Counter(predict_ceiling=1, evaluate=1) - Counter(summarise=1, plot_retrieval=1),
    ),
    ("src/brain2image/regression.py", RUNS),
    ("src/brain2image/models/pooling.py", RUNS),
    ("src/brain2image/queries.py", LMDB - Counter(build_lmdb=1, train=2, plot_training=1)),
    ("src/brain2image/baselines.py", BASELINES + Counter(predict_ceiling=1, evaluate=1)),
    ("src/brain2image/metrics.py", SCORES + Counter(plot_gallery=3, measure_ceilings=1)),
    ("src/brain2image/statistics.py", SCORES),
    ("src/brain2image/ceilings.py", Counter(measure_ceilings=1)),
    ("src/brain2image/comparisons.py", Counter(summarise=1, plot_retrieval=1)),
    ("src/brain2image/figures.py", FIGURES),
    ("workflow/scripts/match_images.py", MATCHES),
    ("workflow/scripts/split_pairs.py", SPLITS),
    ("workflow/scripts/extract_ridge.py", Counter(extract_ridge=1, project_fmri=1, audit_split=1) + LMDB),
    ("workflow/scripts/project_fmri.py", Counter(project_fmri=1, audit_split=1) + LMDB),
    ("workflow/scripts/train.py", RUNS),
    ("workflow/scripts/predict.py", RUNS - Counter(train=2, plot_training=1)),
    ("workflow/scripts/evaluate.py", SCORES),
    ("workflow/scripts/summarise.py", Counter(summarise=1, plot_retrieval=1)),
    ("workflow/scripts/plot_gallery.py", Counter(plot_gallery=3)),
]


def snakemake(folder, *arguments, config="tests/tiny.yaml"):
    """Run Snakemake in a checkout, on that checkout's own package."""
    command = [sys.executable, "-m", "snakemake", "--configfile", config, "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def planned_jobs(folder, **options):
    """Number of jobs of each rule that a dry run lists."""
    result = snakemake(folder, "--dry-run", **options)
    assert result.returncode == 0, result.stderr
    table = re.search(
        r"^Job stats:\njob +count\n-+ +-+\n(.*?)^total",
        result.stderr + result.stdout,
        re.DOTALL | re.MULTILINE,
    )
    if table is None:
        assert "Nothing to be done" in result.stderr + result.stdout
        return Counter()
    return Counter(
        {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE)}
    ) - Counter(["all"])


def copy_checkout(target):
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, target / part)
    return target


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A checkout after its tiny run."""
    folder = copy_checkout(tmp_path_factory.mktemp("checkout") / "repository")
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def test_every_rule_ran(finished):
    files = [file for file in (finished / "rules").glob("*.smk") if file.name != "fetch.smk"]
    rules = re.findall(r"^rule (\w+):", "".join(file.read_text() for file in files), re.MULTILINE)
    logs = {path.stem for path in (finished / "results/logs").glob("*")}
    # simulated subjects have a checkpoint each, so there is nothing to combine; tests/test_subjects.py does
    assert set(rules) == logs | {"combine_projections", "check_data"}


def test_the_files_hold_what_the_design_promises(finished):
    results = finished / "results"
    things = pd.read_parquet(results / "things/images.parquet")
    assert list(things) == ["image", "path", "concept", "partition"]
    nsd = pd.read_parquet(results / "nsd/images.parquet")
    assert list(nsd) == ["image", "row", "shared1000"]
    with h5py.File(results / "things/sub-01/eeg.h5") as file:
        n_trials = len(file["eeg"])
        assert file["eeg"].shape == (n_trials, 63, 200)
        assert file["eeg"].dtype == np.float32
        assert (file.attrs["unit"], file.attrs["sfreq"], file.attrs["t0"]) == ("uV", 200, 0)
        trials = read_trials(file)
        assert list(trials) == ["image", "repetition", "session", "onset"]
        assert len(trials) == n_trials
        assert trials["image"].nunique() == len(things)
    for dataset, table in (("things", things), ("nsd", nsd)):
        assert len(np.load(results / f"clip/{dataset}.npy")) == len(table)
    with (
        h5py.File(results / "nsd/subj01/betas.h5") as betas,
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
    summary = pd.read_csv(results / "summary.csv")
    assert set(summary["run"]) == {"multitoken_vit", "flatten", "ridge", "two_step", "ceiling"}
    assert {"1", "2", "all"} <= set(summary["n_trials"])
    keys = ["pair", "run", "seed", "level", "n_trials", "direction", "n_gallery", "metric"]
    assert not summary.duplicated(keys).any()


def test_pairs_hold_their_promises(finished):
    results = finished / "results"
    pairs = pd.read_parquet(results / f"pairs/{PAIR}.parquet")
    assert list(pairs) == ["things_image", "nsd_image", "similarity", "cluster", "split"]
    assert len(pairs) == 40
    assert pairs["things_image"].is_unique
    assert pairs["nsd_image"].is_unique
    assert pairs["similarity"].is_monotonic_decreasing
    concepts = pd.read_parquet(results / "things/images.parquet").set_index("image")["concept"]
    splits_of_concept = pairs["split"].groupby(concepts[pairs["things_image"]].to_numpy()).nunique()
    assert splits_of_concept.max() == 1


def test_matched_pictures_show_similar_latents(finished):
    latents = np.load(finished / "results/simulated/latents.npz")
    pairs = pd.read_parquet(finished / f"results/pairs/{PAIR}.parquet")
    rows = {image: row for row, image in enumerate(latents["nsd_images"])}
    things = unit(latents["things"][pairs["things_image"]])
    nsd = unit(latents["nsd"][[rows[image] for image in pairs["nsd_image"]]])
    matched, random = np.sum(things * nsd, axis=1), things @ nsd.T
    assert np.median(matched) > np.median(random) + 0.3
    assert np.median(matched) > np.quantile(random, 0.75)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_ceiling_knows_the_answer(finished):
    summary = headline(pd.read_csv(finished / "results/summary.csv")).set_index(["run", "metric"])
    assert summary.loc[("ceiling", "cosine"), "p"] < 0.05


def test_a_second_run_does_nothing(finished):
    assert planned_jobs(finished) == Counter()


def changed_config(folder, key, value):
    """Name of a config file that differs from the tiny one in one key."""
    content = yaml.safe_load((folder / "tests/tiny.yaml").read_text())
    *parents, name = key.split(".")
    block = content
    for parent in parents:
        block = block.setdefault(parent, {})
    block[name] = value
    path = folder / f"{key}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path.name


def test_a_config_change_reruns_exactly_the_stages_that_use_it(finished):
    def plan(change):
        key, value, _ = change
        return planned_jobs(finished, config=changed_config(finished, key, value))

    with ThreadPoolExecutor(2) as threads:
        for (key, _, expected), planned in zip(
            CONFIG_CHANGES, threads.map(plan, CONFIG_CHANGES), strict=True
        ):
            assert planned == expected, key


@pytest.mark.parametrize(("file", "expected"), CODE_CHANGES, ids=[file for file, _ in CODE_CHANGES])
def test_a_code_change_reruns_exactly_the_stages_that_run_it(finished, file, expected):
    path = finished / file
    original = path.read_text()
    try:
        path.write_text(original + "\nCHANGED = True\n")
        assert planned_jobs(finished) == expected
    finally:
        path.write_text(original)


def test_another_subject_reruns_nothing_of_the_first(finished):
    """Only the new pair's jobs run, and those that show all pairs."""
    own = Counter(match_images=1) + SPLITS
    expected = Counter(simulate_eeg=1, repack_things_eeg=1, plot_retrieval=1) + own
    assert (
        planned_jobs(finished, config=changed_config(finished, "pairs", [PAIR, "sub-02_subj01"])) == expected
    )


def test_what_does_not_matter_reruns_nothing(finished, tmp_path):
    """Comments, touched and moved files, spelling of the config."""
    for file in [
        *finished.rglob("src/**/*.py"),
        *finished.rglob("workflow/scripts/*.py"),
        *finished.rglob("rules/*.smk"),
    ]:
        file.write_text(file.read_text() + "\n# a comment\n")
        os.utime(file)
    content = yaml.safe_load((finished / "tests/tiny.yaml").read_text())
    content["simulate"]["eeg_snr"] = 1
    shuffled = {key: content[key] for key in sorted(content)}
    (finished / "shuffled.yaml").write_text(yaml.safe_dump(shuffled))
    assert planned_jobs(finished, config="shuffled.yaml") == Counter()
    moved = tmp_path / "moved"
    shutil.copytree(finished, moved)  # copy2 keeps modification times, as a move would
    assert planned_jobs(moved) == Counter()


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
def test_a_bad_config_stops_before_any_job(tmp_path, config, message):
    folder = copy_checkout(tmp_path)
    (folder / "bad.yaml").write_text(yaml.safe_dump(config))
    result = snakemake(folder, config="bad.yaml")
    assert result.returncode == 1
    assert message in result.stderr
    assert "Execute" not in result.stderr
    assert not (folder / "results").exists()


def squeezed(text):
    """A text without what a table adds to it: frames, and breaks wherever a line is full."""
    return re.sub(r"[\s│]+", "", text)


def test_check_data_says_what_was_found_and_what_is_missing(finished, tmp_path):
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
        result = snakemake(finished, "check_data", config=str(tmp_path / "real.yaml"))
        return result.returncode, squeezed(result.stdout), result.stderr

    status, table, _ = check()
    assert status == 0
    for line in (
        "ok THINGS pictures 48 training and 5 test pictures",
        "ok THINGS-EEG2 sub-01 raw: 8 recordings,",
        "ok NSD subj01 mindeye2: 750 of 30,000 trials, 64 voxels, 250 pictures",
        "ok CLIP weights to be fetched from open_clip's openai: snakemake fetch_weights",
        "ok MindEye2 ridge of subj01 to be fetched from hf://datasets/pscotti/mindeyev2@",
    ):
        assert squeezed(line) in table
    content["pairs"] = ["sub-01_subj02"]
    (raw / "things/images/test_images").rename(raw / "things/images/elsewhere")
    try:
        status, table, errors = check()
    finally:
        (raw / "things/images/elsewhere").rename(raw / "things/images/test_images")
    assert status == 1
    assert squeezed("test_images: no such folder; unpack the picture archives there (OSF y63gw)") in table
    assert squeezed("-- NSD subj02") in table
    assert "check_data: 2 of 6 are missing or wrong; see docs/data.md" in errors


EEG_FILE = "results/things/sub-01/eeg.h5"


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


@pytest.mark.parametrize("release", THINGS_EEG)
def test_the_eeg_release_in_the_folder_is_found(downloaded, release):
    folder, _ = downloaded
    files = [f"{release}/{pattern.format(sub='sub-01')}" for pattern in THINGS_EEG[release]]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    write_config(folder, release)
    result = snakemake(folder, "--dry-run", EEG_FILE, config="real.yaml")
    assert result.returncode == 0, result.stderr
    assert f"input: {', '.join(files)}, results/things/images.parquet" in result.stdout
    assert "input: pictures/train_images, pictures/test_images" in result.stdout
    (folder / files[-1]).unlink()
    result = snakemake(folder, "--dry-run", EEG_FILE, config="real.yaml")
    assert result.returncode == 1
    message = (
        rf"files of the {release} release of sub-01, 1 are missing: {files[-1]}; .* change data\.things_eeg"
    )
    assert re.search(message, result.stdout)


def test_filters_concern_raw_recordings_alone(downloaded, rng):
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
    result = snakemake(folder, EEG_FILE, config="real.yaml")
    assert result.returncode == 0, result.stderr
    with h5py.File(folder / EEG_FILE) as file:
        assert (file.attrs["release"], file.attrs["unit"], len(file["eeg"])) == ("ubp", "whitened", 16)
    table = pd.read_parquet(folder / "results/things/images.parquet")
    assert table["path"].tolist() == [*names["train"], *names["test"]]
    write_config(folder, "whitened", eeg={"highpass": 0.5})
    result = snakemake(folder, "--dry-run", EEG_FILE, config="real.yaml")
    assert "Nothing to be done" in result.stdout + result.stderr
