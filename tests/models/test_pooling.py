"""Pooling heads: shapes, use of every channel, gradients, refused widths."""

import contextlib

import pytest
import torch
from helpers.planted import planted_layout
from torch import nn

from brain2image.config import UNUSED_OPTIONS, ModelConfig
from brain2image.constants.pooling_names import ENCODERLESS
from brain2image.models.alignment import AlignmentModel
from brain2image.models.pooling import POOLING_HEADS, TransformerLayer


def _head(pooling="multitoken_vit", **options):
    torch.manual_seed(0)
    model = ModelConfig(pooling=pooling, hidden_size=32, n_tokens=3, **options)
    return POOLING_HEADS[pooling](model, n_inputs=6, token_width=200, n_features=16).eval()


def test_registry_has_every_configured_head():
    names = ModelConfig.model_fields["pooling"].annotation.__args__
    assert {*POOLING_HEADS, ENCODERLESS} == set(names) == set(UNUSED_OPTIONS)


@pytest.mark.parametrize("pooling", POOLING_HEADS)
def test_one_embedding_a_trial(pooling):
    head = _head(pooling)
    tokens = torch.randn(5, 6, 200)
    embeddings = head(tokens)
    assert embeddings.shape == (5, 16)
    torch.testing.assert_close(head(tokens[3:4]), embeddings[3:4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLING_HEADS)
def test_every_channel_and_parameter_counts(pooling):
    head = _head(pooling)
    tokens = torch.randn(2, 6, 200, requires_grad=True)
    head(tokens).square().sum().backward()
    assert (tokens.grad.abs().amax(dim=(0, 2)) > 0).all()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())


@pytest.mark.parametrize("pooling", POOLING_HEADS)
def test_swapped_electrodes_are_told_apart(pooling):
    head = _head(pooling)
    tokens = torch.randn(2, 6, 200)
    assert not torch.allclose(head(tokens), head(tokens.flip(1)), atol=1e-4)


@pytest.mark.parametrize("pooling", POOLING_HEADS)
def test_a_head_uses_all_its_options_and_no_other(pooling):
    """An option is used when it changes the weights' shapes, the attention's heads or the dropout."""

    def described(**options):
        model = ModelConfig(**({"pooling": pooling, "hidden_size": 32, "n_layers": 1} | options))
        with torch.device("meta"):
            whole = AlignmentModel(model, planted_layout(6), 400)
        return [str(whole), [tuple(weight.shape) for weight in whole.parameters()], whole.alignment.n_heads]

    changes = {
        "hidden_size": 48,
        "n_tokens": 5,
        "pooling_layers": 3,
        "n_heads": 4,
        "alignment": "multi_token",
        "dropout": 0.3,
    }
    for name, value in changes.items():
        if name in UNUSED_OPTIONS[pooling]:
            with contextlib.suppress(ValueError):  # refused is as good as without effect
                assert described(**{name: value}) == described(), name
        else:
            assert described(**{name: value}) != described(), name


def test_transformer_layer_against_pytorch():
    reference = nn.TransformerEncoderLayer(200, 8, 800, activation="gelu", batch_first=True, norm_first=True)
    layer = TransformerLayer(ModelConfig(), 200).eval()
    layer.load_state_dict(reference.eval().state_dict())
    tokens = torch.randn(3, 9, 200)
    expected = reference(tokens)
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(tokens, n_outputs=4), expected[:, :4], rtol=1e-4, atol=1e-5)


def test_tokens_of_multitoken_vit():
    head = _head(alignment="multi_token")
    tokens = head(torch.randn(5, 6, 200))
    assert tokens.shape == (5, 3, 16)
    assert not torch.allclose(tokens[:, 0], tokens[:, 1])
