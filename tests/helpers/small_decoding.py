"""Small files of the way from embeddings to pictures: predictions, backbone, gallery, measured fMRI."""

import h5py
import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

from brain2image.evaluation.predictions import Predictions, write_predictions
from brain2image.formats.hdf5 import write_trials
from brain2image.synthetic.backbone_weights import backbone_state

N_PAIRS, N_FITTED, N_LATENTS = 24, 60, 8
N_FEATURES, N_TOKENS, WIDTH = 10, 4, 12
SOURCE = {"checkpoint": "last.pth", "sha256": "1" * 64}


def write_decoding(folder, *, noise=0.0, seed=0):
    """Write files in which tokens say exactly what an embedding says; return their paths and the pictures.

    The backbone is the simulated one, whose tokens are standardised; they are more alike than different, as
    CLIP's. Test pictures have the ids 100 and on, those to fit on 1000 and on.
    """
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((N_PAIRS + N_FITTED, N_LATENTS))
    oracle = {
        "weight": rng.standard_normal((N_LATENTS, N_FEATURES)),
        "offset": rng.standard_normal(N_FEATURES),
    }
    tokens = {
        "weight": rng.standard_normal((N_LATENTS, N_TOKENS, WIDTH)),
        "mean": 5 * rng.standard_normal((N_TOKENS, WIDTH)),
    }
    embedding = (latents @ oracle["weight"] + oracle["offset"]).astype(np.float32)
    paths = {name: folder / f"{name}.h5" for name in ("gallery", "projection")}
    paths["backbone"] = folder / "backbone.safetensors"
    state = {
        key.removeprefix("backbone."): torch.from_numpy(values)
        for key, values in backbone_state(oracle, tokens).items()
    }
    save_file(state, paths["backbone"], metadata=SOURCE)
    images = np.r_[100 : 100 + N_PAIRS, 1000 : 1000 + N_FITTED]
    with h5py.File(paths["gallery"], "w") as file:
        shown = np.einsum("il,ltw->itw", latents, tokens["weight"]) + tokens["mean"]
        shown = (shown - shown.mean(axis=2, keepdims=True)) / shown.std(axis=2, keepdims=True)
        file["tokens"], file["images"] = shown.astype(np.float16), images
        file["is_fitted"] = images >= 1000
        file.attrs["clip"] = "ViT-tiny, made up"
    with h5py.File(paths["projection"], "w") as file:
        file["embedding"] = embedding
        trials = pd.DataFrame({"image": images, "repetition": 0, "session": 0})
        write_trials(file, trials, SOURCE)
    predicted = embedding[:N_PAIRS] + noise * rng.standard_normal((N_PAIRS, N_FEATURES)).astype(np.float32)
    paths["predictions"] = folder / "predictions.npz"
    write_predictions(paths["predictions"], small_predictions(predicted, embedding[:N_PAIRS]))
    return paths, [painted(picture) for picture in latents]


def read_images(table, root):
    """Pictures as the readers of data sets give them: from a folder of ``ID.png``."""
    return [Image.open(f"{root}/{image}.png").convert("RGB") for image in table["image"]]


def write_pictures(folder, images, pictures):
    """Write such a folder; return the table of its pictures, and how they are read."""
    folder.mkdir()
    for image, picture in zip(images, pictures, strict=True):
        picture.save(folder / f"{image}.png")
    pd.DataFrame({"image": images}).to_parquet(folder / "pictures.parquet")
    reading = {"title": folder.name, "reader": "helpers.small_decoding", "root": str(folder)}
    return folder / "pictures.parquet", reading


def small_predictions(predicted, targets):
    """Predictions of test pairs of one picture a concept."""
    n_pairs = len(targets)
    return Predictions(
        predictions=predicted.astype(np.float32),
        targets=targets,
        eeg_image=np.arange(n_pairs),
        fmri_image=np.arange(100, 100 + n_pairs),
        concept=np.array([f"{number:03d}" for number in range(n_pairs)]),
        target_mean=targets.mean(axis=0),
        repetitions=targets,
        repetition_pair=np.arange(n_pairs),
        target_dependence=np.float64(0),
        by_count={},
    )


def painted(latents):
    """A picture of four fields whose greys follow the first latents."""
    fields = np.clip(128 + 40 * np.append(latents[:3], 0), 0, 255).astype(np.uint8).reshape(2, 2)
    return Image.fromarray(np.kron(fields, np.ones((40, 40), np.uint8))).convert("RGB")
