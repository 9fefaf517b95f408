"""The smallest whole release of every kind that is read, and the function of a script that reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import mne
import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

from brain2image.config import ModelConfig
from brain2image.datasets.alljoined1 import alljoined_eeg
from brain2image.datasets.nsd import betas as fmri
from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd import nsd_images as nsd
from brain2image.datasets.things_eeg2 import things_images as things
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.evaluation.predict import predict_pairs
from brain2image.evaluation.predictions import Predictions, read_predictions, write_predictions
from brain2image.formats.files import write_json
from brain2image.formats.hdf5 import write_trials
from brain2image.formats.surfaces import read_hemisphere
from brain2image.formats.tables import COMPARISONS, SUMMARY, read_npz, read_result, read_table
from brain2image.formats.volumes import read_mask
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.cbramod import CBraMod
from brain2image.pairs.clip import embed_images
from brain2image.pairs.clip_embeddings import read_embeddings, write_embeddings
from brain2image.projection.picture_encoder import (
    FACTS,
    PictureEncoder,
    fit_encoder,
    read_picture_encoder,
    write_picture_encoder,
)
from brain2image.projection.projecting import combine_projections, project_fmri
from brain2image.projection.ridge import extract_ridge
from brain2image.synthetic.brain_mask import simulate_mask
from brain2image.synthetic.cbramod_weights import simulate_cbramod
from brain2image.training_set.lmdb_build import write_lmdb
from brain2image.training_set.means import read_pairs
from brain2image.translation.embeddings import translate
from helpers import alljoined_files as alljoined
from helpers.empty_releases import NSD, THINGS
from helpers.mindeye1_files import draw_trials, write_subject
from helpers.mindeye2_files import (
    draw_indices,
    write_betas,
    write_indices,
    write_pixels,
    write_shared,
    write_tars,
)
from helpers.planted import planted_layout
from helpers.preprocessed_files import SUBJECT as SUB
from helpers.preprocessed_files import pictures_of, subject
from helpers.preprocessed_files import write as write_epochs
from helpers.raw_files import FILTERS, N_TRAIN, make_raw
from helpers.raw_files import N_TEST as N_RAW_TEST
from helpers.toy_surfaces import write_brain

SHORT_FILTERS = {"highpass": 10.0, "lowpass": 70.0, "notch": 50.0}
RAW_TRAINING, RAW_TEST = "ses-01/raw_eeg_training.npy", "ses-01/raw_eeg_test.npy"
HEMISPHERE = ("lh.inflated", "lh.sulc", "lh.func1pt8-to-layerB2.mgz")
CLIP_MODEL = "ViT-S-32-alt"
N_FEATURES, N_VOXELS, N_CHANNELS, N_PAIRS = 8, 6, 4, 6


class Reader(NamedTuple):
    """A kind of release.

    ``write(root)`` makes one, ``read(root, out)`` is what a script calls on it, ``files`` are those that it
    reads.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path, Path], Any]
    files: tuple[str, ...]


def write_things_images(root: Path) -> None:
    lists: dict[str, list[str]] = {}
    for folder, partition in (("training_images", "train"), ("test_images", "test")):
        places = [f"{folder}/{number:05d}_{name}/{name}_01b.jpg" for number, name in enumerate("abc", 1)]
        for place in places:
            (root / place).parent.mkdir(parents=True)
            Image.new("RGB", (8, 6), (90, 100, 200)).save(root / place)
        lists[f"{partition}_img_concepts"] = [place.split("/")[1] for place in places]
        lists[f"{partition}_img_files"] = [place.split("/")[2] for place in places]
    np.save(root / "image_metadata.npy", lists)


def read_things_images(root: Path, out: Path) -> None:
    things.repack_images(root / "training_images", root / "test_images", root / "image_metadata.npy", out=out)


def read_things_picture(root: Path, out: Path) -> Image.Image:
    return things.read_images(pd.DataFrame({"path": ["training_images/00001_a/a_01b.jpg"]}), root)[0]


def write_raw(root: Path) -> None:
    partition = ["train"] * N_TRAIN + ["test"] * N_RAW_TEST
    pd.DataFrame({"partition": partition}).to_parquet(root / "images.parquet")
    (root / "ses-01").mkdir()
    np.save(root / RAW_TRAINING, make_raw(0, n_parts=5, n_images=N_TRAIN))
    np.save(root / RAW_TEST, make_raw(1, n_parts=1, n_images=N_RAW_TEST))


def read_raw(root: Path, out: Path) -> None:
    files = [root / RAW_TRAINING, root / RAW_TEST]
    repack_eeg(files, root / "images.parquet", out=out, **FILTERS)


def read_alljoined(root: Path, out: Path) -> None:
    files = [root / path for path in (*alljoined.paths(1), alljoined.DESIGN)]
    alljoined_eeg.repack_eeg(files, root / "images.parquet", out=out, **alljoined.OPTIONS)


def write_preprocessed(release: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        pictures = {name: pictures_of(name) for name in ("train", "test")}
        tables = [pd.DataFrame({"path": paths, "partition": name}) for name, paths in pictures.items()]
        pd.concat(tables, ignore_index=True).to_parquet(root / "images.parquet")
        write_epochs(root, release, subject())

    return write


def read_preprocessed(release: str) -> Callable[[Path, Path], None]:
    def read(root: Path, out: Path) -> None:
        files = [root / pattern.format(person=SUB) for pattern in THINGS.releases[release]]
        repack_eeg(files, root / "images.parquet", out=out)

    return read


def write_mindeye2(root: Path) -> None:
    """One session of subj01, and the pictures."""
    indices = draw_indices(0)[:750]
    write_indices(root / "indices.hdf5", subj01=indices)
    write_shared(root / "shared1000.npy")
    write_tars(root / "subj01", indices)
    rng = np.random.default_rng(1)
    write_betas(root / "betas.hdf5", rng.standard_normal((750, N_VOXELS)).astype(np.float32))


def read_mindeye2(root: Path, out: Path) -> None:
    names = ("betas.hdf5", "indices.hdf5", "shared1000.npy", "subj01")
    fmri.repack_fmri(*(root / name for name in names), subject="subj01", out=out)


def write_nsd_images(root: Path) -> None:
    write_pixels(root / nsd.PIXELS, {7: np.full((3, 224, 224), 0.5)})
    write_indices(root / "indices.hdf5", subj01=draw_indices(0)[:750])
    write_shared(root / "shared1000.npy")


def read_nsd_images(root: Path, out: Path) -> None:
    names = (nsd.PIXELS, "indices.hdf5", "shared1000.npy")
    nsd.repack_images(*(root / name for name in names), out=out)


def read_nsd_picture(root: Path, out: Path) -> Image.Image:
    return nsd.read_images(pd.DataFrame({"image": [7], "row": [7]}), root)[0]


def write_nsd_mask(root: Path) -> None:
    simulate_mask(N_VOXELS, out=root / "mask.nii.gz")


def read_nsd_mask(root: Path, out: Path) -> None:
    read_mask(root / "mask.nii.gz", n_voxels=N_VOXELS)


def write_nsd_hemisphere(root: Path) -> None:
    for path, name in zip(write_brain(root / "nsddata", n_voxels=N_VOXELS)[1:4], HEMISPHERE, strict=True):
        path.rename(root / name)


def read_nsd_hemisphere(root: Path, out: Path) -> None:
    read_hemisphere(*(root / name for name in HEMISPHERE))


def write_mindeye1(root: Path) -> None:
    write_subject(root, "subj01", *draw_trials(1))
    tars = NSD.find_release({"nsd": str(root)}, "subj01", must_exist=True).files
    mindeye1.repack_images(*tars, out=root / "images.parquet")


def read_mindeye1(root: Path, out: Path) -> None:
    mindeye1.repack_fmri(*_tars(root), subject="subj01", out=out)


def read_mindeye1_images(root: Path, out: Path) -> None:
    mindeye1.repack_images(*_tars(root), out=out)


def read_mindeye1_pictures(root: Path, out: Path) -> list[Image.Image]:
    return list(nsd.read_images(pd.read_parquet(root / "images.parquet"), root))


def _tars(root: Path) -> list[Path]:
    return [root / pattern.format(person="subj01") for pattern in NSD.releases["mindeye1"]]


def write_checkpoint(root: Path, **change: torch.Tensor | None) -> None:
    ridge = {"weight": torch.ones(N_FEATURES, N_VOXELS), "bias": torch.zeros(N_FEATURES)} | change
    tensors = {f"ridge.linears.0.{name}": tensor for name, tensor in ridge.items() if tensor is not None}
    torch.save({"model_state_dict": tensors | {"backbone": torch.zeros(3)}}, root / "last.pth")


def read_checkpoint(root: Path, out: Path) -> None:
    extract_ridge(str(root / "last.pth"), subject="subj01", out=out)


def write_ridge(root: Path, weight: torch.Tensor, bias: torch.Tensor) -> None:
    source = {"checkpoint": "last.pth", "sha256": "ab" * 32}
    save_file({"weight": weight, "bias": bias}, root / "ridge.safetensors", metadata=source)


def write_betas_and_ridge(root: Path) -> None:
    betas = np.random.default_rng(1).standard_normal((10, N_VOXELS)).astype(np.float32)
    with h5py.File(root / "betas.h5", "w") as file:
        file["betas"] = betas
        write_trials(file, trials(np.arange(10)))
    write_ridge(root, torch.ones(N_FEATURES, N_VOXELS), torch.zeros(N_FEATURES))


def trials(images: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"image": images, "session": 0})
    table.insert(1, "repetition", table.groupby("image").cumcount())
    return table


def read_betas_and_ridge(root: Path, out: Path) -> None:
    project_fmri(root / "betas.h5", root / "ridge.safetensors", out=out)


def write_projection(path: Path, **source: str) -> None:
    images = np.repeat(np.arange(N_PAIRS), 2)
    embedding = np.random.default_rng(2).standard_normal((len(images), N_FEATURES))
    with h5py.File(path, "w") as file:
        file["embedding"] = embedding.astype(np.float32)
        write_trials(file, trials(images), {"checkpoint": "last.pth", "sha256": "ab" * 32} | source)


def write_projections(root: Path) -> None:
    for number in (1, 2):
        write_projection(root / f"subj0{number}.h5")


def read_projections(root: Path, out: Path) -> None:
    names = ["subj01", "subj02"]
    combine_projections([root / f"{name}.h5" for name in names], subjects=names, out=out)


def write_lmdb_sources(root: Path) -> None:
    write_projection(root / "projection.h5")
    images = np.repeat(np.arange(N_PAIRS), 2)
    eeg = 20 * np.random.default_rng(3).standard_normal((len(images), N_CHANNELS, 200))
    channels = [f"E{number}" for number in range(N_CHANNELS)]
    attributes = {"unit": "uV", "sfreq": 200.0, "t0": 0.0, "channels": channels}
    with h5py.File(root / "eeg.h5", "w") as file:
        file["eeg"] = eeg.astype(np.float32)
        write_trials(file, trials(images), attributes)


def pairs() -> pd.DataFrame:
    split = np.resize(["train", "val", "test"], N_PAIRS)
    images = {"eeg_image": np.arange(N_PAIRS), "fmri_image": np.arange(N_PAIRS)}
    return pd.DataFrame(images | {"similarity": 0.5, "concept": "a", "cluster": 0, "split": split})


def read_lmdb_sources(root: Path, out: Path) -> None:
    files = {"eeg": root / "eeg.h5", "projection": root / "projection.h5"}
    pictures = pd.DataFrame({"image": range(N_PAIRS), "partition": "train"})
    write_lmdb(out, **files, pairs=pairs(), eeg_pictures=pictures)


def write_training_set(root: Path) -> None:
    write_lmdb_sources(root)
    read_lmdb_sources(root, root / "pairs.lmdb")


def read_training_set(root: Path, out: Path) -> Any:
    return read_pairs(root / "pairs.lmdb", "train")


def write_run(root: Path) -> None:
    write_training_set(root)
    block = {"n_layers": 1, "hidden_size": 8, "n_tokens": 2, "pooling": "attention"}
    layout = planted_layout(N_CHANNELS)
    model = AlignmentModel(ModelConfig(**block), layout, N_FEATURES)
    eeg = {**layout._asdict(), "unit": "uV", **SHORT_FILTERS}
    content = {"model": block, "eeg": eeg, "n_features": N_FEATURES, "fmri": {"sha256": "ab" * 32}}
    write_json(root / "config.json", content)
    save_file(model.state_dict(), root / "model.safetensors")


def read_run(root: Path, out: Path) -> None:
    predict_pairs(root / "model.safetensors", root / "pairs.lmdb", out=out)


def write_new_eeg(root: Path) -> None:
    """Twelve seconds of four channels in every format, and the pictures to choose from."""
    write_run(root)
    write_projection(root / "gallery.h5")
    rng = np.random.default_rng(4)
    info = mne.create_info([f"E{number}" for number in range(N_CHANNELS)], 200, "eeg")
    raw = mne.io.RawArray(2e-5 * rng.standard_normal((N_CHANNELS, 2400)), info, verbose="error")
    raw.set_annotations(mne.Annotations(np.arange(2, 10, 0.4) + 1e-5, 0, "picture"))
    raw.save(root / "a_raw.fif", verbose="error")
    for name in ("a.edf", "b_eeg.vhdr"):
        mne.export.export_raw(root / name, raw, verbose="error")
    (root / "b_events.tsv").write_text("onset\tduration\ttrial_type\n2.0\t0.1\tcat\n3.1\t0.1\tdog\n")
    epochs = mne.Epochs(raw, baseline=None, tmin=0, tmax=1, preload=True, verbose="error")
    epochs.save(root / "a-epo.fif", verbose="error")
    np.save(root / "a.npy", (1e6 * epochs.get_data()).astype(np.float32))


def read_new_eeg(name: str, **options: Any) -> Callable[[Path, Path], Any]:
    return lambda root, out: translate(root / name, root, gallery=root / "gallery.h5", top_k=2, **options)


def write_prediction_file(root: Path) -> None:
    embeddings = np.ones((N_PAIRS, N_FEATURES), np.float32)
    content = Predictions(
        predictions=embeddings,
        targets=embeddings,
        eeg_image=pairs()["eeg_image"].to_numpy(),
        fmri_image=pairs()["fmri_image"].to_numpy(),
        concept=pairs()["concept"].to_numpy(str),
        target_mean=embeddings[0],
        repetitions=embeddings,
        repetition_pair=np.arange(len(embeddings)),
        target_dependence=np.array(0.0),
        by_count={1: embeddings[None]},
    )
    write_predictions(root / "predictions.npz", content)


def write_results(root: Path) -> None:
    """What stages hand to each other as tables, arrays and JSON."""
    pictures = pd.DataFrame({"image": range(9), "path": "a/b.jpg", "concept": "a", "partition": "train"})
    pictures.to_parquet(root / "images.parquet", index=False)
    pairs().to_parquet(root / "pairs.parquet", index=False)
    history = pd.DataFrame({"epoch": range(9), "train_loss": 1.5, "val_loss": 1.25, "val_top1": 0.5})
    history.loc[0, "train_loss"] = np.nan  # before the first step
    history.to_csv(root / "history.csv", index=False)
    scores = {
        "brains": "things-01_subj01",
        "run": ["a", "ridge"],
        "seed": [0, None],
        "n_test": 9,
        "n_concepts": 9,
        "n_passed_over": 3,
        "learned_from": "both, 20 pictures",
        "best_epoch": [2, None],
        "network_share": [0.5, None],
        "people": ["own", "own"],
        "n_calibration": [None, None],
        "n_calibration_trials": [None, None],
        "level": "image",
        "space": "embedding",
    }
    scores |= {"n_trials": ["all", "1"], "direction": "forward", "n_gallery": 9, "metric": "top1"}
    scores |= {
        "value": 0.5,
        "chance": 0.1,
        "p": 0.01,
        "low": [0.4, None],
        "high": 0.6,
        "share_of_ceiling": None,
    }
    pd.DataFrame(scores).to_csv(root / "summary.csv", index=False)
    row = {"brains": "all", "run": "a", "baseline": "ridge", "metric": "top1", "difference": 0.1}
    pd.DataFrame([row | dict.fromkeys(("low", "high", "p", "p_floor", "p_holm"), 0.05)]).to_csv(
        root / "comparisons.csv", index=False
    )
    (root / "job.tsv").write_text("s\th:m:s\tmax_rss\tcpu_time\n4.5\t0:00:04\t-\t1.5\n")
    write_embeddings(root / "clip.npz", np.arange(9), np.ones((9, 4), np.float32), clip="ViT, tag")
    np.savez(root / "oracle.npz", weight=np.ones(3))
    write_json(root / "metrics.json", {"n_test": 9, "scores": [1.0] * 9, "audit": {}})


def write_encoder(root: Path) -> None:
    rng = np.random.default_rng(0)
    features, targets = (rng.standard_normal((30, n)).astype(np.float32) for n in (4, 3))
    splits = [(np.arange(15), np.arange(15, 30))]
    encoder = fit_encoder(
        features, targets, splits, method="kernel_ridge", layer="projected", clip="ViT, tag"
    )
    facts = {name: getattr(encoder, name, 0) for name in FACTS}
    write_picture_encoder(root / "encoder.safetensors", encoder._replace(facts=facts))


def read_encoder(root: Path, out: Path) -> PictureEncoder:
    return read_picture_encoder(root / "encoder.safetensors")


def result(name: str, read: Callable[..., Any], *arguments: Any, **options: Any) -> Reader:
    return Reader(write_results, lambda root, out: read(root / name, *arguments, **options), (name,))


def write_clip(root: Path) -> None:
    import open_clip

    torch.save(open_clip.create_model(CLIP_MODEL).state_dict(), root / "clip.pt")


def read_clip(root: Path, out: Path) -> dict[str, np.ndarray]:
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    options = {"model": CLIP_MODEL, "batch_size": 2, "n_threads": 1, "preprocess": preprocess}
    return embed_images([Image.new("RGB", (9, 9))], weights=root / "clip.pt", **options)


def write_cbramod(root: Path) -> None:
    simulate_cbramod(seed=0, weights=root / "cbramod.pth")


def read_cbramod(root: Path, out: Path) -> CBraMod:
    return CBraMod(n_layers=1).load_pretrained(root / "cbramod.pth")


EPOCHS = {
    release: Reader(
        write_preprocessed(release),
        read_preprocessed(release),
        tuple(pattern.format(person=SUB) for pattern in THINGS.releases[release]),
    )
    for release in ("ubp", "nice", "neurobridge")
}
TARS = ("train/train_subj01_3", "val/val_subj01_0", "test/test_subj01_1")
TARS = tuple(f"webdataset_avg_new/{name}.tar" for name in TARS)
ARRAY = {"unit": "uV", "sfreq": 200, "channels": [f"E{number}" for number in range(N_CHANNELS)]}
READERS = {
    "things images": Reader(write_things_images, read_things_images, ("image_metadata.npy",)),
    "things picture": Reader(
        write_things_images, read_things_picture, ("training_images/00001_a/a_01b.jpg",)
    ),
    "raw": Reader(write_raw, read_raw, (RAW_TRAINING,)),
    "alljoined": Reader(alljoined.write_alljoined, read_alljoined, (*alljoined.paths(1), alljoined.DESIGN)),
    **EPOCHS,
    "mindeye2": Reader(
        write_mindeye2,
        read_mindeye2,
        ("betas.hdf5", "indices.hdf5", "shared1000.npy", "subj01/train/0.tar", "subj01/new_test/0.tar"),
    ),
    "nsd images": Reader(write_nsd_images, read_nsd_images, (nsd.PIXELS, "indices.hdf5", "shared1000.npy")),
    "nsd picture": Reader(write_nsd_images, read_nsd_picture, (nsd.PIXELS,)),
    "nsd mask": Reader(write_nsd_mask, read_nsd_mask, ("mask.nii.gz",)),
    "nsd hemisphere": Reader(write_nsd_hemisphere, read_nsd_hemisphere, (*HEMISPHERE,)),
    "mindeye1": Reader(write_mindeye1, read_mindeye1, TARS),
    "mindeye1 images": Reader(write_mindeye1, read_mindeye1_images, TARS),
    "mindeye1 pictures": Reader(write_mindeye1, read_mindeye1_pictures, TARS),
    "checkpoint": Reader(write_checkpoint, read_checkpoint, ("last.pth",)),
    "project": Reader(write_betas_and_ridge, read_betas_and_ridge, ("betas.h5", "ridge.safetensors")),
    "combine": Reader(write_projections, read_projections, ("subj01.h5", "subj02.h5")),
    "clip": Reader(write_clip, read_clip, ("clip.pt",)),
    "cbramod": Reader(write_cbramod, read_cbramod, ("cbramod.pth",)),
    "write lmdb": Reader(write_lmdb_sources, read_lmdb_sources, ("eeg.h5", "projection.h5")),
    "lmdb": Reader(write_training_set, read_training_set, ("pairs.lmdb",)),
    "run": Reader(write_run, read_run, ("config.json", "model.safetensors")),
    "new fif": Reader(write_new_eeg, read_new_eeg("a_raw.fif"), ("a_raw.fif",)),
    "new edf": Reader(write_new_eeg, read_new_eeg("a.edf"), ("a.edf",)),
    # what else belongs to it may be missing or cut: markers, samples and events.tsv do not know each other
    "new bids": Reader(write_new_eeg, read_new_eeg("b_eeg.vhdr"), ("b_eeg.vhdr",)),
    "new epochs": Reader(write_new_eeg, read_new_eeg("a-epo.fif"), ("a-epo.fif",)),
    "new array": Reader(write_new_eeg, read_new_eeg("a.npy", **ARRAY), ("a.npy",)),
    "gallery": Reader(write_new_eeg, read_new_eeg("a.npy", **ARRAY), ("gallery.h5",)),
    "pictures table": result("images.parquet", read_table, ["image", "path", "concept", "partition"]),
    "pairs table": result("pairs.parquet", read_table, ["eeg_image", "fmri_image", "split"]),
    "history": result("history.csv", read_table, ["epoch", "train_loss", "val_loss", "val_top1"]),
    "summary": result("summary.csv", read_table, SUMMARY),
    "comparisons": result("comparisons.csv", read_table, COMPARISONS),
    "benchmark": result("job.tsv", read_table, ["s", "cpu_time", "max_rss"]),
    "embeddings": result("clip.npz", lambda path: read_embeddings([path])),
    "picture encoder": Reader(write_encoder, read_encoder, ("encoder.safetensors",)),
    "planted": result("oracle.npz", read_npz, what="planted arrays", names=["weight"]),
    "metrics": result("metrics.json", read_result, ["n_test", "scores", "audit"]),
    "predictions": Reader(
        write_prediction_file,
        lambda root, out: read_predictions(root / "predictions.npz"),
        ("predictions.npz",),
    ),
}
