"""Picture embeddings from open_clip models."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brain2image.ahead import map_ahead
from brain2image.checkpoints import check_torch_file
from brain2image.devices import compute_device
from brain2image.errors import InputError, reason
from brain2image.sources import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

# What a tag of open_clip says about the preparation of pictures.
PREPARATION = ("mean", "std", "interpolation", "resize_mode")
# Names of weights in a repository of which open_clip names no file.
HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def embed_images(
    images: Sequence["Image"],
    *,
    model: str,
    weights: str | Path,
    tag: str | None = None,
    batch_size: int,
    n_threads: int,
) -> np.ndarray:
    """Projected image features of an open_clip model, not normalised, on a GPU where there is one.

    While the model computes a batch, threads read the next one and prepare it, with the resizing, cropping
    and normalisation that the model was trained with. Two batches at a time are in memory.

    Parameters
    ----------
    images : PIL images, RGB, any size; asked for one by one, in threads.
    model : name of an open_clip architecture, for example ``ViT-L-14-quickgelu``.
    weights : path of a checkpoint.
    tag : open_clip's name of these weights, for example ``openai``, where they have one; pictures are then
        prepared as this tag wants it.
    batch_size : pictures a forward pass.
    n_threads : threads that read and prepare pictures.

    Returns
    -------
    (n_images, n_features) float32.

    Raises
    ------
    InputError
        When the model or its weights are unknown, or do not belong together.
    """
    import torch

    network, preprocess = _load(model, weights, tag)
    device = compute_device()
    network.to(device)
    features = []
    with torch.inference_mode():
        prepared = map_ahead(
            lambda number: preprocess(images[number]),
            range(len(images)),
            n_threads=n_threads,
            n_ahead=batch_size,
        )
        while batch := list(islice(prepared, batch_size)):
            features.append(network.encode_image(torch.stack(batch).to(device)).float().cpu().numpy())
    return np.concatenate(features)


def pretrained_sources(model: str, tag: str) -> list[str]:
    """Where the weights of an open_clip tag can be downloaded, the best source first.

    Safetensors come before pickles. What open_clip knows a repository of is not looked for elsewhere.

    Returns
    -------
    ``hf://`` and ``https://`` sources.

    Raises
    ------
    InputError
        When the model or its tag are unknown, or do not belong together.
    """
    import open_clip

    _check_model(model)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise InputError(
            f"config: weights.clip: expected a checkpoint or a tag of {model} "
            f"({', '.join(tags) or 'it has none'}), got {tag!r}"
        )
    _check_activation(model, tag)
    settings = open_clip.get_pretrained_cfg(model, tag)
    repository, _, name = settings.get("hf_hub", "").rpartition("/")
    names = [f"{Path(name).stem}.safetensors", name] if name else HUB_NAMES
    return [f"hf://{repository}/{file}" for file in names] if repository else [settings["url"]]


def _load(model: str, weights: str | Path, tag: str | None) -> tuple[Any, Any]:
    """The open_clip network in eval mode and the preprocessing of its evaluation."""
    import open_clip

    _check_model(model)
    check_file(weights)
    check_torch_file(weights, remedy="download them again, or correct clip.model")
    if tag:
        _check_activation(model, tag)
    settings = open_clip.get_pretrained_cfg(model, tag) if tag else {}
    preparation = {f"image_{name}": settings.get(name) for name in PREPARATION}
    try:
        network, _, preprocess = open_clip.create_model_and_transforms(
            model, pretrained=str(weights), **preparation
        )
    except Exception as error:  # open_clip raises many types, by where the damage is
        raise InputError(
            f"{weights}: expected weights of {model}, but they cannot be loaded ({reason(error)}); download "
            "them again, or correct clip.model"
        ) from None
    return network.eval(), preprocess


def _check_model(model: str) -> None:
    import open_clip

    if model not in open_clip.list_models():
        raise InputError(f"config: clip.model: expected an open_clip architecture, got {model!r}")


def _check_activation(model: str, tag: str) -> None:
    """Refuse OpenAI's weights in an architecture with another activation: the features would be wrong.

    open_clip only warns of it since version 2.32.
    """
    import open_clip

    trained = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    if trained != open_clip.get_model_config(model).get("quick_gelu", False):
        names = f"{model} + {tag}"
        remedy = f"{model}-quickgelu" if trained else model.removesuffix("-quickgelu")
        raise InputError(f"config: clip.model: {names} differ in their activation (QuickGELU); use {remedy}")
