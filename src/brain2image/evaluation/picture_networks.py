"""Features of pictures by the networks with which the field compares drawn pictures and seen ones.

Which layers, at which size, follows src/final_evaluations.ipynb of
https://github.com/MedARC-AI/MindEyeV2/blob/c184718. The networks are torchvision's, their weights files that
the user has: https://docs.pytorch.org/vision/stable/models.html, and for SwAV
https://github.com/facebookresearch/swav (``swav_800ep_pretrain.pth.tar``).
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.formats.precision import allow_tf32
from brain2image.models.published_weights import check_weights, read_weights

SIDE = 256  # pixels, to which all pictures are brought first
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours, from 0 to 1
BLOCK_IMAGES = 32
# A batch norm's count, which nothing computes with, and which older files do not have.
COUNTER = "num_batches_tracked"


class PictureNetwork(NamedTuple):
    """A network and the features that are taken of it.

    build : makes the module, without weights.
    layers : of each metric, the module whose output it takes.
    side : pixels, to which a picture is brought.
    file : how the published weights are called.
    prefix : which all keys of that file begin with.
    others : how keys begin, behind the prefix, of parts that the network has not.
    """

    build: Callable[[], nn.Module]
    layers: Mapping[str, str]
    side: int
    file: str
    prefix: str = ""
    others: tuple[str, ...] = ()


def _build(name: str, **options: Any) -> nn.Module:
    import torchvision

    return getattr(torchvision.models, name)(**options)


def _build_swav() -> nn.Module:
    network = _build("resnet50")
    network.fc = nn.Identity()  # SwAV learns without classes
    return network


NETWORKS = {
    "alexnet": PictureNetwork(
        partial(_build, "alexnet"),
        {"alexnet_2": "features.4", "alexnet_5": "features.11"},
        256,
        "alexnet-owt-7be5be79.pth",
    ),
    "inception_v3": PictureNetwork(
        partial(_build, "inception_v3", transform_input=True, init_weights=False),
        {"inception_v3": "avgpool"},
        342,
        "inception_v3_google-0cc3c7bd.pth",
    ),
    "efficientnet_b1": PictureNetwork(
        partial(_build, "efficientnet_b1"),
        {"efficientnet_b1": "avgpool"},
        255,
        "efficientnet_b1-c27df63c.pth",
    ),
    "swav": PictureNetwork(
        _build_swav,
        {"swav": "avgpool"},
        224,
        "swav_800ep_pretrain.pth.tar",
        prefix="module.",
        others=("projection_head.", "prototypes."),
    ),
}


def load_picture_network(name: str, path: str | Path) -> nn.Module:
    """Load a network of `NETWORKS` from its file of published weights, of exactly these keys and shapes.

    Raises
    ------
    InputError
        When the file is missing, damaged, not finite, or of another network.
    """
    network = NETWORKS[name]
    remedy = f"use {network.file}"
    weights = read_weights(path, model=name, remedy=remedy)
    weights = {key.removeprefix(network.prefix): values for key, values in weights.items()}
    others = (*network.others, "\0")
    weights = {key: values for key, values in weights.items() if not key.startswith(others)}
    with torch.device("meta"):
        module = network.build()
    expected = {key: values.shape for key, values in module.state_dict().items()}
    counters = {key: torch.tensor(0) for key in expected if key.endswith(COUNTER)}
    check_weights(counters | weights, expected, source=path, model=name, remedy=remedy)
    module.load_state_dict(counters | weights, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def picture_features(
    name: str, path: str | Path, *pictures: np.ndarray, block_images: int = BLOCK_IMAGES
) -> dict[str, list[np.ndarray]]:
    """Compute features of pictures, on a GPU where there is one, in float32.

    Of a thousand pictures, those of ``alexnet_2`` take 0.74 GB.

    Parameters
    ----------
    name : of `NETWORKS`.
    path : file of its weights.
    pictures : (n_images, height, width, 3) uint8 each, of any size.

    Returns
    -------
    Of each metric, an array of (n_images, n_features) float32 for each of ``pictures``.

    Raises
    ------
    InputError
        As `load_picture_network`.
    """
    module, network = load_picture_network(name, path), NETWORKS[name]
    device = compute_device()
    allow_tf32("fp32")
    module = module.to(device)
    seen: dict[str, Tensor] = {}
    for metric, layer in network.layers.items():
        module.get_submodule(layer).register_forward_hook(partial(_keep, seen, metric))
    mean, spread = (torch.tensor(values).view(3, 1, 1).to(device) for values in (MEAN, SPREAD))
    features: dict[str, list[np.ndarray]] = {metric: [] for metric in network.layers}
    for group in pictures:
        parts: dict[str, list[np.ndarray]] = {metric: [] for metric in network.layers}
        for start in range(0, len(group), block_images):
            pixels = resize(as_pixels(group[start : start + block_images], device), network.side)
            with torch.no_grad():
                module((pixels - mean) / spread)
            for metric, values in seen.items():
                parts[metric].append(values.flatten(1).cpu().numpy())
        for metric, blocks in parts.items():
            features[metric].append(np.concatenate(blocks))
    return features


def _keep(seen: dict[str, Tensor], metric: str, module: nn.Module, given: Any, output: Tensor) -> None:
    seen[metric] = output


def as_pixels(pictures: np.ndarray, device: str) -> Tensor:
    """Turn (n_images, height, width, 3) uint8 into (n_images, 3, 256, 256) float32 from 0 to 1."""
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise InputError(
            "expected pictures of shape (n_images, height, width, 3), uint8, got "
            f"{pictures.dtype} of shape {pictures.shape}; convert them"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
    return resize(pixels.permute(0, 3, 1, 2).float() / 255, SIDE)


def to_square(pictures: np.ndarray) -> np.ndarray:
    """Scale pictures to 256 by 256 pixels, at which the field's metrics compare them.

    Parameters
    ----------
    pictures : (n_images, height, width, 3) uint8.

    Returns
    -------
    (n_images, 256, 256, 3) uint8.
    """
    values = (255 * as_pixels(pictures, "cpu")).round().clamp(0, 255).to(torch.uint8)
    return values.permute(0, 2, 3, 1).contiguous().numpy()


def resize(pixels: Tensor, side: int) -> Tensor:
    """Scale (n_images, n_colours, height, width) to a square, bilinear, averaging where it shrinks."""
    if pixels.shape[-2:] == (side, side):
        return pixels
    return F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
