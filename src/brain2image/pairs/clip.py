"""Picture embeddings from open_clip models."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from einops import rearrange

from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError, reason
from brain2image.formats.ahead import map_ahead
from brain2image.formats.checkpoints import check_torch_file
from brain2image.formats.files import sha256
from brain2image.formats.precision import allow_tf32, resolve_precision
from brain2image.pairs.clip_embeddings import PROJECTED
from brain2image.pairs.clip_layers import make_encode, split_layers
from brain2image.pairs.preparation import CLIP, check_model, check_positions, find_preparation, of_tag
from brain2image.weights.sources import check_file, check_finite

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

logger = logging.getLogger(__name__)

# Names of weights in a repository of which open_clip names no file.
HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def embed_images(
    images: Sequence["Image"],
    *,
    model: str,
    weights: str | Path,
    tag: str | None = None,
    preprocess: str | Mapping[str, Any] = "auto",
    precision: str = "auto",
    batch_size: int,
    n_threads: int,
    layers: Sequence[str | int] = (PROJECTED,),
) -> dict[str, np.ndarray]:
    """Embed pictures by an open_clip model, projected, not normalised, on a GPU where there is one.

    While the model computes a batch, threads read the next ones, resize and crop them as the model was
    trained with; the device normalises them. Three batches at a time are in memory.

    Parameters
    ----------
    images : PIL images, RGB, any size; asked for one by one, in threads.
    model : name of an open_clip architecture, for example ``ViT-L-14-quickgelu``.
    weights : path of a checkpoint.
    tag : open_clip's name of these weights, for example ``openai``, where they have one; pictures are then
        prepared as this tag wants it.
    preprocess : how pictures are prepared otherwise, as `preparation.find_preparation` takes it.
    precision : ``auto``, ``fp32`` or ``bf16``, see `precision.resolve_precision`; the log says
        what it came to.
    batch_size : pictures a forward pass, fewer where a GPU's memory is too small for them.
    n_threads : threads that read and prepare pictures.
    layers : numbers of the vision tower's blocks whose features are wanted, too, see `clip_layers`.

    Returns
    -------
    ``projected`` (n_images, n_features) and ``layer_NN`` (n_images, n_layer_features), float32.

    Raises
    ------
    InputError
        When the model, a layer or the weights are unknown, or do not belong together, nobody says how
        pictures are prepared for them, or the GPU's memory is too small for one picture.
    """
    import torch

    network, transform = load_clip(model, weights, tag, preprocess)
    encode = make_encode(network, model, layers)
    device = compute_device()
    precision = resolve_precision(precision, device)
    allow_tf32(precision)
    logger.info("CLIP's products are computed in %s", precision)
    if precision == "bf16":
        _add_in_float32(network)
    *shaping, _, normalisation = transform.transforms  # between them, bytes become numbers from 0 to 1
    batches = shaped_batches(
        images, shaping, batch_size=batch_size, n_threads=n_threads, pinned=device != "cpu"
    )
    network.to(device)
    features = encode_batches(
        encode,
        batches,
        mean=normalisation.mean,
        std=normalisation.std,
        device=device,
        precision=precision,
    )
    return split_layers(torch.cat(features).cpu().numpy(), network, layers)


def clip_identity(model: str, weights: str | Path, *, tag: str | None) -> str:
    """Name a model and its weights: by open_clip's tag, or the beginning of the SHA-256 of their file."""
    return f"{model}, {tag or sha256(weights)[:16]}"


def _add_in_float32(network: Any) -> None:
    """Let a vision transformer add up its layers in float32, of the type that its first convolution gives.

    In bfloat16 the sum would be rounded after each layer, most of what bfloat16 does to the features.
    """
    import torch

    convolutions = (module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    if first := next(convolutions, None):
        first.register_forward_hook(lambda _, __, output: output.float())


def encode_batches(
    encode: Callable[["torch.Tensor"], "torch.Tensor"],
    batches: Iterable["torch.Tensor"],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: str,
    precision: str,
) -> list["torch.Tensor"]:
    """Encode batches of pictures, left on the device: it is never waited for before the last batch.

    Parameters
    ----------
    encode : from pixels to features, of a network in eval mode on the device.
    batches : (n_images, height, width, 3) uint8 each.
    mean, std : of each colour, for values from 0 to 1.
    device : as PyTorch names it.
    precision : as `precision.resolve_precision` gives it.

    Returns
    -------
    (n_images, n_features) float32 on the device, as many tensors as forward passes.
    """
    import torch

    means, scales = (torch.tensor(values, device=device).view(3, 1, 1) for values in (mean, std))
    short = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
    features, n_fitting = [], None
    with torch.inference_mode(), short:
        for batch in batches:
            pixels = batch.to(device, non_blocking=True)
            pixels = rearrange(
                pixels, "images height width colours -> images colours height width"
            ).contiguous()
            pixels = (pixels / 255 - means) / scales
            parts, n_fitting = _forward(encode, pixels, n_fitting or len(pixels))
            features += parts
    return features


def _forward(
    encode: Callable[["torch.Tensor"], "torch.Tensor"], pixels: "torch.Tensor", n_fitting: int
) -> tuple[list["torch.Tensor"], int]:
    """Encode at most ``n_fitting`` pictures at once, and half as many whenever the memory is too small."""
    import torch

    features, start = [], 0
    while start < len(pixels):
        try:
            features.append(encode(pixels[start : start + n_fitting]).float())
            start += n_fitting
        except torch.OutOfMemoryError:
            if n_fitting == 1:
                raise InputError(
                    "clip: the GPU's memory is too small for a forward pass of one picture; free it of other "
                    "work, set clip.precision to bf16, or take a smaller clip.model"
                ) from None
            n_fitting //= 2
            logger.info("the GPU's memory is too small for the batch: taking %d pictures", n_fitting)
    return features, n_fitting


def shaped_batches(
    images: Sequence["Image"],
    shaping: Sequence[Callable[["Image"], "Image"]],
    *,
    batch_size: int,
    n_threads: int,
    pinned: bool,
) -> Iterator["torch.Tensor"]:
    """Yield batches of resized and cropped pictures, (n_images, height, width, 3) uint8.

    Threads, not processes: Pillow decodes and resizes beside Python. A GPU fetches pinned memory by itself.
    """
    import torch

    def shape(number: int) -> np.ndarray:
        image = images[number]
        for step in shaping:
            image = step(image)
        return np.asarray(image)

    shaped = map_ahead(shape, range(len(images)), n_threads=n_threads, n_ahead=2 * batch_size)
    while rows := list(islice(shaped, batch_size)):
        batch = torch.empty((len(rows), *rows[0].shape), dtype=torch.uint8, pin_memory=pinned)
        np.stack(rows, out=batch.numpy())
        yield batch


def pretrained_sources(model: str, tag: str, *, key: str = CLIP) -> list[str]:
    """List where the weights of an open_clip tag can be downloaded, the best source first.

    Messages name the ``key`` of the config's weights, ``clip`` or ``token_clip``, and the block of its model.
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

    block = CLIP if key == CLIP else "decoding"
    _check_model(model, block)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise InputError(
            f"config: weights.{key}: expected a checkpoint or a tag of {model} "
            f"({', '.join(tags) or 'it has none'}), got {tag!r}"
        )
    check_model(model, of_tag(model, tag, block=block), block=block)
    settings = open_clip.get_pretrained_cfg(model, tag)
    repository, _, name = settings.get("hf_hub", "").rpartition("/")
    names = [f"{Path(name).stem}.safetensors", name] if name else HUB_NAMES
    return [f"hf://{repository}/{file}" for file in names] if repository else [settings["url"]]


def load_clip(
    model: str,
    weights: str | Path,
    tag: str | None,
    preprocess: str | Mapping[str, Any] = "auto",
    *,
    block: str = CLIP,
) -> tuple[Any, Any]:
    """Load the open_clip network in eval mode and the preprocessing of its evaluation.

    Messages name the ``block`` of the config, ``clip`` or ``decoding``.
    """
    import open_clip

    _check_model(model, block)
    check_file(weights)
    check_torch_file(weights, remedy=f"download them again, or correct {block}.model")
    preparation = find_preparation(model, weights, tag=tag, preprocess=preprocess, block=block)
    try:
        network, _, prepare = open_clip.create_model_and_transforms(
            model, pretrained=str(weights), **{f"image_{key}": value for key, value in preparation.items()}
        )
    except Exception as error:  # open_clip raises many types, by where the damage is
        raise InputError(
            f"{weights}: expected weights of {model}, but they cannot be loaded ({reason(error)}); download "
            f"them again, or correct {block}.model"
        ) from None
    if (positions := getattr(network.visual, "positional_embedding", None)) is not None:
        check_positions(model, weights, len(positions), block=block)
    check_finite(network.state_dict(), source=weights, remedy="download them again")
    return network.eval(), prepare


def _check_model(model: str, block: str) -> None:
    import open_clip

    if model not in open_clip.list_models():
        raise InputError(f"config: {block}.model: expected an open_clip architecture, got {model!r}")
