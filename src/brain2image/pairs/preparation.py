"""How pictures must be prepared for weights of CLIP, and whether a model fits them.

The same weights in a file, on the Hub and by their open_clip tag must see the same picture. A tag says how:
mean, standard deviation, interpolation and way of resizing, and the activation of the network. Of a file the
metadata say so, or the ``open_clip_config.json`` that open_clip keeps beside weights, or the user.
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from brain2image.config.data import PreprocessConfig
from brain2image.core.errors import InputError, reason
from brain2image.formats.files import read_json
from brain2image.weights.sources import CLIP_CONFIG

logger = logging.getLogger(__name__)

# What open_clip's config holds; in the metadata of safetensors each is a JSON text.
CONFIG = ("model_cfg", "preprocess_cfg")
POSITIONS = "visual.positional_embedding"
KEYS = ("mean", "std", "interpolation", "resize_mode")
REMEDY = (
    "set {block}.preprocess to the open_clip tag that they are weights of, or to mean, std, interpolation "
    "and resize_mode"
)
CLIP = "clip"  # the block of the config that names model and preparation; the CLIP of tokens has another


class Statement(NamedTuple):
    """What one origin says of weights; None where it is silent.

    Attributes
    ----------
    origin : what says so, for messages.
    preparation : the keys of `KEYS`.
    quick_gelu : whether the activation is OpenAI's.
    image_size : width of the pictures, pixels.
    """

    origin: str
    preparation: dict[str, Any] | None
    quick_gelu: bool | None = None
    image_size: int | None = None


def find_checkpoint(path: str | Path) -> Path:
    """Find the weights in the folder of a download, beside which their config may lie; or a file itself."""
    path = Path(path)
    files = path.glob("[!.]*") if path.is_dir() else [path]
    (checkpoint,) = (file for file in files if file.name != CLIP_CONFIG)
    return checkpoint


def find_preparation(
    model: str,
    weights: str | Path,
    *,
    tag: str | None,
    preprocess: str | Mapping[str, Any],
    block: str = CLIP,
) -> dict[str, Any]:
    """Find mean, std, interpolation and resize_mode of the pictures for some weights.

    All that say something about them must agree, and the model must have the activation and the picture size
    that they say.

    Parameters
    ----------
    model : an open_clip architecture.
    weights : a file.
    tag : open_clip's name of these weights, where they have one.
    preprocess : ``auto``; a tag of the model as whose pictures these weights want theirs; or the four values.
    block : of the config, which says so: ``clip`` or ``decoding``; for messages.

    Raises
    ------
    InputError
        When nothing says how pictures are prepared, or two say it differently, or the model does not fit.
    """
    said = [
        of_tag(model, name, block=block)
        for name in (tag, preprocess)
        if isinstance(name, str) and name != "auto"
    ]
    if not isinstance(preprocess, str):
        said.append(Statement(f"{block}.preprocess", dict(preprocess)))
    if tag is None:
        said += [_of_config(origin, content, block=block) for origin, content in _configs(Path(weights))]
    if not any(statement.preparation for statement in said):
        said.append(_of_all_tags(model, weights, block=block))
    for statement in said:
        check_model(model, statement, block=block)
    first, *others = (statement for statement in said if statement.preparation)
    for other in others:
        if not _are_equal(first.preparation, other.preparation):
            raise InputError(
                f"{weights}: expected one preparation of pictures, got {_spell(first)}, but {_spell(other)}; "
                f"correct {block}.preprocess, or remove what is not of these weights"
            )
    logger.info("%s: pictures are prepared with %s", weights, _spell(first))
    assert first.preparation is not None  # as it was chosen for it
    return first.preparation


def check_model(model: str, said: Statement, *, block: str = CLIP) -> None:
    """Refuse weights in an architecture with another activation or picture size: the features would be wrong.

    open_clip only warns of the first since version 2.32, and resizes the position embedding for the second.
    """
    import open_clip

    config = open_clip.get_model_config(model)
    trained = said.quick_gelu
    if trained is not None and trained != config.get("quick_gelu", False):
        other = f"{model}-quickgelu" if trained else model.removesuffix("-quickgelu")
        remedy = f"use {other}" if other in {*open_clip.list_models()} - {model} else "use other weights"
        raise InputError(
            f"config: {block}.model: {model} + {said.origin} differ in their activation (QuickGELU); {remedy}"
        )
    size = config["vision_cfg"].get("image_size", 224)
    if said.image_size is not None and said.image_size != size:
        raise InputError(
            f"config: {block}.model: expected a model for pictures of {said.image_size} px, as {said.origin} "
            f"says, got {model}, which wants {size} px; use the model that these weights were trained as"
        )


def check_positions(model: str, weights: str | Path, n_positions: int, *, block: str = CLIP) -> None:
    """Refuse weights for pictures of another size, whose positions open_clip would interpolate in silence.

    Parameters
    ----------
    model, weights : as in `find_preparation`; what cannot be read is left to who reads all of it.
    n_positions : rows of the network's position embedding.
    """
    found = _position_shape(Path(weights))
    if found and found[0] != n_positions:
        raise InputError(
            f"{weights}: expected weights of {model}, with {n_positions} positions of a picture, got "
            f"{found[0]}, those of another picture size; correct {block}.model"
        )


def _position_shape(weights: Path) -> tuple[int, ...] | None:
    """Return the shape of the position embedding in a file, whose tensors are not read."""
    import torch

    with suppress(SafetensorError), safe_open(weights, framework="numpy") as file:
        return file.get_slice(POSITIONS).get_shape() if POSITIONS in file.keys() else None  # noqa: SIM118
    with suppress(Exception):  # of many types, by the format
        content = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        state = content.get("state_dict", content)
        return next((value.shape for key, value in state.items() if key.endswith(POSITIONS)), None)
    return None


def of_tag(model: str, tag: str, *, block: str = CLIP) -> Statement:
    """Return what open_clip says of a tag."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise InputError(
            f"config: {block}.preprocess: expected a tag of {model} ({', '.join(tags) or 'it has none'}), or "
            f"mean, std, interpolation and resize_mode, got {tag!r}"
        )
    settings = open_clip.get_pretrained_cfg(model, tag)
    return Statement(tag, {key: settings[key] for key in KEYS}, settings.get("quick_gelu", False))


def _of_all_tags(model: str, weights: str | Path, *, block: str) -> Statement:
    """Return what all tags of a model say, where they agree."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    statements = [of_tag(model, tag) for tag in tags]
    if not statements or any(
        other.quick_gelu != statements[0].quick_gelu
        or not _are_equal(other.preparation, statements[0].preparation)
        for other in statements
    ):
        known = f"its tags ({', '.join(tags)}) differ" if tags else "open_clip has no tags of it"
        raise InputError(
            f"{weights}: expected metadata, or {CLIP_CONFIG} beside it, that say how {model} wants its "
            f"pictures, but neither is there, and {known}; {REMEDY.format(block=block)}"
        )
    return statements[0]._replace(origin=f"what all tags of {model} want")


def _configs(weights: Path) -> list[tuple[str, Any]]:
    """Read what the file's own metadata and the file beside it hold, with their names."""
    metadata: Mapping[str, str] = {}
    with suppress(SafetensorError), safe_open(weights, framework="numpy") as file:  # it may be another format
        metadata = file.metadata() or {}
    try:
        content = {key: json.loads(metadata[key]) for key in CONFIG if key in metadata}
    except ValueError as error:
        raise InputError(
            f"{weights}: expected JSON as {' and '.join(CONFIG)} in its metadata, but {error}; download it "
            "again"
        ) from None
    found = [(f"the metadata of {weights.name}", content)] if content else []
    beside = weights.with_name(CLIP_CONFIG)
    return [*found, (str(beside), read_json(beside))] if beside.exists() else found


def _of_config(origin: str, content: Any, *, block: str) -> Statement:
    """Read what a config of open_clip says; values of a preparation that are left out are its defaults."""
    from open_clip.transform import PreprocessCfg

    try:
        model, preprocess = content.get("model_cfg", {}), content.get("preprocess_cfg")
        size = model.get("vision_cfg", {}).get("image_size")
        values = {key: (preprocess or {}).get(key) or getattr(PreprocessCfg(), key) for key in KEYS}
        values |= {key: list(values[key]) for key in ("mean", "std")}
        preparation = PreprocessConfig.model_validate(values).model_dump() if preprocess else None
    except (AttributeError, TypeError, ValidationError) as error:
        raise InputError(
            f"{origin}: expected open_clip's model_cfg and preprocess_cfg, but {_explain(error)}; download "
            f"it again, or remove it and set {block}.preprocess"
        ) from None
    quick_gelu = bool(model.get("quick_gelu", False)) if model else None
    return Statement(origin, preparation, quick_gelu, size if isinstance(size, int) else None)


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return reason(error)


def _are_equal(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    numbers = all(np.allclose(one[key], other[key], atol=1e-3) for key in ("mean", "std"))
    return numbers and all(one[key] == other[key] for key in ("interpolation", "resize_mode"))


def _spell(said: Statement) -> str:
    settings = said.preparation or {}
    values = (f"{key} {list(value) if key in ('mean', 'std') else value}" for key, value in settings.items())
    return f"{', '.join(values)} ({said.origin})"
