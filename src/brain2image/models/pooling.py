"""Pooling heads: from the tokens of an encoder to one embedding, or to a few.

A head is built from (model, n_inputs, token_width, n_features); ``n_inputs`` tokens come from the encoder.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.models.dropout import Dropout


def linear(n_inputs: int, n_outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """Make a linear layer whose outputs are first ``gain`` times as large as its inputs (root mean square).

    PyTorch's own weights make them 0.6 times as large. After five layers the model's outputs would be tiny,
    and InfoNCE's gradient, which goes as one over their length, would drown the mean squared error's.
    """
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(n_inputs))
    nn.init.zeros_(layer.bias)
    return layer


def perceptron(n_inputs: int, n_features: int, model: ModelConfig) -> nn.Sequential:
    """Stack a norm, a hidden layer of ``hidden_size`` with GELU and dropout, and a linear output."""
    return nn.Sequential(
        nn.LayerNorm(n_inputs),
        linear(n_inputs, model.hidden_size),
        nn.GELU(),
        Dropout(model.dropout),
        linear(model.hidden_size, n_features, gain=math.sqrt(2)),
    )


class FlattenHead(nn.Module):
    """A perceptron over all tokens side by side: (B, n_inputs, token_width) to (B, n_features)."""

    def __init__(self, model: ModelConfig, *, n_inputs: int, token_width: int, n_features: int):
        super().__init__()
        self.perceptron = perceptron(n_inputs * token_width, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of the encoder to the embedding."""
        return self.perceptron(rearrange(tokens, "trials tokens width -> trials (tokens width)"))


class AttentionHead(nn.Module):
    """Learned queries over the tokens, then a perceptron: (B, n_inputs, token_width) to (B, n_features)."""

    def __init__(self, model: ModelConfig, *, n_inputs: int, token_width: int, n_features: int):
        super().__init__()
        self.queries = _random_tokens(model.n_tokens, token_width)
        # Attention by itself cannot tell one electrode from another. As large as the normalised tokens, so
        # that the queries look at different electrodes from the start; smaller ones learn much slower.
        self.places = _random_tokens(n_inputs, token_width)
        self.norm = nn.LayerNorm(token_width)
        self.attention = _attention(model, token_width)
        self.perceptron = perceptron(model.n_tokens * token_width, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of the encoder to the embedding."""
        placed = self.norm(tokens) + self.places
        queries = self.queries.expand(len(tokens), -1, -1)
        pooled, _ = self.attention(queries, placed, placed, need_weights=False)
        return self.perceptron(rearrange(pooled, "trials tokens width -> trials (tokens width)"))


class TransformerLayer(nn.Module):
    """Pre-norm transformer layer, as nn.TransformerEncoderLayer, that can leave out what nobody reads."""

    def __init__(self, model: ModelConfig, token_width: int):
        super().__init__()
        self.self_attn = _attention(model, token_width)
        self.linear1 = nn.Linear(token_width, 4 * token_width)
        self.linear2 = nn.Linear(4 * token_width, token_width)
        self.norm1 = nn.LayerNorm(token_width)
        self.norm2 = nn.LayerNorm(token_width)
        self.dropout = Dropout(model.dropout)

    def forward(self, tokens: Tensor, n_outputs: int | None = None) -> Tensor:
        """Map (B, n_tokens, token_width) to the first (B, n_outputs, token_width), by default all."""
        normed = self.norm1(tokens)
        attended, _ = self.self_attn(normed[:, :n_outputs], normed, normed, need_weights=False)
        outputs = tokens[:, :n_outputs] + self.dropout(attended)
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(outputs))))
        return outputs + self.dropout(self.linear2(hidden))


class MultiTokenViT(nn.Module):
    """Learned tokens ahead of the encoder's tokens through a transformer, then a perceptron.

    For ``alignment: single_token`` the perceptron takes all learned tokens side by side:
    (B, n_inputs, token_width) to (B, n_features). For ``multi_token`` it takes each by itself, and the result
    is (B, n_tokens, n_features).
    """

    def __init__(self, model: ModelConfig, *, n_inputs: int, token_width: int, n_features: int):
        super().__init__()
        self.n_tokens = model.n_tokens
        self.keep_tokens = model.alignment == "multi_token"
        # Small, for what is constant in the output hides what the EEG adds; the first norm makes them large.
        self.tokens = nn.Parameter(0.02 * torch.randn(model.n_tokens, token_width))
        self.places = _random_tokens(n_inputs, token_width)  # as in AttentionHead
        self.norm = nn.LayerNorm(token_width)
        self.layers = nn.ModuleList(TransformerLayer(model, token_width) for _ in range(model.pooling_layers))
        width = token_width if self.keep_tokens else model.n_tokens * token_width
        self.perceptron = perceptron(width, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of the encoder to the embedding, or to a few."""
        placed = self.norm(tokens) + self.places
        tokens = torch.cat((self.tokens.expand(len(placed), -1, -1), placed), dim=1)
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        learned = self.layers[-1](tokens, n_outputs=self.n_tokens)  # the others' outputs go nowhere
        if not self.keep_tokens:
            learned = rearrange(learned, "trials tokens width -> trials (tokens width)")
        return self.perceptron(learned)


def _attention(model: ModelConfig, token_width: int) -> nn.MultiheadAttention:
    if token_width % model.n_heads:
        raise InputError(
            f"model.n_heads: expected a divisor of {token_width}, the width of {model.encoder}'s tokens, got "
            f"{model.n_heads}"
        )
    return nn.MultiheadAttention(token_width, model.n_heads, dropout=model.dropout, batch_first=True)


def _random_tokens(n_tokens: int, token_width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(n_tokens, token_width))


POOLING_HEADS = {"flatten": FlattenHead, "attention": AttentionHead, "multitoken_vit": MultiTokenViT}
