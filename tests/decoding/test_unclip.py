"""Pictures from tokens: what MindEye2's unCLIP computes, and that it is the published one."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.unclip_networks import (
    OTHERS,
    PUBLISHED,
    UNET,
    VAE,
    Reference,
    Sizes,
    saved_unclip,
    unclip_shapes,
    unclip_tensors,
)
from safetensors.torch import load_file

from brain2image.core.errors import InputError
from brain2image.decoding.stored import build_empty
from brain2image.decoding.unclip import (
    Noise,
    extract_unclip,
    load_unclip,
    noise_levels,
    sample_latents,
    sample_pictures,
)
from brain2image.decoding.unclip_network import UNCLIP, UnclipSizes, convert, unclip_sizes

pytest.importorskip("diffusers", reason="diffusers is not installed, of which the networks are built")
ROOT = Path(__file__).parents[2]
SIZES = Sizes()
SIDE = 8  # pixels, four latents


@pytest.fixture(scope="module")
def tensors():
    return unclip_tensors()


def load(folder, tensors, dtype="float32"):
    (folder / "unclip.ckpt").write_bytes(saved_unclip(tensors))
    extract_unclip(str(folder / "unclip.ckpt"), out=folder / "unclip.safetensors", dtype=dtype)
    return load_unclip(folder / "unclip.safetensors")


@pytest.fixture(scope="module")
def unclip(tmp_path_factory, tensors):
    return load(tmp_path_factory.mktemp("unclip"), tensors)


@pytest.fixture
def tokens():
    return np.random.default_rng(0).standard_normal((3, 5, SIZES.width), np.float32)


def test_the_networks_equal_the_reference(unclip, tensors):
    """In float64, where nothing but the formulas counts."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 4, 4, generator=generator, dtype=torch.float64)
    context = torch.randn(2, 5, SIZES.width, generator=generator, dtype=torch.float64)
    reference = Reference({key: values.double() for key, values in tensors.items()})
    moment, ids = torch.tensor(407), torch.tensor([768.0, 768, 0, 0], dtype=torch.float64)
    try:
        found = (
            unclip.double()
            .unet(
                latents,
                moment,
                context,
                added_cond_kwargs={"text_embeds": context.new_empty(2, 0), "time_ids": ids.expand(2, -1)},
            )
            .sample
        )
        pixels = unclip.decode(latents)
    finally:
        unclip.float()
    expected = reference.noise(latents, torch.full((2,), 407.0, dtype=torch.float64), context)
    # diffusers computes the waves of times in float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    single = unclip.noise(latents.float(), moment, context.float(), ids.float())
    torch.testing.assert_close(single, expected.float(), rtol=1e-3, atol=1e-3)
    assert pixels.shape == (2, 3, SIDE, SIDE)
    torch.testing.assert_close(pixels, reference.decode(latents, len(SIZES.decoder)), rtol=1e-9, atol=1e-9)


def published_sampler(network, tokens, away, start, noise, offset, *, steps):
    """EulerEDMSampler, VanillaCFG, DiscreteDenoiser, EpsScaling, LegacyDDPMDiscretization, as published."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = np.cumprod(1 - betas.numpy())
    table = torch.tensor((1 - kept) / kept, dtype=torch.float32) ** 0.5  # by time
    chosen = np.linspace(999, 0, steps, endpoint=False).astype(int)[::-1]
    sigmas = torch.cat([table[chosen.copy()].flip(0), torch.zeros(1)])

    def denoise(values, sigma):
        time = (sigma - table).abs().argmin()
        scaled = values / (table[time] ** 2 + 1) ** 0.5
        guess = network(torch.cat([scaled] * 2), time, torch.cat([away, tokens])) * -table[time]
        unguided, guided = (guess + torch.cat([values] * 2)).chunk(2)
        return unguided + 5.0 * (guided - unguided)

    values = (start + (noise + 0.04 * offset) * sigmas[0]) / (1 + sigmas[0] ** 2) ** 0.5
    values = values * (1 + sigmas[0] ** 2) ** 0.5
    for sigma, following in pairwise(sigmas):
        values = values + (values - denoise(values, sigma)) / sigma * (following - sigma)
    return values


class Stand:
    """A network whose answer depends on all that it is given."""

    def __init__(self):
        self.times = []

    def noise(self, latents, time, tokens, time_ids):
        assert time_ids.tolist() == [768, 768, 0, 0]
        return self(latents, time, tokens)

    def __call__(self, latents, time, tokens):
        self.times.append(int(time))
        return 0.3 * torch.tanh(latents + tokens.mean((1, 2))[:, None, None, None] + 0.001 * time)


@pytest.mark.parametrize("steps", [1, 5, 38])
def test_sampling_equals_the_published_one(tokens, steps):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.from_numpy(tokens)
    away = torch.randn(tokens.shape, generator=generator)
    start, noise = torch.randn(2, 3, 4, 4, 4, generator=generator)
    offset = torch.randn(3, 1, 1, 1, generator=generator)
    ours, theirs = Stand(), Stand()
    found = sample_latents(ours, tokens, away, Noise(start, noise, offset), steps=steps)
    expected = published_sampler(theirs, tokens, away, start, noise, offset, steps=steps)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert ours.times == theirs.times
    assert len(ours.times) == steps


def test_noise_levels_are_those_of_sdxl():
    times, sigmas = noise_levels(38)
    assert (times[0], times[1], times[-1], len(times)) == (999, 972, 26, 38)
    # 14.6146 is SDXL's largest sigma, 0.0292 its smallest, as its samplers print them
    assert sigmas[0] == pytest.approx(14.6146, abs=1e-4)
    assert sigmas[-1] == 0
    every, sigmas = noise_levels(1000)
    assert (every[0], every[-1], len(sigmas)) == (999, 0, 1001)
    assert sigmas[-2] == pytest.approx(0.0292, abs=1e-4)
    for steps in (0, 1001):
        with pytest.raises(InputError, match=f"expected 1 to 1000 steps of the unCLIP, got {steps}"):
            noise_levels(steps)


def test_the_published_keys_and_shapes_are_these_networks():
    """Zero missing, zero extra; 2,501,272,324 parameters of the UNet, and the decoder of SDXL."""
    published = unclip_shapes(PUBLISHED)
    assert sum(key.startswith(UNET) for key in published) == 1680
    held = convert(published)
    assert sorted(tensor.key for tensor in held.values()) == sorted(published)
    shapes = {key: tensor.shape for key, tensor in held.items()}
    assert unclip_sizes(shapes) == UnclipSizes(*PUBLISHED)
    network = build_empty(UNCLIP, shapes, source="unclip.ckpt", remedy="")
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert sum(values.numel() for values in network.unet.parameters()) == 2_501_272_324
    assert sum(values.numel() for values in network.decoder.parameters()) == 49_490_179
    assert network.shrinkage == 8
    assert [
        block.attentions[0].transformer_blocks[0].attn1.heads for block in network.unet.down_blocks[1:]
    ] == [10, 20]


def test_the_file_holds_halves_of_the_unet_alone(tmp_path, tensors):
    load(tmp_path, tensors, "float16")
    found = load_file(tmp_path / "unclip.safetensors")
    assert len(found) == len(unclip_shapes())
    for key, values in found.items():
        is_half = key.startswith("unet.") and values.ndim > 1
        assert values.dtype == (torch.float16 if is_half else torch.float32), key
    attention = found["decoder.mid_block.attentions.0.to_q.weight"]
    assert torch.equal(attention, tensors[f"{VAE}.decoder.mid.attn_1.q.weight"][:, :, 0, 0])


def draw(unclip, tokens, **options):
    blocks = list(sample_pictures(unclip, tokens, **{"seed": 0, "steps": 2, "side": SIDE, **options}))
    return np.concatenate(blocks), [len(block) for block in blocks]


def test_a_picture_follows_from_seed_and_row_alone(unclip, tokens):
    pictures, blocks = draw(unclip, tokens, block_trials=2)
    assert blocks == [2, 1]
    assert (pictures.shape, pictures.dtype) == ((3, 1, SIDE, SIDE, 3), np.uint8)
    assert pictures.std() > 10
    several, _ = draw(unclip, tokens, n_samples=2)
    np.testing.assert_allclose(several[:, 0].astype(int), pictures[:, 0], atol=1)  # rounding
    assert np.abs(several[:, 0].astype(int) - several[:, 1]).mean() > 10
    other, _ = draw(unclip, tokens, seed=1)
    assert np.abs(other.astype(int) - pictures).mean() > 10
    same, _ = draw(unclip, np.stack([tokens[0]] * 2))
    assert np.abs(same[0].astype(int) - same[1]).mean() > 10  # rows have noise of their own


def test_pictures_are_what_the_decoder_gives(unclip, tokens):
    """From 0.2 and 0.8 times its values on, in 255 steps."""
    pictures, _ = draw(unclip, tokens[:1])
    generator = np.random.default_rng([0, 0])

    def normal(*shape):
        return torch.from_numpy(generator.standard_normal((1, *shape), np.float32))

    away, noise = normal(5, SIZES.width), Noise(normal(4, 4, 4), normal(4, 4, 4), normal(1, 1, 1))
    latents = sample_latents(unclip, torch.from_numpy(tokens[:1]), away, noise, steps=2)
    values = (0.2 + 0.8 * unclip.decode(latents)[0]).clamp(0, 1).permute(1, 2, 0)
    np.testing.assert_array_equal(pictures[0, 0], (255 * values).round().byte().numpy())


def test_half_precision_changes_little(tmp_path, unclip, tensors):
    """Weights in float16 have 11 binary digits; what a CPU computes with them is float32 again."""
    generator = torch.Generator().manual_seed(0)
    latents, context = torch.randn(1, 4, 4, 4, generator=generator), torch.randn(1, 5, SIZES.width)
    moment, ids = torch.tensor(500), torch.tensor([768.0, 768, 0, 0])
    short = load(tmp_path, tensors, "float16")
    list(sample_pictures(short, np.zeros((1, 5, SIZES.width), np.float32), seed=0, steps=1, side=SIDE))
    assert {values.dtype for values in short.parameters()} == {torch.float32}
    exact = unclip.noise(latents, moment, context, ids)
    error = (short.noise(latents, moment, context, ids) - exact).square().mean().sqrt() / exact.std()
    assert 1e-5 < error < 5e-3


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda t: t[:, :, :4],
            {},
            r"of shape \(n_trials, n_tokens, 6\), as the unCLIP has them, got \(3, 5, 4\)",
        ),
        (lambda t: t, {"side": 7}, "expected pictures of a multiple of 2 pixels, got 7"),
        (lambda t: t, {"side": 0}, "expected pictures of a multiple of 2 pixels, got 0"),
        (lambda t: t, {"steps": 0}, "expected 1 to 1000 steps"),
        (lambda t: t * np.inf, {}, "expected finite pictures of trials 0 to 2, got NaN or infinity"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(unclip, tokens, change, options, message):
    with pytest.raises(InputError, match=message) as error, np.errstate(invalid="ignore"):
        draw(unclip, change(tokens), **options)
    assert "\n" not in str(error.value)


UP = f"{UNET}.output_blocks.0.0.in_layers.2.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {key: t[key] for key in OTHERS}, r"expected a unclip .*use the whole unclip6_epoch0"),
        (lambda t: {key: t[key] for key in t if key != UP}, "0 are unknown and 1 missing"),
        (
            lambda t: t | {f"{UNET}.extra": torch.zeros(1)},
            rf"1 are unknown and 0 missing \(first: {UNET}\.extra",
        ),
        (
            lambda t: t | {f"{VAE}.extra": torch.zeros(1)},
            rf"1 are unknown and 0 missing \(first: {VAE}\.extra",
        ),
        (lambda t: t | {"model_ema.x": torch.zeros(1)}, r"1 are unknown and 0 missing \(first: model_ema\.x"),
        (lambda t: {key: t[key] for key in t if "label_emb" not in key}, "the unclip's sizes .*label_emb"),
        (lambda t: t | {UP: t[UP][:1]}, "expected unet.up_blocks.0.resnets.0.conv1.weight of shape"),
        (lambda t: t | {UP: t[UP] * 1e7}, f"in {UP} as float16; store it as bfloat16 or float32"),
    ],
)
def test_another_checkpoint_is_refused_in_one_line(tmp_path, tensors, change, message):
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path, change(tensors), "float16")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "unclip.safetensors").exists()


def test_only_what_draws_is_downloaded(server, cache, tmp_path, tensors):
    large = {f"conditioner.embedders.0.model.visual.{name}": torch.rand(1_000_000) for name in "ab"}
    server.files["/unclip.ckpt"] = content = saved_unclip(large | tensors)
    server.headers["/unclip.ckpt"] = {"X-Linked-ETag": f'"{"1" * 64}"', "X-Repo-Commit": "c0ffee"}
    extract_unclip(f"{server.url}/unclip.ckpt", out=tmp_path / "unclip.safetensors", dtype="float32")
    wanted = sum(values.nbytes for key, values in tensors.items() if key not in OTHERS)
    assert wanted < server.sent < wanted + 5e6 < len(content)
    assert load_unclip(tmp_path / "unclip.safetensors").sizes == UnclipSizes(*SIZES)


def test_nothing_of_the_trainer_is_called(tmp_path, tensors, capsys):
    load(tmp_path, tensors)
    assert "this was called" not in capsys.readouterr().out


def test_a_missing_diffusers_is_said_in_one_line(tmp_path, tensors, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"run: pip install 'brain2image\[pictures\]'$") as error:
        load(tmp_path, tensors)
    assert "\n" not in str(error.value)


def test_the_benchmark_runs_at_toy_size(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    import drawing

    drawing.main(["--toy", "--images", "2"])
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("| 16 x 16 pixels in 3 steps, 1 at a time | ")
    assert second.startswith("| 16 x 16 pixels in 3 steps, 4 at a time | ")
