"""MindEye2's unCLIP: keys and shapes as published, values at random, and what it computes, block by block.

From https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/generative_models/: the UNet of
sgm/modules/diffusionmodules/openaimodel.py, the decoder of model.py beside it, configs/unclip6.yaml.
"""

import io
import math
from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F

UNET, VAE = "model.diffusion_model", "first_stage_model"


class Sizes(NamedTuple):
    channels: tuple[int, ...] = (32, 64)
    depths: tuple[int, ...] = (0, 2)
    width: int = 6
    vector: int = 16
    decoder: tuple[int, ...] = (32, 64)


PUBLISHED = Sizes((320, 640, 1280), (0, 2, 10), 1664, 1024, (128, 256, 512, 512))


def layer(key, *shape, bias=True):
    return {f"{key}.weight": shape} | ({f"{key}.bias": shape[:1]} if bias else {})


def res_block(key, before, after, emb):
    shapes = layer(f"{key}.in_layers.0", before) | layer(f"{key}.in_layers.2", after, before, 3, 3)
    shapes |= layer(f"{key}.emb_layers.1", after, emb)
    shapes |= layer(f"{key}.out_layers.0", after) | layer(f"{key}.out_layers.3", after, after, 3, 3)
    return shapes | (layer(f"{key}.skip_connection", after, before, 1, 1) if before != after else {})


def transformer(key, channels, width, depth):
    shapes = layer(f"{key}.norm", channels)
    for place in ("proj_in", "proj_out"):
        shapes |= layer(f"{key}.{place}", channels, channels)
    for number in range(depth):
        block = f"{key}.transformer_blocks.{number}"
        for name, given in (("attn1", channels), ("attn2", width)):
            shapes |= layer(f"{block}.{name}.to_q", channels, channels, bias=False)
            shapes |= layer(f"{block}.{name}.to_k", channels, given, bias=False)
            shapes |= layer(f"{block}.{name}.to_v", channels, given, bias=False)
            shapes |= layer(f"{block}.{name}.to_out.0", channels, channels)
        shapes |= layer(f"{block}.ff.net.0.proj", 8 * channels, channels)
        shapes |= layer(f"{block}.ff.net.2", channels, 4 * channels)
        for norm in ("norm1", "norm2", "norm3"):
            shapes |= layer(f"{block}.{norm}", channels)
    return shapes


def unet_shapes(sizes):
    channels, depths, width, vector, _ = sizes
    first, emb = channels[0], 4 * channels[0]
    shapes = layer("time_embed.0", emb, first) | layer("time_embed.2", emb, emb)
    shapes |= layer("label_emb.0.0", emb, vector) | layer("label_emb.0.2", emb, emb)
    shapes |= layer("input_blocks.0.0", first, 4, 3, 3)
    now, kept, block = first, [first], 1
    for level, (own, depth) in enumerate(zip(channels, depths, strict=True)):
        for _ in range(2):
            shapes |= res_block(f"input_blocks.{block}.0", now, own, emb)
            shapes |= transformer(f"input_blocks.{block}.1", own, width, depth) if depth else {}
            now, block = own, block + 1
            kept.append(now)
        if level < len(channels) - 1:
            shapes |= layer(f"input_blocks.{block}.0.op", now, now, 3, 3)
            block += 1
            kept.append(now)
    shapes |= res_block("middle_block.0", now, now, emb) | res_block("middle_block.2", now, now, emb)
    shapes |= transformer("middle_block.1", now, width, depths[-1])
    block = 0
    for level, (own, depth) in reversed(list(enumerate(zip(channels, depths, strict=True)))):
        for number in range(3):
            shapes |= res_block(f"output_blocks.{block}.0", now + kept.pop(), own, emb)
            shapes |= transformer(f"output_blocks.{block}.1", own, width, depth) if depth else {}
            if level and number == 2:
                shapes |= layer(f"output_blocks.{block}.{2 if depth else 1}.conv", own, own, 3, 3)
            now, block = own, block + 1
    return shapes | layer("out.0", now) | layer("out.2", 4, now, 3, 3)


def vae_block(key, before, after):
    shapes = layer(f"{key}.norm1", before) | layer(f"{key}.conv1", after, before, 3, 3)
    shapes |= layer(f"{key}.norm2", after) | layer(f"{key}.conv2", after, after, 3, 3)
    return shapes | (layer(f"{key}.nin_shortcut", after, before, 1, 1) if before != after else {})


def decoder_shapes(sizes):
    now = sizes.decoder[-1]
    shapes = layer("post_quant_conv", 4, 4, 1, 1) | layer("decoder.conv_in", now, 4, 3, 3)
    shapes |= vae_block("decoder.mid.block_1", now, now) | vae_block("decoder.mid.block_2", now, now)
    shapes |= layer("decoder.mid.attn_1.norm", now)
    for name in ("q", "k", "v", "proj_out"):
        shapes |= layer(f"decoder.mid.attn_1.{name}", now, now, 1, 1)
    for level, own in reversed(list(enumerate(sizes.decoder))):
        for number in range(3):
            shapes |= vae_block(f"decoder.up.{level}.block.{number}", now, own)
            now = own
        shapes |= layer(f"decoder.up.{level}.upsample.conv", own, own, 3, 3) if level else {}
    return shapes | layer("decoder.norm_out", now) | layer("decoder.conv_out", 3, now, 3, 3)


def unclip_shapes(sizes=Sizes()):  # noqa: B008
    shapes = {f"{UNET}.{key}": shape for key, shape in unet_shapes(sizes).items()}
    return shapes | {f"{VAE}.{key}": shape for key, shape in decoder_shapes(sizes).items()}


# Of what is not read; there is much more.
OTHERS = {
    "conditioner.embedders.0.model.visual.class_embedding": (6,),
    "denoiser.sigmas": (1000,),
    f"{VAE}.encoder.conv_in.weight": (32, 3, 3, 3),
    f"{VAE}.quant_conv.weight": (8, 8, 1, 1),
}


def unclip_tensors(sizes=Sizes(), seed=0):  # noqa: B008
    """Values that let no layer's part vanish, gains about 1."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in (unclip_shapes(sizes) | OTHERS).items():
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            values /= math.sqrt(math.prod(shape[1:]))
        elif key.endswith("weight"):
            values = 1 + 0.3 * values
        tensors[key] = values
    return tensors


class Trainer:
    """What a trainer's state may hold: an object of a class that is not there when it is read."""

    def __init__(self, monitor):
        self.monitor = monitor

    def __reduce__(self):
        return print, ("this was called",)


def saved_unclip(tensors):
    """A checkpoint as Lightning writes it, bytes."""
    content = io.BytesIO()
    callbacks = {"ModelCheckpoint": {"best": Trainer("val/loss"), "score": torch.ones(1)}}
    torch.save({"epoch": 0, "callbacks": callbacks, "state_dict": OrderedDict(tensors)}, content)
    return content.getvalue()


class Reference:
    """The published networks on plain tensors, by their keys."""

    def __init__(self, tensors):
        self.tensors = tensors

    def linear(self, key, values):
        return F.linear(values, self.tensors[f"{key}.weight"], self.tensors.get(f"{key}.bias"))

    def conv(self, key, values, **options):
        weight = self.tensors[f"{key}.weight"]
        return F.conv2d(values, weight, self.tensors[f"{key}.bias"], padding=weight.shape[-1] // 2, **options)

    def groups(self, key, values, eps=1e-5):
        return F.group_norm(values, 32, self.tensors[f"{key}.weight"], self.tensors[f"{key}.bias"], eps)

    def norm(self, key, values):
        shape = values.shape[-1:]
        return F.layer_norm(values, shape, self.tensors[f"{key}.weight"], self.tensors[f"{key}.bias"])

    def has(self, key):
        return f"{key}.weight" in self.tensors

    def res_block(self, key, values, emb):
        inner = self.conv(f"{key}.in_layers.2", F.silu(self.groups(f"{key}.in_layers.0", values)))
        inner = inner + self.linear(f"{key}.emb_layers.1", F.silu(emb))[..., None, None]
        inner = self.conv(f"{key}.out_layers.3", F.silu(self.groups(f"{key}.out_layers.0", inner)))
        skip = f"{key}.skip_connection"
        return inner + (self.conv(skip, values) if self.has(skip) else values)

    def attention(self, key, values, given, head_width=64):
        queries, keys, content = (
            self.linear(f"{key}.{name}", source).unflatten(-1, (-1, min(head_width, values.shape[-1])))
            for name, source in (("to_q", values), ("to_k", given), ("to_v", given))
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys) / math.sqrt(queries.shape[-1])
        return self.linear(
            f"{key}.to_out.0", torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), content).flatten(-2)
        )

    def transformer(self, key, values, context):
        tokens = self.groups(f"{key}.norm", values, eps=1e-6).flatten(2).mT
        tokens = self.linear(f"{key}.proj_in", tokens)
        number = 0
        while self.has(block := f"{key}.transformer_blocks.{number}.norm1"):
            block = block.removesuffix(".norm1")
            normed = self.norm(f"{block}.norm1", tokens)
            tokens = tokens + self.attention(f"{block}.attn1", normed, normed)
            tokens = tokens + self.attention(f"{block}.attn2", self.norm(f"{block}.norm2", tokens), context)
            kept, gate = self.linear(f"{block}.ff.net.0.proj", self.norm(f"{block}.norm3", tokens)).chunk(
                2, dim=-1
            )
            tokens = tokens + self.linear(f"{block}.ff.net.2", kept * F.gelu(gate))
            number += 1
        return values + self.linear(f"{key}.proj_out", tokens).mT.unflatten(-1, values.shape[-2:])

    def part(self, key, values, emb, context):
        """Whatever stands at a place of a block."""
        if self.has(f"{key}.in_layers.0"):
            return self.res_block(key, values, emb)
        if self.has(f"{key}.proj_in"):
            return self.transformer(key, values, context)
        if self.has(f"{key}.op"):
            return self.conv(f"{key}.op", values, stride=2)
        if self.has(f"{key}.conv"):
            return self.conv(f"{key}.conv", F.interpolate(values, scale_factor=2.0))
        return self.conv(key, values) if self.has(key) else values

    def block(self, key, values, emb, context):
        for place in range(3):
            values = self.part(f"{key}.{place}", values, emb, context)
        return values

    def noise(self, latents, times, context, ids=(768, 768, 0, 0)):
        """The UNet."""
        width, vector = (
            self.tensors[f"{UNET}.{key}.weight"].shape[1] for key in ("time_embed.0", "label_emb.0.0")
        )
        emb = waves(times, width)
        told = torch.cat([waves(latents.new_tensor([number]), vector // 4) for number in ids], dim=-1)
        emb, told = (
            self.linear(f"{UNET}.{key}.2", F.silu(self.linear(f"{UNET}.{key}.0", values)))
            for key, values in (("time_embed", emb), ("label_emb.0", told))
        )
        emb, kept, number = emb + told, [], 0
        while any(key.startswith(f"{UNET}.input_blocks.{number}.") for key in self.tensors):
            latents = self.block(f"{UNET}.input_blocks.{number}", latents, emb, context)
            kept.append(latents)
            number += 1
        latents = self.block(f"{UNET}.middle_block", latents, emb, context)
        for number in range(len(kept)):
            latents = torch.cat([latents, kept.pop()], dim=1)
            latents = self.block(f"{UNET}.output_blocks.{number}", latents, emb, context)
        return self.conv(f"{UNET}.out.2", F.silu(self.groups(f"{UNET}.out.0", latents)))

    def vae_block(self, key, values):
        inner = self.conv(f"{key}.conv1", F.silu(self.groups(f"{key}.norm1", values, eps=1e-6)))
        inner = self.conv(f"{key}.conv2", F.silu(self.groups(f"{key}.norm2", inner, eps=1e-6)))
        short = f"{key}.nin_shortcut"
        return inner + (self.conv(short, values) if self.has(short) else values)

    def decode(self, latents, n_levels):
        """The decoder."""
        decoder = f"{VAE}.decoder"
        values = self.conv(f"{decoder}.conv_in", self.conv(f"{VAE}.post_quant_conv", latents / 0.13025))
        values = self.vae_block(f"{decoder}.mid.block_1", values)
        normed = self.groups(f"{decoder}.mid.attn_1.norm", values, eps=1e-6)
        queries, keys, content = (
            self.conv(f"{decoder}.mid.attn_1.{name}", normed).flatten(2) for name in "qkv"
        )
        weights = (queries.mT @ keys / math.sqrt(queries.shape[1])).softmax(-1)
        mixed = (content @ weights.mT).unflatten(-1, values.shape[-2:])
        values = values + self.conv(f"{decoder}.mid.attn_1.proj_out", mixed)
        values = self.vae_block(f"{decoder}.mid.block_2", values)
        for level in reversed(range(n_levels)):
            for number in range(3):
                values = self.vae_block(f"{decoder}.up.{level}.block.{number}", values)
            if level:
                values = F.interpolate(values, scale_factor=2.0)
                values = self.conv(f"{decoder}.up.{level}.upsample.conv", values)
        return self.conv(f"{decoder}.conv_out", F.silu(self.groups(f"{decoder}.norm_out", values, eps=1e-6)))


def waves(times, width):
    """(n,) to (n, width): cosines, then sines."""
    angles = times[:, None] * torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2)).to(times)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
