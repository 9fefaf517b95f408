"""MindEye2's backbone: from the embedding that its ridge gives to OpenCLIP tokens of the seen picture.

Scotti et al., "MindEye2: Shared-Subject Models Enable fMRI-To-Image With 1 Hour of Data", ICML 2024, section
2.2. Written anew after what ``BrainNetwork`` of the published code computes with ``seq_len`` 1:
https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/models.py. Of its branch for blurry pictures
(``blin1`` and what follows) nothing is read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from torch import Tensor, nn

from brain2image.core.errors import InputError
from brain2image.decoding.blocks import compute_blocks
from brain2image.decoding.stored import Network, Shapes, extract_network, load_network
from brain2image.decoding.stored_linear import StoredLinear

WORKING = 0.7e9  # bytes beside the weights, see `decode_tokens`
BLOCK_TRIALS = 64  # whose tokens, of both kinds, take 0.2 GB in the published size


class BackboneSizes(NamedTuple):
    """Sizes of a backbone; of the published ones 4096 or 1024, 4, 256 and 1664."""

    hidden: int
    n_blocks: int
    n_tokens: int
    token_width: int


def backbone_sizes(shapes: Shapes) -> BackboneSizes:
    """Read a backbone's sizes from the shapes of its tensors, by key without ``backbone.``."""
    hidden, token_width = shapes["mixer_blocks1.0.0.weight"][0], shapes["clip_proj.0.weight"][0]
    n_tokens = shapes["backbone_linear.weight"][0] // token_width
    n_blocks = len({key.split(".")[1] for key in shapes if key.startswith("mixer_blocks1.")})
    return BackboneSizes(hidden, n_blocks, n_tokens, token_width)


class Backbone(nn.Module):
    """MindEye2's backbone, with the keys and shapes of the published checkpoints.

    Each block mixes the ``hidden`` numbers (`mixer_blocks1`) and then the sequence (`mixer_blocks2`), each
    with its own residual stream. The sequence is one vector long, and a norm over a single value gives its
    bias. So the second mixer adds a constant to what entered the block, the first mixer's result reaches no
    output, and the tokens are an affine function of the embedding. It is computed as published all the same.
    """

    def __init__(self, sizes: BackboneSizes):
        super().__init__()
        hidden, n_blocks, n_tokens, width = sizes
        self.token_width = width
        self.mixer_blocks1 = nn.ModuleList(_mixer(hidden) for _ in range(n_blocks))
        self.mixer_blocks2 = nn.ModuleList(_mixer(1) for _ in range(n_blocks))
        self.backbone_linear = StoredLinear(hidden, n_tokens * width)
        self.clip_proj = nn.Sequential(
            *(nn.LayerNorm(width), nn.GELU(), StoredLinear(width, width)),
            *(nn.LayerNorm(width), nn.GELU(), StoredLinear(width, width)),
            *(nn.LayerNorm(width), nn.GELU(), StoredLinear(width, width)),
        )

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Map embeddings to tokens.

        Parameters
        ----------
        embedding : (n_trials, hidden) float32, as MindEye2's ridge gives it: never normalised.

        Returns
        -------
        tokens : (n_trials, n_tokens, token_width) float32; what the prior starts from.
        clip_tokens : of the same shape; what retrieval compares with the tokens of pictures.
        """
        values = across = embedding
        for own, sequence in zip(self.mixer_blocks1, self.mixer_blocks2, strict=True):
            values = own(values) + values
            across = sequence(values[..., None])[..., 0] + across
            values = across
        tokens = self.backbone_linear(values).unflatten(-1, (-1, self.token_width))
        return tokens, self.clip_proj(tokens)


def _mixer(width: int) -> nn.Sequential:
    # the published one has a dropout of 0.15 at the third place, which does nothing after training
    perceptron = nn.Sequential(
        StoredLinear(width, width), nn.GELU(), nn.Identity(), StoredLinear(width, width)
    )
    return nn.Sequential(nn.LayerNorm(width), perceptron)


BACKBONE = Network(
    name="backbone",
    prefix="backbone.",
    unread=("blin1.", "bnorm.", "bupsampler.", "b_maps_projector."),
    build=lambda shapes: Backbone(backbone_sizes(shapes)),
)


def extract_backbone(checkpoint: str, *, out: str | Path, dtype: str = "float16") -> None:
    """Write a checkpoint's backbone as a safetensors file; of one on a server nothing else is read.

    Of the published 8.9 GB 7.55 GB are read, and 3.78 GB written in half precision; both pass in blocks of
    64 MB. With ``hidden`` 1024 they are 1.81 GB and 0.91 GB. See `stored.extract_network`.
    """
    extract_network(checkpoint, BACKBONE, dtype=dtype, out=out)


def load_backbone(path: str | Path, *, embedding: Mapping[str, str] | None = None) -> Backbone:
    """Load a file of `extract_backbone`; see `stored.load_network`."""
    return cast(Backbone, load_network(path, BACKBONE, embedding=embedding))


def decode_tokens(
    backbone: Backbone, embedding: np.ndarray, *, block_trials: int = BLOCK_TRIALS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Map embeddings to tokens, block by block of trials, on a GPU where there is one.

    On a CPU the published size takes 4.5 GB, by its sizes: 3.78 GB of weights in half precision, 0.07 GB of
    them in float32 at a time, and 0.6 GB for a block of 64 trials (0.11 GB for each of tokens, CLIP tokens
    and what lies between).

    Parameters
    ----------
    embedding : (n_trials, hidden) float32.

    Yields
    ------
    tokens, clip_tokens : (block_trials or fewer, n_tokens, token_width) float32.

    Raises
    ------
    InputError
        When the embedding is of another width.
    """
    hidden = backbone.backbone_linear.in_features
    if embedding.ndim != 2 or embedding.shape[1] != hidden:
        raise InputError(
            f"expected an embedding of shape (n_trials, {hidden}), as the backbone has it, got "
            f"{embedding.shape}; use the backbone of the embedding's own checkpoint"
        )
    blocks = compute_blocks(backbone, embedding, lambda block, _: backbone(block), block_trials=block_trials)
    for tokens, clip_tokens in blocks:
        yield tokens.cpu().numpy(), clip_tokens.cpu().numpy()
