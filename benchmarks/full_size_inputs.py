"""Inputs of the size and format of one subject pair's real files, filled with noise."""

from pathlib import Path

import h5py
import numpy as np
import open_clip
import pandas as pd
import torch
from PIL import Image

from brain2image.datasets.things_eeg2.sequences import SEQUENCE_LENGTH, SOA
from brain2image.datasets.things_eeg2.things_channels import CHANNELS as ORDERED
from brain2image.pairs import clip_embeddings as embeddings
from brain2image.synthetic.concepts import image_metadata
from brain2image.synthetic.heads import CHANNELS
from brain2image.synthetic.latents import nsd_design
from brain2image.synthetic.nsd_files import behaviour_table, write_wds
from brain2image.synthetic.preprocessed_files import write_ubp

N_CONCEPTS, IMAGES_PER_CONCEPT, N_TEST = 1654, 10, 200
N_VOXELS, N_FEATURES, CLIP_WIDTH = 15_724, 4096, 768
N_SESSIONS = 40
PART_SAMPLES, PART_SEQUENCES = 1_090_112, 168  # of one of the five parts of a raw training file
PICTURE = 500  # pixels, as most THINGS pictures
SUBJECT = "subj01"


class Size:
    """The numbers of one subject pair, or that share of them that a quick trial asks for."""

    def __init__(self, share: float):
        self.n_concepts = max(5, round(share * N_CONCEPTS))
        self.n_test = max(5, round(share * N_TEST))
        self.n_sessions = max(1, round(share * N_SESSIONS))
        self.n_voxels = max(32, round(share * N_VOXELS)) if share < 1 else N_VOXELS
        self.n_features = max(32, round(share * N_FEATURES))
        self.n_sequences = max(2, round(share * PART_SEQUENCES))
        self.part_samples = PART_SAMPLES if share == 1 else self.n_sequences * 6500 + 5000
        self.n_pairs = max(20, round(share * 1000))

    @property
    def n_training(self) -> int:
        return self.n_concepts * IMAGES_PER_CONCEPT


def write_things_images(folder: Path, size: Size) -> None:
    """The folders and lists of all pictures; they are small, as this stage looks at names alone."""
    training = [f"concept{i:04d}" for i in range(size.n_concepts)]
    test = [f"test_concept{i:04d}" for i in range(size.n_test)]
    lists = image_metadata(training, test, IMAGES_PER_CONCEPT, seed=0)
    picture = Image.new("RGB", (8, 8))
    for partition, prefix in (("training_images", "train_img"), ("test_images", "test_img")):
        names = zip(lists[f"{prefix}_concepts"], lists[f"{prefix}_files"], strict=True)
        for concept, file in names:
            path = folder / partition / concept / file
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    np.save(folder / "image_metadata.npy", lists, allow_pickle=True)


def write_ubp_subject(folder: Path, images: Path, size: Size) -> None:
    """train.pt and test.pt of white noise."""
    rng, table = np.random.default_rng(0), pd.read_parquet(images)
    folder.mkdir(parents=True, exist_ok=True)
    for partition, n_images, n_repetitions in (("train", size.n_training, 4), ("test", size.n_test, 80)):
        eeg = np.empty((n_images, n_repetitions, len(CHANNELS), 250), np.float16)
        for block in np.array_split(eeg, max(1, n_images // 200)):
            block[:] = rng.standard_normal(block.shape, dtype=np.float32)
        write_ubp(
            folder / f"{partition}.pt",
            eeg,
            channels=ORDERED,
            pictures=table.loc[table["partition"] == partition, "path"].tolist(),
            sessions=np.broadcast_to(np.arange(n_repetitions) * 4 // n_repetitions, eeg.shape[:2]),
        )


def write_raw_session(path: Path, size: Size) -> None:
    """One training session of 2.8 GB: five parts with a step between them, and the pulses of the pictures."""
    rng = np.random.default_rng(0)
    raw = np.empty((len(CHANNELS) + 1, 5 * size.part_samples))
    for channel in raw[:-1]:
        channel[:] = 1e-5 * rng.standard_normal(len(channel), dtype=np.float32)
    raw[-1] = 0
    within = np.arange(size.n_sequences)[:, None] * 6400 + SOA * np.arange(SEQUENCE_LENGTH) + 3000
    for part in range(5):
        start = part * size.part_samples
        raw[:-1, start : start + size.part_samples] += rng.uniform(-3e-4, 3e-4, (len(CHANNELS), 1))
        raw[-1, start + within] = rng.integers(1, size.n_training + 1, within.shape)
    content = {"raw_eeg_data": raw, "ch_names": [*CHANNELS, "stim"], "sfreq": 1000}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, content, allow_pickle=True)


def write_nsd(folder: Path, size: Size) -> None:
    """Betas, behaviour, picture lists, and a pixel file of which nothing is allocated."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    design = nsd_design([SUBJECT], size.n_sessions, share=0.1, seed=0)
    images = design.trials[SUBJECT]
    shared = np.zeros(73_000, dtype=bool)
    shared[design.images[design.shared]] = True
    np.save(folder / "shared1000.npy", shared)
    with h5py.File(folder / "COCO_73k_subj_indices.hdf5", "w") as file:
        file[SUBJECT] = images
    with h5py.File(folder / "coco_images_224_float16.hdf5", "w") as file:
        file.create_dataset("images", (73_000, 3, 224, 224), np.float16, chunks=(1, 3, 224, 224))
    behaviour = behaviour_table(images, shared[images], 1, rng=rng)
    write_wds(folder / "wds" / SUBJECT, behaviour, np.arange(len(images)) // 750, shared[images])
    with h5py.File(folder / f"betas_all_{SUBJECT}_fp32_renorm.hdf5", "w") as file:
        betas = file.create_dataset("betas", (len(images), size.n_voxels), np.float32)
        for start in range(0, len(images), 750):
            betas[start : start + 750] = rng.standard_normal((750, size.n_voxels), dtype=np.float32)


def write_checkpoint(path: Path, size: Size) -> None:
    """A MindEye2 checkpoint whose ridge has the real size and whose backbone is a few numbers."""
    weight = 0.01 * torch.randn(size.n_features, size.n_voxels)
    state = {"ridge.linears.0.weight": weight, "ridge.linears.0.bias": torch.zeros(size.n_features)}
    torch.save({"model_state_dict": state | {"backbone.weight": torch.zeros(64)}}, path)


def write_embeddings(results: Path) -> None:
    """Embeddings of both picture sets with common latents, as CLIP's have, a file for each part of a set."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((48, CLIP_WIDTH), dtype=np.float32)
    for name in ("things", "nsd"):
        for part, rows in pd.read_parquet(results / "pictures" / f"{name}.parquet").groupby("part"):
            latents = rng.standard_normal((len(rows), 48), dtype=np.float32)
            noise = rng.standard_normal((len(rows), CLIP_WIDTH), dtype=np.float32)
            file = results / "clip" / name / f"{part}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            features = latents @ mixing + 3 * noise
            embeddings.write_embeddings(file, rows["image"].to_numpy(), features, clip="random")


def write_pictures(folder: Path, n_pictures: int) -> None:
    """Photograph-like JPEGs for the embedding: smooth fields of colour with some grain."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_pictures):
        field = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((PICTURE, PICTURE))
        grain = rng.integers(-12, 13, (PICTURE, PICTURE, 3))
        Image.fromarray((np.asarray(field) + grain).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:04d}.jpg", quality=92
        )


def write_clip(path: Path, model: str) -> None:
    """Random weights of an open_clip architecture."""
    torch.save(open_clip.create_model(model).state_dict(), path)
