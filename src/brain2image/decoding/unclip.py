"""Pictures drawn from tokens by MindEye2's unCLIP.

Scotti et al., "MindEye2", ICML 2024. Written anew after what ``unclip_recon`` of
https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/utils.py samples with the settings of
src/recon_inference.ipynb and src/generative_models/configs/unclip6.yaml there: Euler's method (Karras et al.,
arXiv:2206.00364, algorithm 1, no churn) in 38 steps over SDXL's noise levels, guided 5-fold away from what is
drawn from random tokens (arXiv:2207.12598), from noise that has an offset (0.04 of a number a picture).
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.decoding.stored import extract_network, load_network
from brain2image.decoding.unclip_network import LATENTS, TIME_IDS, UNCLIP, Unclip
from brain2image.formats.precision import allow_tf32

STEPS = 38
SIDE = 768  # pixels
GUIDANCE = 5.0
OFFSET = 0.04
N_TIMES = 1000
BETAS = (0.00085, 0.012)  # of the first and the last time; between them the square roots are evenly spaced
BLOCK_TRIALS = 4


class Noise(NamedTuple):
    """Standard normal noise of a block of trials, float32.

    start, noise : (B, 4, height, width) each; the published start is noise, to which noise is added.
    offset : (B, 1, 1, 1), a number a picture.
    """

    start: Tensor
    noise: Tensor
    offset: Tensor


def noise_levels(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the times that sampling passes through, from the noisiest on, and how noisy they are.

    ``sigma = sqrt((1 - a) / a)`` with ``a`` the product of ``1 - beta`` up to that time.

    Parameters
    ----------
    steps : how many of the 1,000 times are used.

    Returns
    -------
    times : (steps,) int64.
    sigmas : (steps + 1,) float32, the last one 0.

    Raises
    ------
    InputError
        When the steps are too few or too many.
    """
    if not 1 <= steps <= N_TIMES:
        raise InputError(f"expected 1 to {N_TIMES} steps of the unCLIP, got {steps}; correct it")
    times = np.arange(N_TIMES)[::-1]
    if steps < N_TIMES:
        times = np.linspace(N_TIMES - 1, 0, steps, endpoint=False).astype(np.int64)
    first, last = np.sqrt(BETAS)
    kept = np.cumprod(1 - np.linspace(first, last, N_TIMES) ** 2)[times]
    return times, np.append(np.sqrt(((1 - kept) / kept).astype(np.float32)), np.float32(0))


def sample_latents(
    unclip: Unclip, tokens: Tensor, away: Tensor, noise: Noise, *, steps: int = STEPS
) -> Tensor:
    """Draw latents of pictures.

    Parameters
    ----------
    tokens : (B, n_tokens, token_width) float32, what to draw.
    away : of the same shape, standard normal noise: what guidance leads away from.
    noise : what the sampling starts from.
    steps : see `noise_levels`.

    Returns
    -------
    (B, 4, height, width) float32.
    """
    times, sigmas = noise_levels(steps)
    device = tokens.device
    moments = torch.from_numpy(times.copy()).to(device)
    time_ids = torch.tensor(TIME_IDS, dtype=torch.float32).to(device)
    both = torch.cat([away, tokens])
    latents = noise.start + float(sigmas[0]) * (noise.noise + OFFSET * noise.offset)
    for step, (sigma, following) in enumerate(pairwise(sigmas.tolist())):
        scaled = (latents / (sigma**2 + 1) ** 0.5).repeat(2, 1, 1, 1)
        with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
            unguided, guided = unclip.noise(scaled, moments[step], both, time_ids).chunk(2)
        latents = latents + (following - sigma) * (unguided + GUIDANCE * (guided - unguided))
    return latents


def extract_unclip(checkpoint: str, *, out: str | Path, dtype: str = "float16") -> None:
    """Write what draws of MindEye2's unCLIP as a safetensors file; of one on a server nothing else is read.

    Of UNet and decoder, 10.2 GB are read in float32, and 5.2 GB written in half precision. The encoder of
    pictures is left out, and so is CLIP. See `stored.extract_network`.

    Raises
    ------
    InputError
        As there, and where diffusers is not installed.
    """
    extract_network(checkpoint, UNCLIP, dtype=dtype, out=out)


def load_unclip(path: str | Path) -> Unclip:
    """Load a file of `extract_unclip`; see `stored.load_network`."""
    return cast(Unclip, load_network(path, UNCLIP))


def sample_pictures(
    unclip: Unclip,
    tokens: np.ndarray,
    *,
    seed: int,
    steps: int = STEPS,
    n_samples: int = 1,
    side: int = SIDE,
    block_trials: int = BLOCK_TRIALS,
) -> Iterator[np.ndarray]:
    """Draw pictures from tokens, block by block of trials, on a GPU where there is one.

    The noise of a trial follows from the seed and its row alone, and is drawn on the CPU: it is the same on
    every device and for every size of the blocks, and the first sample for every number of samples.

    On a GPU the UNet computes in float16, its norms and the sampling in float32, as published. The decoder
    computes in float32 everywhere, with weights in float32: in half precision its values overflow. On a CPU
    all is float32, which takes 10.2 GB for the published weights.

    Parameters
    ----------
    tokens : (n_trials, n_tokens, token_width) float32, of the prior or the backbone.
    seed : of the noise, 0 or more.
    steps : see `noise_levels`; the published pictures have 38.
    n_samples : pictures a trial, each from noise of its own.
    side : height and width in pixels, a multiple of 8 (a latent of the published decoder).
    block_trials : how many trials are drawn at a time.

    Yields
    ------
    (block_trials or fewer, n_samples, side, side, 3) uint8.

    Raises
    ------
    InputError
        When the tokens are of another width or not finite, the steps or the size impossible, or a picture is
        not finite.
    """
    width, shrinkage = unclip.sizes.token_width, unclip.shrinkage
    if tokens.ndim != 3 or tokens.shape[2] != width:
        raise InputError(
            f"expected tokens of shape (n_trials, n_tokens, {width}), as the unCLIP has them, got "
            f"{tokens.shape}; use those of a MindEye2 prior or backbone"
        )
    if side < shrinkage or side % shrinkage:
        raise InputError(f"expected pictures of a multiple of {shrinkage} pixels, got {side}; correct it")
    noise_levels(steps)  # what is wrong with them is said before the network is moved
    device = compute_device()
    allow_tf32("fp32")
    unclip = unclip.float() if device == "cpu" else unclip.to(device)
    size = (LATENTS, side // shrinkage, side // shrinkage)
    for start in range(0, len(tokens), block_trials):
        block = np.array(tokens[start : start + block_trials], np.float32)
        rows = range(start, start + len(block))
        generators = [np.random.default_rng([seed, row]) for row in rows]
        away = _normal(generators, block.shape[1:]).to(device)
        given = torch.from_numpy(block).to(device)
        samples = []
        for _ in range(n_samples):
            noise = Noise(*(_normal(generators, shape).to(device) for shape in (size, size, (1, 1, 1))))
            with torch.no_grad():
                latents = sample_latents(unclip, given, away, noise, steps=steps)
                decoded = [unclip.decode(one) for one in latents.split(1)]
            samples.append(_as_bytes(decoded, rows))
        yield np.stack(samples, axis=1)


def _normal(generators: list[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Draw (B, *shape) float32, each row by its own generator."""
    return torch.from_numpy(np.stack([own.standard_normal(shape, np.float32) for own in generators]))


def _as_bytes(decoded: list[Tensor], rows: range) -> np.ndarray:
    """Turn decoded pictures, (1, 3, side, side) each, into (B, side, side, 3) uint8, as published."""
    values = (torch.cat(decoded) * 0.8 + 0.2).cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(
            f"expected finite pictures of trials {rows.start} to {rows.stop - 1}, got NaN or infinity; look "
            "for values out of all proportion in their embedding, or draw on a CPU, which computes in float32"
        )
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
