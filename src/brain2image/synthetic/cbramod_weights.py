"""A stand-in for CBraMod's published weights."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from brain2image.core.atomic import atomic_path
from brain2image.synthetic.latents import generator


def simulate_cbramod(*, seed: int, weights: str | Path) -> None:
    """Write randomly initialised weights as CBraMod publishes its own: a bare OrderedDict of 211 tensors.

    Weights are Kaiming-normal with ReLU gain (fan-in), norms 1, biases and the mask token 0.
    Source: names and shapes of https://huggingface.co/weighting666/CBraMod.
    """
    rng = generator(seed, "cbramod")
    state = OrderedDict((name, _initial(name, shape, rng=rng)) for name, shape in cbramod_shapes().items())
    with atomic_path(weights) as scratch:
        torch.save(state, scratch)


def cbramod_shapes() -> dict[str, tuple[int, ...]]:
    """List the shape of each tensor in CBraMod's published weights; 4,924,000 numbers in all."""
    patch = {
        "mask_encoding": (200,),
        **_layer("positional_encoding.0", (200, 1, 19, 7)),
        **_layer("proj_in.0", (25, 1, 1, 49)),
        **_layer("proj_in.1", (25,)),
        **_layer("proj_in.3", (25, 25, 1, 3)),
        **_layer("proj_in.4", (25,)),
        **_layer("proj_in.6", (25, 25, 1, 3)),
        **_layer("proj_in.7", (25,)),
        **_layer("spectral_proj.0", (200, 101)),
    }
    attention = {"in_proj_weight": (300, 100), "in_proj_bias": (300,), **_layer("out_proj", (100, 100))}
    block = {
        **{f"self_attn_{axis}.{name}": shape for axis in "st" for name, shape in attention.items()},
        **_layer("linear1", (800, 200)),
        **_layer("linear2", (200, 800)),
        **_layer("norm1", (200,)),
        **_layer("norm2", (200,)),
    }
    return {
        **{f"patch_embedding.{name}": shape for name, shape in patch.items()},
        **{f"encoder.layers.{i}.{name}": shape for i in range(12) for name, shape in block.items()},
        **_layer("proj_out.0", (200, 200)),
    }


def _layer(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _initial(name: str, shape: tuple[int, ...], *, rng: np.random.Generator) -> torch.Tensor:
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    fan_in = np.prod(shape[1:])
    return torch.from_numpy(rng.normal(scale=np.sqrt(2 / fan_in), size=shape).astype(np.float32))
