"""MindEye2's backbone: what it computes, and that it is the published one."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.mindeye2_networks import backbone_shapes, networks, random_tensors, saved

from brain2image.core.errors import InputError
from brain2image.decoding.backbone import (
    BACKBONE,
    BackboneSizes,
    backbone_sizes,
    decode_tokens,
    extract_backbone,
    load_backbone,
)
from brain2image.decoding.stored import build_empty


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def linear(values, weights, key):
    return values @ weights[f"{key}.weight"].T + weights[f"{key}.bias"]


def norm(values, weights, key):
    centred = values - values.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * weights[f"{key}.weight"] + weights[f"{key}.bias"]


def mixer(values, weights, key):
    hidden = F.gelu(linear(norm(values, weights, f"{key}.0"), weights, f"{key}.1.0"))
    return linear(hidden, weights, f"{key}.1.3")


def reference(weights, embedding, *, n_blocks, width):
    """The published forward pass over sequences (n, 1, hidden), word for word from its description."""
    weights = {key.removeprefix("backbone."): value for key, value in weights.items()}
    sequence = embedding[:, None]
    along, across = sequence, sequence.mT
    for block in range(n_blocks):
        sequence = mixer(sequence, weights, f"mixer_blocks1.{block}") + along
        along = sequence
        turned = mixer(sequence.mT, weights, f"mixer_blocks2.{block}") + across
        across = turned
        sequence = turned.mT
    tokens = linear(sequence.flatten(1), weights, "backbone_linear").reshape(len(embedding), -1, width)
    values = tokens
    for place in (0, 3, 6):
        values = linear(
            F.gelu(norm(values, weights, f"clip_proj.{place}")), weights, f"clip_proj.{place + 2}"
        )
    return tokens, values


def load(tmp_path, tensors, dtype="float32", **options):
    (tmp_path / "last.pth").write_bytes(saved(tensors))
    extract_backbone(str(tmp_path / "last.pth"), out=tmp_path / "backbone.safetensors", dtype=dtype)
    return load_backbone(tmp_path / "backbone.safetensors", **options)


@pytest.mark.parametrize("sizes", [{}, {"hidden": 5, "n_tokens": 4, "width": 6, "n_blocks": 2}])
def test_tokens_equal_the_reference(tmp_path, sizes):
    tensors = networks(**sizes)
    embedding = torch.randn(7, sizes.get("hidden", 12))
    expected = reference(tensors, embedding, n_blocks=sizes.get("n_blocks", 4), width=sizes.get("width", 8))
    backbone = load(tmp_path, tensors)
    assert not backbone.training
    found = list(zip(*decode_tokens(backbone, embedding.numpy(), block_trials=3), strict=True))
    for blocks, values in zip(found, expected, strict=True):
        assert [len(block) for block in blocks] == [3, 3, 1]
        np.testing.assert_allclose(np.concatenate(blocks), values, rtol=1e-5, atol=1e-5)


def test_the_first_mixers_reach_no_output(tmp_path):
    """A norm over one value gives its bias, so the tokens are an affine function of the embedding."""
    tensors = networks()
    changed = {
        key: values + torch.rand_like(values) * key.startswith("backbone.mixer_blocks1.")
        for key, values in tensors.items()
    }
    embedding = torch.randn(5, 12)
    first, second = (load(tmp_path, weights)(embedding)[0] for weights in (tensors, changed))
    assert torch.equal(first, second)
    backbone, (left, right) = load(tmp_path, tensors), torch.randn(2, 4, 12)
    half = backbone((left + right) / 2)[0]
    torch.testing.assert_close(half, (backbone(left)[0] + backbone(right)[0]) / 2, rtol=1e-5, atol=1e-5)


# Parameters of the whole backbone as the published notebooks print them, and of its blurry branch among them:
# blin1 12,848,192, the norm 128, the projector 560,640, the decoder the rest.
@pytest.mark.parametrize(
    ("hidden", "printed", "blurry"), [(4096, 1_903_020_028, 15_158_628), (1024, 453_360_280, 0)]
)
def test_the_published_keys_and_shapes_are_this_networks(hidden, printed, blurry):
    shapes = backbone_shapes(hidden=hidden, n_tokens=256, width=1664)
    shapes = {key.removeprefix("backbone."): shape for key, shape in shapes.items()}
    network = build_empty(BACKBONE, shapes, source="last.pth", remedy="")
    assert backbone_sizes(shapes) == BackboneSizes(hidden, 4, 256, 1664)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    values = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    assert not any(network.load_state_dict(values, strict=True, assign=True))
    assert sum(parameter.numel() for parameter in network.parameters()) == printed - blurry
    tokens, clip_tokens = network(torch.empty(2, hidden, device="meta"))
    assert tokens.shape == clip_tokens.shape == (2, 256, 1664)


@pytest.mark.parametrize(("dtype", "error"), [("float16", 5e-4), ("bfloat16", 4e-3)])
def test_half_precision_costs_little(tmp_path, monkeypatch, dtype, error):
    """Error over the spread of the values: 2e-4 in float16 and 2e-3 in bfloat16, by their digits."""
    monkeypatch.setattr("brain2image.decoding.stored_linear.BLOCK_VALUES", 5000)  # several blocks of rows
    tensors = random_tensors(backbone_shapes(hidden=256, n_tokens=4, width=64))
    embedding = torch.randn(16, 256)
    exact = load(tmp_path, tensors)(embedding)
    backbone = load(tmp_path, tensors, dtype)
    assert backbone.backbone_linear.weight.dtype == getattr(torch, dtype)
    assert backbone.backbone_linear.bias.dtype == torch.float32
    for short, values in zip(backbone(embedding), exact, strict=True):
        assert short.dtype == torch.float32
        relative = float((short - values).square().mean().sqrt() / values.std())
        assert error / 10 < relative < error


def test_an_embedding_of_another_width_is_refused(tmp_path):
    backbone = load(tmp_path, networks())
    with pytest.raises(InputError, match=r"shape \(n_trials, 12\), as the backbone has it, got \(2, 5\)"):
        next(decode_tokens(backbone, np.zeros((2, 5), np.float32)))
