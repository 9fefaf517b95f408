"""The networks of a MindEye2 checkpoint behind its ridge: keys and shapes as published, values at random."""

import io
import math
from collections import OrderedDict

import torch

# Of the branch for blurry pictures, which is not read; there are many more.
BLURRY = {"backbone.blin1.weight": (6, 2), "backbone.bupsampler.conv_in.bias": (3,)}


def mixer_shapes(key, width):
    norm, first, second = f"{key}.0", f"{key}.1.0", f"{key}.1.3"
    shapes = {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for layer in (first, second):
        shapes |= {f"{layer}.weight": (width, width), f"{layer}.bias": (width,)}
    return shapes


def backbone_shapes(*, hidden=12, n_tokens=3, width=8, n_blocks=4):
    shapes = {}
    for block in range(n_blocks):
        shapes |= mixer_shapes(f"mixer_blocks1.{block}", hidden) | mixer_shapes(f"mixer_blocks2.{block}", 1)
    shapes |= {
        "backbone_linear.weight": (n_tokens * width, hidden),
        "backbone_linear.bias": (n_tokens * width,),
    }
    for place in (0, 3, 6):
        shapes |= {f"clip_proj.{place}.weight": (width,), f"clip_proj.{place}.bias": (width,)}
        shapes |= {f"clip_proj.{place + 2}.weight": (width, width), f"clip_proj.{place + 2}.bias": (width,)}
    return {f"backbone.{key}": shape for key, shape in shapes.items()}


def prior_shapes(*, n_tokens=3, width=8, depth=2, heads=2, head_width=6, rotated=6, buckets=32, n_times=10):
    time, transformer = "net.to_time_embeds.0.1.net", "net.causal_transformer"
    shapes = {
        "net.learned_query": (n_tokens, width),
        "net.null_brain_embeds": (n_tokens, width),
        "net.null_image_embed": (n_tokens, width),
        f"{time}.0.0.weight": (2 * width, width),
        f"{time}.0.0.bias": (2 * width,),
        f"{time}.1.0.weight": (2 * width, 2 * width),
        f"{time}.1.0.bias": (2 * width,),
        f"{time}.2.weight": (width, 2 * width),
        f"{time}.2.bias": (width,),
        f"{transformer}.rel_pos_bias.relative_attention_bias.weight": (buckets, heads),
        f"{transformer}.norm.g": (width,),
        f"{transformer}.project_out.weight": (width, width),
    }
    for number in range(depth):
        layer = f"{transformer}.layers.{number}"
        shapes |= {
            f"{layer}.0.norm.g": (width,),
            f"{layer}.0.null_kv": (2, head_width),
            f"{layer}.0.to_q.weight": (heads * head_width, width),
            f"{layer}.0.to_kv.weight": (2 * head_width, width),
            f"{layer}.0.rotary_emb.freqs": (rotated // 2,),
            f"{layer}.0.to_out.0.weight": (width, heads * head_width),
            f"{layer}.0.to_out.1.g": (width,),
            f"{layer}.1.0.g": (width,),
            f"{layer}.1.1.weight": (8 * width, width),
            f"{layer}.1.5.weight": (width, 4 * width),
        }
    shapes |= {f"noise_scheduler.{name}": (n_times,) for name in noise_schedule(n_times)}
    return {f"diffusion_prior.{key}": shape for key, shape in shapes.items()}


def noise_schedule(n_times):
    """The cosine schedule (arXiv:2102.09672) and what follows from it, float64."""
    ends = torch.linspace(0, n_times, n_times + 1, dtype=torch.float64)
    share = torch.cos((ends / n_times + 0.008) / 1.008 * math.pi / 2) ** 2
    beta = torch.clip(1 - share[1:] / share[:-1], 0, 0.999)
    kept = torch.cumprod(1 - beta, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    variance = beta * (1 - before) / (1 - kept)
    return {
        "betas": beta,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - kept).log(),
        "sqrt_recip_alphas_cumprod": (1 / kept).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": beta * before.sqrt() / (1 - kept),
        "posterior_mean_coef2": (1 - before) * (1 - beta).sqrt() / (1 - kept),
        "p2_loss_weight": torch.ones_like(beta),
    }


def random_tensors(shapes, seed=0):
    """Values that let no layer's part vanish; gains about 1, and the schedule as it is."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) == 2:
            values /= math.sqrt(shape[1])
        if key.endswith((".g", "freqs")) or (len(shape) == 1 and key.endswith("weight")):
            values = 1 + 0.3 * values
        tensors[key] = values
    prefix = "diffusion_prior.noise_scheduler."
    if f"{prefix}betas" in tensors:
        schedule = noise_schedule(len(tensors[f"{prefix}betas"]))
        tensors |= {prefix + name: values.float() for name, values in schedule.items()}
    return tensors


def networks(**sizes):
    """A whole small model: ridge, backbone with its blurry branch, prior."""
    shapes = {"ridge.linears.0.weight": (12, 20), "ridge.linears.0.bias": (12,)}
    return random_tensors(shapes | backbone_shapes(**sizes) | BLURRY | prior_shapes())


def saved(tensors):
    """A checkpoint as ``torch.save`` writes it, bytes."""
    content = io.BytesIO()
    torch.save({"model_state_dict": OrderedDict(tensors)}, content)
    return content.getvalue()
