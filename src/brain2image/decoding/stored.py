"""Networks of a MindEye2 checkpoint as files of their own, written and read without the rest of it.

A file is safetensors (https://github.com/huggingface/safetensors#format) with the checkpoint's name and
SHA-256 as metadata. It is written block by block, which the library's own writer cannot: it wants all tensors
in the memory, and MindEye2's backbone takes 7.6 GB.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.decoding.stored_linear import stored_weights
from brain2image.formats.checkpoints import Checkpoint
from brain2image.models.published_weights import check_shapes
from brain2image.weights.checkpoint_parts import keep_parts, read_parts
from brain2image.weights.sources import check_finite, redact

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CODES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}  # as safetensors spells them
REMEDY = "download the checkpoint again"
AGAIN = "delete it and run again"
SOURCE = ("checkpoint", "sha256")

Shapes = Mapping[str, tuple[int, ...]]


class Held(NamedTuple):
    """A tensor of a checkpoint: its key there, and its shape in the network, of as many values in all."""

    key: str
    shape: tuple[int, ...]


def _as_held(shapes: Shapes) -> dict[str, Held]:
    """Give each tensor the key that it has in the checkpoint."""
    return {key: Held(key, shape) for key, shape in shapes.items()}


class Network(NamedTuple):
    """A network of a checkpoint.

    name : as messages and the cache call it.
    prefix : of its keys in the checkpoint.
    unread : how keys of parts begin, behind the prefix, that are not used.
    build : from the shapes of the tensors, by key, to the module; KeyError, IndexError, ValueError or
        ZeroDivisionError where they tell no size.
    convert : from the shapes of the tensors by their keys in the checkpoint, without the prefix, to what each
        tensor of the module is there; raises as ``build``.
    halves : of a module, the tensors that are stored in half precision.
    state : what the checkpoint calls its state dict.
    origin : which checkpoint has it, for the messages.
    """

    name: str
    prefix: str
    unread: tuple[str, ...]
    build: Callable[[Shapes], nn.Module]
    convert: Callable[[Shapes], Mapping[str, Held]] = _as_held
    halves: Callable[[nn.Module], set[str]] = stored_weights
    state: str = "model_state_dict"
    origin: str = "the whole last.pth of a MindEye2 model"


def extract_network(checkpoint: str, network: Network, *, dtype: str, out: str | Path) -> None:
    """Write a network of a checkpoint as a safetensors file; of one on a server nothing else is read.

    Parameters
    ----------
    checkpoint : file, ``https://…`` or ``hf://…``.
    dtype : how weights of linear layers are stored: ``float16``, ``bfloat16`` or ``float32``.
    out : the network's tensors by their keys without the prefix and, as metadata, ``checkpoint`` (its name),
        ``sha256``, ``size`` in bytes and, of one on a server, ``commit``.

    Raises
    ------
    InputError
        When the checkpoint cannot be read, does not hold exactly this network, or holds values that are not
        finite or too large for the type.
    """
    kind, name = f"{network.name}s", f"{network.name}.safetensors"
    write = partial(_write, checkpoint, network, dtype)
    keep_parts(checkpoint, write, kind=kind, identity=(dtype,), name=name, out=out)


def _write(checkpoint: str, network: Network, dtype: str, out: str | Path) -> None:
    named = redact(checkpoint)

    def read(content: Checkpoint, source: Mapping[str, str]) -> None:
        held = _find(content, network, named)
        shapes = {key: tensor.shape for key, tensor in held.items()}
        halves = network.halves(build_empty(network, shapes, source=named, remedy=REMEDY))
        types = {key: dtype if key in halves else "float32" for key in shapes}
        places = {key: place for place, key in enumerate(content.tensors)}
        # wide types first, which keeps them aligned; among them as they lie in the checkpoint
        order = sorted(
            shapes, key=lambda key: (-TYPES[types[key]].itemsize, places[network.prefix + held[key].key])
        )
        with path.open("wb") as file:
            _write_header(file, {key: (types[key], shapes[key]) for key in order}, source)
            for key in order:
                own = network.prefix + held[key].key
                _write_tensor(file, content, own, types[key], named)

    with atomic_path(out) as path:
        what = f"the {network.name}"
        read_parts(checkpoint, read, what=what, state=network.state, is_hashed=True)


def _find(content: Checkpoint, network: Network, name: str) -> Mapping[str, Held]:
    """Return what each of a network's tensors is in a checkpoint, by their keys in the network."""
    shapes = {
        key.removeprefix(network.prefix): tensor.shape
        for key, tensor in content.tensors.items()
        if key.startswith(network.prefix)
    }
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith(network.unread or ("\0",))}
    if not shapes:
        raise InputError(
            f"{name}: expected a {network.name} ({network.prefix}…), got none among {len(content.tensors)} "
            f"tensors; use {network.origin}"
        )
    with _sizes_told(network, source=name, remedy=REMEDY):
        return network.convert(shapes)


@contextmanager
def _sizes_told(network: Network, *, source: str | Path, remedy: str) -> Iterator[None]:
    """Raise InputError where the shapes of its tensors do not tell a network's sizes."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{source}: expected the {network.name}'s sizes in the shapes of its tensors, but they are not "
            f"there ({type(error).__name__}: {reason(error)}); {remedy}"
        ) from None


def build_empty(network: Network, shapes: Shapes, *, source: str | Path, remedy: str) -> nn.Module:
    """Build a network without values, of the sizes that the shapes tell, and compare all keys and shapes.

    Raises
    ------
    InputError
        When tensors are missing, unknown or of other shapes.
    """
    with _sizes_told(network, source=source, remedy=remedy), torch.device("meta"):
        module = network.build(shapes)
    expected = {key: tensor.shape for key, tensor in module.state_dict().items()}
    found = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    check_shapes(found, expected, source=source, model=f"the {network.name}", remedy=remedy)
    return module.eval().requires_grad_(False)


def _write_header(
    file: BinaryIO, tensors: Mapping[str, tuple[str, tuple[int, ...]]], source: Mapping[str, str]
) -> None:
    header: dict[str, object] = {"__metadata__": dict(source)}
    start = 0
    for key, (dtype, shape) in tensors.items():
        stop = start + int(np.prod(shape, dtype=np.int64)) * TYPES[dtype].itemsize
        header[key] = {"dtype": CODES[dtype], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)


def _write_tensor(file: BinaryIO, content: Checkpoint, key: str, dtype: str, name: str) -> None:
    for block in content.read_blocks(key):
        values = torch.from_numpy(block)
        check_finite({key: values}, source=name, remedy=REMEDY)
        short = values.to(TYPES[dtype])
        remedy = "store it as bfloat16 or float32"
        check_finite({f"{key} as {dtype}": short}, source=name, remedy=remedy)
        file.write(short.view(torch.uint8).numpy().data)


def load_network(
    path: str | Path, network: Network, *, embedding: Mapping[str, str] | None = None
) -> nn.Module:
    """Load a network that `extract_network` wrote, as it is stored, on the CPU.

    Parameters
    ----------
    embedding : attributes ``checkpoint`` and ``sha256`` of the embedding that goes in; it must be of the same
        checkpoint. The hashes are compared; where one is unknown, the names.

    Raises
    ------
    InputError
        When the file is missing, damaged, another network, not finite, or of another checkpoint.
    """
    tensors, source = _read(path, network)
    if embedding is not None:
        check_source(source, embedding, path=path, name=network.name)
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    module = build_empty(network, shapes, source=path, remedy=AGAIN)
    halves = network.halves(module)
    for key, tensor in tensors.items():
        if tensor.dtype not in (TYPES.values() if key in halves else [torch.float32]):
            raise InputError(f"{path}: expected {key} as float32, got {tensor.dtype}; {AGAIN}")
    check_finite(tensors, source=path, remedy=AGAIN)
    module.load_state_dict(tensors, strict=True, assign=True)
    return module.requires_grad_(False)


def _read(path: str | Path, network: Network) -> tuple[dict[str, Tensor], dict[str, str]]:
    check_regular(path, remedy=AGAIN)
    try:
        with safe_open(path, framework="pt") as file:
            keys, source = file.keys(), file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in keys}
    except (OSError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{path}: cannot read this {network.name} ({reason(error)}); {AGAIN}") from None
    if not set(SOURCE) <= set(source):
        found = ", ".join(source) or "nothing"
        raise InputError(f"{path}: expected its source ({', '.join(SOURCE)}), got {found}; {AGAIN}")
    return tensors, source


def check_source(
    source: Mapping[str, str], embedding: Mapping[str, str], *, path: str | Path, name: str
) -> None:
    """Raise InputError unless a network and an embedding are of one checkpoint."""
    fact = "sha256" if source["sha256"] and embedding["sha256"] else "checkpoint"
    if source[fact] != embedding[fact]:
        raise InputError(
            f"{path}: expected the {name} of {embedding['checkpoint']}, whose ridge made the embedding, got "
            f"that of {source['checkpoint']} ({fact} {embedding[fact][-40:]} and {source[fact][-40:]}): each "
            f"checkpoint has a space of its own; extract the {name} of the embedding's checkpoint"
        )
