"""Features of a CLIP vision transformer's layers, beside its projected embedding."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import PROJECTED, layer_name

if TYPE_CHECKING:
    import torch


def make_encode(
    network: Any, model: str, layers: Sequence[str | int]
) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """Return a function that encodes pictures: projected and, beside it, what `split_layers` takes apart.

    Parameters
    ----------
    network : an open_clip model.
    model : its name, for messages.
    layers : ``projected``, which is always there, and numbers of the vision tower's blocks, 1 the first. Of
        a block, the class token and the mean over the patches.

    Raises
    ------
    InputError
        When the model has no such block.
    """
    import torch

    numbers = _numbers(layers)
    if not numbers:
        return network.encode_image
    _check(network, model, numbers)

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        found = network.forward_intermediates(
            image=pixels,
            image_indices=[number - 1 for number in numbers],
            normalize=False,
            image_output_fmt="NLC",
            image_output_extra_tokens=True,
        )
        parts = [found["image_features"].float()]
        # in the order of the blocks, whatever order was asked for
        for token, patches in zip(
            found["image_intermediates_prefix"], found["image_intermediates"], strict=True
        ):
            parts += [token[:, 0].float(), patches.float().mean(dim=1)]
        return torch.cat(parts, dim=1)

    return encode


def split_layers(features: np.ndarray, network: Any, layers: Sequence[str | int]) -> dict[str, np.ndarray]:
    """Take apart what `make_encode` gives.

    Parameters
    ----------
    features : (n_images, n_features + n_layers * n_layer_features) float32.
    network, layers : as in `make_encode`.

    Returns
    -------
    ``projected`` (n_images, n_features) and ``layer_NN`` (n_images, n_layer_features) float32.
    """
    numbers = _numbers(layers)
    n_features = network.visual.output_dim if numbers else features.shape[1]
    of_layers = np.split(features[:, n_features:], max(len(numbers), 1), axis=1)
    return {
        PROJECTED: features[:, :n_features],
        **{layer_name(number): part for number, part in zip(numbers, of_layers, strict=False)},
    }


def _numbers(layers: Sequence[str | int]) -> list[int]:
    return sorted(layer for layer in layers if isinstance(layer, int))


def _check(network: Any, model: str, numbers: Sequence[int]) -> None:
    """Refuse layers that the model does not have."""
    from open_clip.transformer import VisionTransformer

    if not isinstance(network.visual, VisionTransformer):
        raise InputError(
            f"config: clip.layers: expected [projected], as {model} has no vision transformer of open_clip, "
            f"got {list(numbers)}; leave them out, or choose another clip.model"
        )
    n_blocks = len(network.visual.transformer.resblocks)
    if numbers[-1] > n_blocks:
        raise InputError(
            f"config: clip.layers: expected blocks 1 to {n_blocks} of {model}, got {numbers[-1]}; correct it"
        )
