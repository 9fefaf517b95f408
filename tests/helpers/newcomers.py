"""A run of two people, pictures and a picture encoder, and EEG of somebody new whose channels are rotated."""

import json
from types import SimpleNamespace

import mne
import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.linalg import expm

from brain2image.config import ModelConfig
from brain2image.formats.files import write_json
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.pairs.clip import clip_identity, embed_images
from brain2image.projection.picture_encoder import PictureEncoder, write_picture_encoder
from brain2image.weights.sources import CLIP_CONFIG

CLIP_MODEL = "ViT-S-32-alt"
PREPARATION = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
CHANNELS = ["Fz", "Cz", "Pz", "Oz", "C3", "C4", "P3", "P4", "F3", "F4", "O1", "O2"]  # all in biosemi32
N_PICTURES, N_REPEATS, N_AXES, N_FEATURES = 40, 3, 4, 16
SHA256 = "ab" * 32
LOUDNESS = 5.0  # uV


def write_world(folder):
    """Write the run, its picture encoder, CLIP's weights and the pictures; return where they are."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((N_FEATURES, N_AXES)))[0].T
    offset = rng.standard_normal(N_FEATURES)
    weights = write_clip(folder)
    pictures = write_pictures(folder, rng)
    encoder, coordinates = write_encoder(folder, pictures, weights, axes, offset)
    waves = np.cumsum(rng.standard_normal((N_AXES, len(CHANNELS), 200)), axis=2)
    waves -= waves.mean(axis=(1, 2), keepdims=True)
    pattern = LOUDNESS * waves / waves.std(axis=(1, 2), keepdims=True)
    turn = rng.standard_normal((len(CHANNELS), len(CHANNELS)))
    return SimpleNamespace(
        folder=folder,
        run=write_run(folder / "runs/things-01_subj01/others", pattern, axes, offset),
        pictures=pictures,
        weights=weights,
        encoder=encoder,
        coordinates=coordinates,
        pattern=pattern,
        axes=axes,
        rotation=expm(1.2 * (turn - turn.T) / np.linalg.norm(turn - turn.T, 2)),
    )


def write_clip(folder):
    """Random weights of a small CLIP, and beside them how their pictures are prepared."""
    torch.manual_seed(0)
    (folder / "clip").mkdir()
    path = folder / "clip/clip.pt"
    torch.save(open_clip.create_model(CLIP_MODEL).state_dict(), path)
    write_json(path.with_name(CLIP_CONFIG), {"preprocess_cfg": PREPARATION})
    return path


def write_pictures(folder, rng):
    """Pictures p00.png and so on, of four times four colours."""
    path = folder / "pictures"
    path.mkdir()
    for number in range(N_PICTURES):
        image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        image.resize((32, 32), Image.Resampling.NEAREST).save(path / f"p{number:02}.png")
    return path


def write_encoder(folder, pictures, weights, axes, offset):
    """An encoder of embeddings that span the axes; the coordinates of the pictures on them."""
    images = [Image.open(file).convert("RGB") for file in sorted(pictures.iterdir())]
    options = {"model": CLIP_MODEL, "weights": weights, "batch_size": 64, "n_threads": 2}
    features = embed_images(images, **options)["projected"]
    mean, scale = features.mean(axis=0), features.std(axis=0)
    left, values, right = np.linalg.svd((features - mean) / scale, full_matrices=False)
    coordinates = left[:, :N_AXES] * np.sqrt(len(images))
    weight = right[:N_AXES].T * np.sqrt(len(images)) / values[:N_AXES] @ axes
    clip = clip_identity(CLIP_MODEL, weights, tag=None)
    facts = {"method": "ridge", "layer": "projected", "clip": clip, "checkpoint": "last.pth"}
    facts |= {"sha256": SHA256, "n_pictures": 40, "n_excluded": 0, "r2": 0.5}
    tensors = {"mean": mean, "scale": scale, "offset": offset, "weight": weight}
    tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    path = folder / "projection/things_subj01.encoder.safetensors"
    path.parent.mkdir()
    write_picture_encoder(path, PictureEncoder("ridge", "projected", clip, tensors, facts))
    return path, coordinates


def write_run(folder, pattern, axes, offset, people=("things-01", "things-02"), **said):
    """A run that is its linear path, which reads the axes from the EEG of two people whom it knows."""
    block = {"pooling": "none", "linear_axes": N_AXES, "linear_window": 0.0, "hidden_size": 8}
    layout = EEGLayout(tuple(CHANNELS), 200, 200.0)
    model = AlignmentModel(ModelConfig(**block), layout, N_FEATURES, people)
    rows = pattern.reshape(N_AXES, -1)
    content = {"weight": np.linalg.pinv(rows), "axes": axes, "pattern": rows}
    for name, values in content.items():
        getattr(model.linear_path, name).copy_(torch.from_numpy(values))
    model.target_mean.copy_(torch.from_numpy(offset))
    if people:
        model.person_layer.response.copy_(torch.randn(2, 1, 1).expand(2, len(CHANNELS), 200))
        model.linear_path.person_offset.copy_(torch.tensor([[0.5] * N_AXES, [-0.5] * N_AXES]))
    eeg = {"unit": "uV", "sfreq": 200.0, "n_times": 200, "t0": 0.0, "channels": CHANNELS}
    record = {
        "model": block,
        "eeg": eeg | said,
        "n_features": N_FEATURES,
        "fmri": {"checkpoint": "last.pth", "sha256": SHA256},
        "people_known": list(people),
        "versions": {"brain2image": "0.2.0"},
    }
    folder.mkdir(parents=True)
    write_json(folder / "config.json", record)
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def as_heard(world, coordinates, seed=1, share=1.0):
    """EEG (n, n_channels, 200) uV of somebody new; of a share of 0 noise alone."""
    rng = np.random.default_rng(seed)
    signal = share * np.tensordot(coordinates, world.pattern, axes=1)
    shape = (len(coordinates), len(CHANNELS), 200)
    return world.rotation.T @ (signal + 3 * LOUDNESS * rng.standard_normal(shape)) + 2


def write_epochs(path, eeg, names, channels=CHANNELS):
    """Write trials as MNE's epochs, events by their names."""
    codes = {name: number + 1 for number, name in enumerate(dict.fromkeys(names))}
    numbers = [codes[name] for name in names]
    events = np.column_stack([200 * np.arange(1, len(eeg) + 1), np.zeros(len(eeg)), numbers]).astype(int)
    info = mne.create_info(channels, 200.0, "eeg")
    epochs = mne.EpochsArray(1e-6 * eeg, info, events, event_id=codes, verbose="error")
    epochs.save(path, overwrite=True, fmt="double", verbose="error")
    return path


def read_record(folder):
    return json.loads((folder / "config.json").read_text())
