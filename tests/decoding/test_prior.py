"""MindEye2's diffusion prior: what it computes, and that it is the published one."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.mindeye2_networks import networks, noise_schedule, prior_shapes, random_tensors, saved

from brain2image.core.errors import InputError
from brain2image.decoding.prior import (
    PRIOR,
    SCHEDULE,
    extract_prior,
    load_prior,
    prior_sizes,
    sample_tokens,
    spread_times,
)
from brain2image.decoding.prior_network import PriorSizes
from brain2image.decoding.stored import build_empty

TRANSFORMER = "net.causal_transformer"


def gain(values, weights, key, eps=1e-5):
    centred = values - values.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * weights[f"{key}.g"]


def turn(values, frequencies):
    """Rotate neighbours, position by position and pair by pair."""
    values = values.clone()
    for position in range(values.shape[-2]):
        for pair, frequency in enumerate(frequencies.tolist()):
            cos, sin = math.cos(position * frequency), math.sin(position * frequency)
            first, second = (
                values[..., position, 2 * pair].clone(),
                values[..., position, 2 * pair + 1].clone(),
            )
            values[..., position, 2 * pair] = first * cos - second * sin
            values[..., position, 2 * pair + 1] = first * sin + second * cos
    return values


def bucket(query, key, n_buckets):
    """The bucket of a distance: each its own up to half of the buckets, then logarithmic up to 128."""
    distance, exact = max(query - key, 0), n_buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(128 / exact)
    return min(exact + int(share * (n_buckets - exact)), n_buckets - 1)


def attention(tokens, weights, key, *, bias, n_heads, output_eps):
    tokens = gain(tokens, weights, f"{key}.norm")
    keys, values = (tokens @ weights[f"{key}.to_kv.weight"].T).chunk(2, dim=-1)
    keys = turn(keys, weights[f"{key}.rotary_emb.freqs"])
    null_key, null_value = (row.expand(len(tokens), 1, -1) for row in weights[f"{key}.null_kv"])
    keys, values = torch.cat([null_key, keys], 1), torch.cat([null_value, values], 1)
    heads = []
    for head, queries in enumerate((tokens @ weights[f"{key}.to_q.weight"].T).chunk(n_heads, dim=-1)):
        queries = turn(queries, weights[f"{key}.rotary_emb.freqs"])
        cosine = F.cosine_similarity(queries[:, :, None], keys[:, None], dim=-1)
        heads.append((16 * cosine + bias[head]).softmax(-1) @ values)
    out = torch.cat(heads, -1) @ weights[f"{key}.to_out.0.weight"].T
    return gain(out, weights, f"{key}.to_out.1", eps=output_eps)


def feed_forward(tokens, weights, key):
    kept, gate = (gain(tokens, weights, f"{key}.0") @ weights[f"{key}.1.weight"].T).chunk(2, dim=-1)
    return kept * gate * gate.sigmoid() @ weights[f"{key}.5.weight"].T


def reference(weights, noisy, time, brain, *, depth=2, output_eps=1e-3):
    """The published network, layer by layer from its description."""
    width = noisy.shape[-1]
    waves = [time * 10_000 ** (-wave / (width // 2 - 1)) for wave in range(width // 2)]
    embedded = torch.tensor([[*map(math.sin, waves), *map(math.cos, waves)]], dtype=noisy.dtype)
    for place in ("0.0", "1.0", "2"):
        layer = f"net.to_time_embeds.0.1.net.{place}"
        embedded = embedded @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        embedded = embedded if place == "2" else embedded * embedded.sigmoid()
    moment = embedded[None].expand(len(noisy), 1, -1)
    tokens = torch.cat([brain, moment, noisy + weights["net.learned_query"]], 1)
    table = weights[f"{TRANSFORMER}.rel_pos_bias.relative_attention_bias.weight"]
    n = tokens.shape[1]
    buckets = torch.tensor([[bucket(query, key, len(table)) for key in range(n + 1)] for query in range(n)])
    bias = table.T[:, buckets]
    for layer in range(depth):
        key = f"{TRANSFORMER}.layers.{layer}"
        options = {"bias": bias, "n_heads": len(bias), "output_eps": output_eps}
        tokens = tokens + attention(tokens, weights, f"{key}.0", **options)
        tokens = tokens + feed_forward(tokens, weights, f"{key}.1")
    tokens = gain(tokens / tokens.max(-1, keepdim=True).values, weights, f"{TRANSFORMER}.norm")
    return (tokens @ weights[f"{TRANSFORMER}.project_out.weight"].T)[:, -noisy.shape[1] :]


def reference_sample(weights, brain, draw, *, steps, n_times=10):
    """DDPM of all times, else DDIM with eta 1, in the formulas of the papers and their published indices."""
    beta, kept = (noise_schedule(n_times)[name].tolist() for name in ("betas", "alphas_cumprod"))
    before = [1.0, *kept[:-1]]
    tokens = draw()
    times = (
        range(-1, n_times) if steps == n_times else torch.linspace(-1, n_times, steps + 1)[:-1].int().tolist()
    )
    for following, time in list(pairwise(times))[::-1]:
        start = reference(weights, tokens, time, brain)
        if steps == n_times:
            mean = math.sqrt(before[time]) * beta[time] * start
            mean = mean + math.sqrt(1 - beta[time]) * (1 - before[time]) * tokens
            tokens, sigma = (
                mean / (1 - kept[time]),
                math.sqrt(beta[time] * (1 - before[time]) / (1 - kept[time])),
            )
            tokens = tokens + (sigma * draw() if time > 0 else 0)
            continue
        if following < 0:
            tokens = start
            continue
        noise = (tokens - math.sqrt(kept[time]) * start) / math.sqrt(1 - kept[time])
        now, then = before[time], before[following]
        sigma = math.sqrt((1 - now / then) * (1 - then) / (1 - now))
        tokens = math.sqrt(then) * start + math.sqrt(1 - then - sigma**2) * noise
        tokens = tokens + (sigma * draw() if following > 0 else 0)
    return tokens


def load(tmp_path, tensors, dtype="float32"):
    (tmp_path / "last.pth").write_bytes(saved(tensors))
    extract_prior(str(tmp_path / "last.pth"), out=tmp_path / "prior.safetensors", dtype=dtype)
    return load_prior(tmp_path / "prior.safetensors")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def tensors():
    return networks()


def behind(tensors, dtype=torch.float64):
    """The prior's tensors by their keys in it."""
    prefix = "diffusion_prior."
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    return {key: tensor.to(dtype) for key, tensor in own.items()}


def draws(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(4, 3, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    "sizes", [{}, {"n_tokens": 70, "head_width": 8, "rotated": 4, "heads": 3, "depth": 1}]
)
def test_the_network_equals_the_reference(tmp_path, sizes):
    """In float64, where nothing but the formulas counts; with 141 tokens distances reach the last bucket."""
    tensors = random_tensors(prior_shapes(**sizes))
    noisy, brain = torch.randn(2, 2, sizes.get("n_tokens", 3), 8)
    prior = load(tmp_path, tensors)
    assert not prior.training
    single = prior.net(noisy, 7.0, brain)
    noisy, brain = noisy.double(), brain.double()
    expected = reference(behind(tensors), noisy, 7, brain, depth=sizes.get("depth", 2))
    torch.testing.assert_close(prior.double().net(noisy, 7.0, brain), expected, rtol=1e-9, atol=1e-9)
    assert (single - expected).square().mean().sqrt() < 1e-5 * expected.std()


def test_outputs_of_attention_are_normed_as_in_half_precision(tmp_path, tensors):
    """The published code takes 1e-3 there under autocast, and 1e-5 only in float32."""
    noisy, brain = torch.randn(2, 4, 3, 8, dtype=torch.float64)
    prior, weights = load(tmp_path, tensors).double(), behind(tensors)
    for layer in prior.net.causal_transformer.layers:
        layer[0].to_out[1].eps = 1e-5
    expected = reference(weights, noisy, 7, brain, output_eps=1e-5)
    torch.testing.assert_close(prior.net(noisy, 7.0, brain), expected, rtol=1e-9, atol=1e-9)
    assert (reference(weights, noisy, 7, brain) - expected).abs().max() > 1e-4


@pytest.mark.parametrize("steps", [2, 4, 9, 10])
def test_samples_equal_the_reference(tmp_path, tensors, steps):
    """In float64: a network of random weights makes a difference 10,000 times as large from step to step."""
    brain = torch.randn(4, 3, 8, dtype=torch.float64)
    prior = load(tmp_path, tensors).double()
    for name, values in noise_schedule(10).items():
        prior.noise_scheduler.get_buffer(name).copy_(values)
    expected = reference_sample(behind(tensors), brain, draws(1), steps=steps)
    torch.testing.assert_close(prior.sample(brain, draws(1), steps=steps), expected, rtol=1e-6, atol=1e-7)


def test_times_are_the_published_ones():
    assert spread_times(100, 20) == [*range(94, 3, -5), -1]
    for steps in range(2, 100):
        assert spread_times(100, steps) == torch.linspace(-1, 100, steps + 1)[:-1].int().tolist()[::-1]


def test_a_seed_gives_the_same_tokens_in_blocks_of_any_size(tmp_path, tensors):
    prior, brain = load(tmp_path, tensors), np.random.default_rng(0).standard_normal((5, 3, 8), np.float32)

    def sample(**options):
        return np.concatenate(list(sample_tokens(prior, brain, **{"seed": 3, "steps": 4, **options})))

    tokens = sample()
    assert tokens.shape == brain.shape
    assert tokens.dtype == np.float32
    np.testing.assert_array_equal(sample(), tokens)
    np.testing.assert_allclose(sample(block_trials=2), tokens, atol=1e-5)
    assert np.abs(sample(seed=4) - tokens).mean() > 1e-2
    assert np.abs(sample(steps=10) - tokens).mean() > 1e-2


@pytest.mark.parametrize("steps", [1, 11])
def test_too_few_or_too_many_steps_are_refused(tmp_path, tensors, steps):
    brain = np.zeros((1, 3, 8), np.float32)
    with pytest.raises(InputError, match=f"expected 2 to 10 steps of the prior, got {steps}"):
        next(sample_tokens(load(tmp_path, tensors), brain, seed=0, steps=steps))


def test_tokens_of_another_shape_are_refused(tmp_path, tensors):
    with pytest.raises(InputError, match=r"\(n_trials, 3, 8\), as the prior has them, got \(1, 4, 8\)"):
        next(sample_tokens(load(tmp_path, tensors), np.zeros((1, 4, 8), np.float32), seed=0))


PUBLISHED = {"n_tokens": 256, "width": 1664, "depth": 6, "heads": 32, "head_width": 52, "rotated": 32}


def test_the_published_keys_and_shapes_are_this_networks():
    shapes = prior_shapes(**PUBLISHED, n_times=100)
    shapes = {key.removeprefix("diffusion_prior."): shape for key, shape in shapes.items()}
    assert prior_sizes(shapes) == PriorSizes(256, 1664, 6, 32, 52, 16, 32, 4, 100)
    prior = build_empty(PRIOR, shapes, source="last.pth", remedy="")
    values = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    assert not any(prior.load_state_dict(values, strict=True, assign=True))
    # as the published notebooks print it; all layers share one set of frequencies there
    n_frequencies = 5 * 16
    assert sum(parameter.numel() for parameter in prior.parameters()) - n_frequencies == 259_865_216
    assert {name for name, _ in prior.noise_scheduler.named_buffers()} == set(SCHEDULE)


@pytest.mark.parametrize(("dtype", "error"), [("float16", 5e-3), ("bfloat16", 4e-2)])
def test_half_precision_costs_little(tmp_path, dtype, error):
    tensors = random_tensors(prior_shapes(n_tokens=8, width=64, heads=4, head_width=16, rotated=16))
    noisy, brain = torch.randn(2, 4, 8, 64)
    exact = load(tmp_path, tensors).net(noisy, 7.0, brain)
    short = load(tmp_path, tensors, dtype).net(noisy, 7.0, brain)
    relative = float((short - exact).square().mean().sqrt() / exact.std())
    assert error / 10 < relative < error
