"""A stand-in for CLIP's published weights: a small random tower that sees what the pictures show."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from einops import rearrange
from open_clip.transformer import VisionTransformer

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.decoding.gallery import half_contrast
from brain2image.synthetic.drawings import Painter
from brain2image.synthetic.latents import generator

N_CALIBRATION = 300  # pictures, of neither set, on which the CLIP projection is fitted
N_TOKENS_SEEN = 100  # of them, by which the tokens are described
PENALTY = 10.0  # of that ridge regression, on standardised features
# The tower's class token averages over patches; positions this strong (of unit scale, where OpenAI's
# initialisation has 0.05) let the layers below the average tell where in the picture a colour is.
POSITION_SCALE = 30.0
BATCH_SIZE = 50


def simulate_clip(
    simulate: Mapping[str, Any], *, model: str, weights: str | Path, tokens: str | Path | None = None
) -> None:
    """Write a checkpoint for open_clip whose picture embedding carries the latents.

    The towers are random. The last projection is a ridge regression from the pooled features of 300
    calibration pictures, of neither picture set, to a random orthonormal embedding of their latents. On new
    pictures the latents are read back from the embedding with an R² of 0.93 (12 latents; 0.73 for 48) with
    ViT-S-32-alt. Numbers are stored as float16; the text tower is of no use.

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    model : an open_clip architecture with a vision transformer, such as ``ViT-S-32-alt``.
    weights : the file to write; ``open_clip.create_model(model, pretrained=weights)`` loads it strictly.
    tokens : where `describe_tokens` is written, which the simulated backbone of MindEye2 is made from.
    """
    seed, n_latents = simulate["seed"], simulate["n_latents"]
    rng = generator(seed, "clip calibration")
    latents = rng.normal(size=(N_CALIBRATION, n_latents))
    clip = _random_clip(model, seed=seed)
    visual: VisionTransformer = clip.visual
    painter = Painter(n_latents, seed=seed)
    with torch.no_grad():
        n_features = visual.proj.shape[1]
        visual.proj = None  # the tower now returns what the projection would get
        pictures = (painter.paint(shown, size=visual.image_size[0], rng=rng) for shown in latents)
        features = _features(visual, pictures)
        mean, std = features.mean(axis=0), features.std(axis=0)
        # The projection has no bias of its own, so the norm before it takes the standardisation.
        visual.ln_post.weight.div_(torch.from_numpy(std))
        visual.ln_post.bias.sub_(torch.from_numpy(mean)).div_(torch.from_numpy(std))
        readout = _ridge((features - mean) / std, latents)
        basis, _ = np.linalg.qr(rng.normal(size=(n_features, n_latents)))
        if tokens:
            shown = [
                painter.paint(picture, size=visual.image_size[0], rng=rng)
                for picture in latents[:N_TOKENS_SEEN]
            ]
            with atomic_path(tokens) as scratch:
                np.savez(
                    scratch, allow_pickle=False, **describe_tokens(visual, shown, latents[:N_TOKENS_SEEN])
                )
        visual.proj = torch.nn.Parameter(torch.from_numpy(readout @ basis.T))
    with atomic_path(weights) as scratch:
        torch.save({name: tensor.half() for name, tensor in clip.state_dict().items()}, scratch)


def describe_tokens(
    visual: VisionTransformer, pictures: Sequence[np.ndarray], latents: np.ndarray
) -> dict[str, np.ndarray]:
    """Fit how the tokens of pale pictures follow from what pictures show, by ridge regression.

    Parameters
    ----------
    pictures : (height, width, 3) from 0 to 1.
    latents : (n_images, n_latents), what they show.

    Returns
    -------
    weight : (n_latents, n_tokens, token_width) float32.
    mean : (n_tokens, token_width) float32.
    """
    visual.output_tokens = True
    colours = half_contrast(visual.image_mean, visual.image_std)
    seen = _features(visual, iter(pictures), **colours)
    visual.output_tokens = False
    flat = seen.reshape(len(seen), -1)
    mean = flat.mean(axis=0)
    weight, shape = _ridge(latents, flat - mean), seen.shape[1:]
    return {
        "weight": weight.reshape(-1, *shape).astype(np.float32),
        "mean": mean.reshape(shape).astype(np.float32),
    }


def _random_clip(model: str, *, seed: int) -> torch.nn.Module:
    """Draw random weights, of the precision that the file will hold, so that the fit is to what is stored."""
    if model not in open_clip.list_models():
        raise InputError(f"config: clip.model: expected an open_clip architecture, got {model!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = open_clip.create_model(model, pretrained=None)
    if not isinstance(clip.visual, VisionTransformer):
        raise InputError(
            f"clip.model: expected a vision transformer to simulate weights for, got {model}; "
            "take ViT-S-32-alt in a configuration with a simulate block"
        )
    with torch.no_grad():
        clip.visual.positional_embedding.mul_(POSITION_SCALE)
    return clip.half().float().eval()


def _features(
    visual: VisionTransformer,
    pictures: Iterator[np.ndarray],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> np.ndarray:
    """Run the tower on pictures (height, width, 3) from 0 to 1; return (n_images, n_features) float32.

    Where it gives tokens, (n_images, n_tokens, token_width) of these.
    """
    colours = mean or visual.image_mean, std or visual.image_std
    means, scales = (np.asarray(values, np.float32) for values in colours)
    batches = []
    while batch := list(islice(pictures, BATCH_SIZE)):
        normalised = (np.stack(batch) - means) / scales
        pixels = rearrange(normalised, "images height width colours -> images colours height width")
        found = visual(torch.from_numpy(pixels))
        batches.append((found[1] if visual.output_tokens else found).numpy())
    return np.concatenate(batches)


def _ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the weights (n_features, n_targets) of (FᵀF + penalty I)⁻¹ Fᵀ T."""
    gram = features.T @ features + PENALTY * np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ targets)
