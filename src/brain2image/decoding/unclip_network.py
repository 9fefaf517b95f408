"""The networks of MindEye2's unCLIP: a UNet that takes noise away, and the decoder from latents to pixels.

Scotti et al., "MindEye2", ICML 2024: SDXL (Podell et al., arXiv:2307.01952), fine-tuned to draw from the 256
tokens of OpenCLIP's bigG. Both are built by diffusers, whose converters also map the published
keys, with the settings of
https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/generative_models/configs/unclip6.yaml.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from brain2image.core.extras import require
from brain2image.decoding.stored import Held, Network, Shapes

UNET, VAE = "model.diffusion_model.", "first_stage_model."  # prefixes in the checkpoint
# What pictures are encoded by, and a table of noise levels that `decoding.unclip` computes.
UNREAD = ("conditioner.", "denoiser.", f"{VAE}encoder.", f"{VAE}quant_conv.")
LAYERS = 2  # residual blocks a level
HEAD_WIDTH = 64
LATENTS = 4
SCALE = 0.13025  # of latents, by which their spread is about 1
TIME_IDS = (768, 768, 0, 0)  # height and width of the original, and of what was cut off at top and left


class UnclipSizes(NamedTuple):
    """Sizes of an unCLIP; the published ones in brackets.

    channels : of the UNet's levels (320, 640, 1280).
    depths : blocks of attention in each layer of a level (0, 2, 10).
    token_width : of the tokens that it draws from (1664).
    n_vector : length of what it is told of size and cut (1024).
    decoder : channels of the decoder's levels, from pixels to latents (128, 256, 512, 512).
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    token_width: int
    n_vector: int
    decoder: tuple[int, ...]


def unclip_sizes(shapes: Shapes) -> UnclipSizes:
    """Read an unCLIP's sizes from the shapes of its tensors, by their keys in `Unclip`."""
    levels = range(_count(shapes, "unet.down_blocks.{}."))
    channels = tuple(shapes[f"unet.down_blocks.{level}.resnets.0.conv1.weight"][0] for level in levels)
    block = "unet.down_blocks.{}.attentions.0.transformer_blocks"
    depths = tuple(_count(shapes, f"{block.format(level)}.{{}}.") for level in levels)
    deepest = block.format(max(level for level in levels if depths[level]))
    return UnclipSizes(
        channels,
        depths,
        token_width=shapes[f"{deepest}.0.attn2.to_k.weight"][1],
        n_vector=shapes["unet.add_embedding.linear_1.weight"][1],
        decoder=tuple(
            shapes[f"decoder.up_blocks.{level}.resnets.0.conv1.weight"][0]
            for level in reversed(range(_count(shapes, "decoder.up_blocks.{}.")))
        ),
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """Count the numbers from 0 for which keys begin with the pattern."""
    number = 0
    while any(key.startswith(pattern.format(number)) for key in shapes):
        number += 1
    return number


class Unclip(nn.Module):
    """MindEye2's unCLIP, with the keys and shapes of diffusers."""

    def __init__(self, sizes: UnclipSizes):
        super().__init__()
        require("diffusers", "drawing pictures by unCLIP")
        from diffusers import UNet2DConditionModel
        from diffusers.models.autoencoders.vae import Decoder

        self.sizes = sizes
        self.unet = UNet2DConditionModel(
            in_channels=LATENTS,
            out_channels=LATENTS,
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in sizes.depths
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(sizes.depths)
            ),
            block_out_channels=sizes.channels,
            layers_per_block=LAYERS,
            transformer_layers_per_block=tuple(max(1, depth) for depth in sizes.depths),
            attention_head_dim=tuple(max(1, width // HEAD_WIDTH) for width in sizes.channels),
            cross_attention_dim=sizes.token_width,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=sizes.n_vector // len(TIME_IDS),
            projection_class_embeddings_input_dim=sizes.n_vector,
        )
        self.post_quant_conv = nn.Conv2d(LATENTS, LATENTS, 1)
        self.decoder = Decoder(
            in_channels=LATENTS,
            out_channels=3,
            up_block_types=("UpDecoderBlock2D",) * len(sizes.decoder),
            block_out_channels=sizes.decoder,
            layers_per_block=LAYERS,
        )

    @property
    def shrinkage(self) -> int:
        """Return how many pixels a latent is wide (8)."""
        return 2 ** (len(self.sizes.decoder) - 1)

    def noise(self, latents: Tensor, time: Tensor, tokens: Tensor, time_ids: Tensor) -> Tensor:
        """Predict the noise in latents.

        Parameters
        ----------
        latents : (B, 4, height, width) float32, of spread about 1 whatever the noise.
        time : () int64, how noisy, from 0 to 999.
        tokens : (B, n_tokens, token_width) float32.
        time_ids : (4,) float32, `TIME_IDS`.

        Returns
        -------
        (B, 4, height, width) float32.
        """
        n = len(tokens)
        # SDXL is told a pooled text too, which unCLIP has not
        told = {"text_embeds": tokens.new_empty(n, 0), "time_ids": time_ids.expand(n, -1)}
        return self.unet(latents, time.expand(n), tokens, added_cond_kwargs=told).sample.float()

    def decode(self, latents: Tensor) -> Tensor:
        """Turn (B, 4, height, width) float32 latents into (B, 3, 8 height, 8 width) float32, in float32."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.decoder(self.post_quant_conv(latents / SCALE))


def convert(shapes: Shapes) -> dict[str, Held]:
    """Find each tensor of `Unclip` in the published checkpoint, by diffusers' converters.

    These pass over what they do not know; here it keeps its key, by which it is refused.
    """
    require("diffusers", "drawing pictures by unCLIP")
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    parts = {
        prefix: {key: shape for key, shape in shapes.items() if key.startswith(prefix)}
        for prefix in (UNET, VAE)
    }
    config: dict[str, Any] = {"layers_per_block": LAYERS, "addition_embed_type": "text_time"}
    unet = _follow(convert_ldm_unet_checkpoint, parts[UNET], config)
    n_levels = _count(parts[VAE], f"{VAE}decoder.up.{{}}.")
    config = {"down_block_types": (), "up_block_types": ("UpDecoderBlock2D",) * n_levels}
    decoder = _follow(convert_ldm_vae_checkpoint, parts[VAE], config)
    found = {f"unet.{key}": held for key, held in unet.items()} | decoder
    known = {held.key for held in found.values()}
    return found | {key: Held(key, shape) for key, shape in shapes.items() if key not in known}


def _follow(
    converter: Callable[..., Mapping[str, Tensor]], shapes: Shapes, config: Mapping[str, Any]
) -> dict[str, Held]:
    """Tell from which tensor each one comes that a converter returns: that tensor, or a view of it."""
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    names = {id(tensor): key for key, tensor in tensors.items()}
    return {
        key: Held(names[id(tensor if tensor._base is None else tensor._base)], tuple(tensor.shape))
        for key, tensor in converter(tensors, config).items()
    }


def unet_matrices(network: nn.Module) -> set[str]:
    """List the weights of the UNet's linear and convolutional layers, which may be in half precision.

    The decoder stays float32: in half precision its values overflow. Norms and biases are few.
    """
    return {f"{name}.weight" for name, module in _matrices(network)}


def _matrices(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        if name.startswith("unet.") and isinstance(module, nn.Linear | nn.Conv2d):
            yield name, module


UNCLIP = Network(
    name="unclip",
    prefix="",
    unread=UNREAD,
    build=lambda shapes: Unclip(unclip_sizes(shapes)),
    convert=convert,
    halves=unet_matrices,
    state="state_dict",
    origin="the whole unclip6_epoch0_step110000.ckpt of MindEye2",
)
