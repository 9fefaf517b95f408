"""Pooling heads: from CBraMod's token of every channel to one embedding, or to a few."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.models.dropout import Dropout
from brain2image.models.encoders.cbramod import N_PATCH_TIMES


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
    """A perceptron over all channels' tokens side by side: (B, n_channels, 1, 200) to (B, n_features)."""

    def __init__(self, model: ModelConfig, *, n_channels: int, n_features: int):
        super().__init__()
        self.perceptron = perceptron(n_channels * N_PATCH_TIMES, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of all channels to the embedding."""
        tokens = rearrange(tokens, "trials channels patches width -> trials (channels patches width)")
        return self.perceptron(tokens)


class AttentionHead(nn.Module):
    """Learned queries over the channels, then a perceptron: (B, n_channels, 1, 200) to (B, n_features)."""

    def __init__(self, model: ModelConfig, *, n_channels: int, n_features: int):
        super().__init__()
        self.queries = _random_tokens(model.n_tokens)
        # Attention by itself cannot tell one electrode from another. As large as the normalised tokens, so
        # that the queries look at different electrodes from the start; smaller ones learn much slower.
        self.channels = _random_tokens(n_channels)
        self.norm = nn.LayerNorm(N_PATCH_TIMES)
        self.attention = nn.MultiheadAttention(
            N_PATCH_TIMES, model.n_heads, dropout=model.dropout, batch_first=True
        )
        self.perceptron = perceptron(model.n_tokens * N_PATCH_TIMES, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of all channels to the embedding."""
        channels = (
            self.norm(rearrange(tokens, "trials channels patches width -> trials (channels patches) width"))
            + self.channels
        )
        queries = self.queries.expand(len(tokens), -1, -1)
        pooled, _ = self.attention(queries, channels, channels, need_weights=False)
        return self.perceptron(rearrange(pooled, "trials tokens width -> trials (tokens width)"))


class TransformerLayer(nn.Module):
    """Pre-norm transformer layer, as nn.TransformerEncoderLayer, that can leave out what nobody reads."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(
            N_PATCH_TIMES, model.n_heads, dropout=model.dropout, batch_first=True
        )
        self.linear1 = nn.Linear(N_PATCH_TIMES, 4 * N_PATCH_TIMES)
        self.linear2 = nn.Linear(4 * N_PATCH_TIMES, N_PATCH_TIMES)
        self.norm1 = nn.LayerNorm(N_PATCH_TIMES)
        self.norm2 = nn.LayerNorm(N_PATCH_TIMES)
        self.dropout = Dropout(model.dropout)

    def forward(self, tokens: Tensor, n_outputs: int | None = None) -> Tensor:
        """Map (B, n_tokens, 200) to the first (B, n_outputs, 200), by default all."""
        normed = self.norm1(tokens)
        attended, _ = self.self_attn(normed[:, :n_outputs], normed, normed, need_weights=False)
        outputs = tokens[:, :n_outputs] + self.dropout(attended)
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(outputs))))
        return outputs + self.dropout(self.linear2(hidden))


class MultiTokenViT(nn.Module):
    """Learned tokens ahead of the channels' tokens through a transformer, then a perceptron.

    For ``alignment: single_token`` the perceptron takes all learned tokens side by side:
    (B, n_channels, 1, 200) to (B, n_features). For ``multi_token`` it takes each by itself, and the result is
    (B, n_tokens, n_features).
    """

    def __init__(self, model: ModelConfig, *, n_channels: int, n_features: int):
        super().__init__()
        self.n_tokens = model.n_tokens
        self.keep_tokens = model.alignment == "multi_token"
        # Small, for what is constant in the output hides what the EEG adds; the first norm makes them large.
        self.tokens = nn.Parameter(0.02 * torch.randn(model.n_tokens, N_PATCH_TIMES))
        self.channels = _random_tokens(n_channels)  # as in AttentionHead
        self.norm = nn.LayerNorm(N_PATCH_TIMES)
        self.layers = nn.ModuleList(TransformerLayer(model) for _ in range(model.pooling_layers))
        n_inputs = N_PATCH_TIMES if self.keep_tokens else model.n_tokens * N_PATCH_TIMES
        self.perceptron = perceptron(n_inputs, n_features, model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens of all channels to the embedding, or to a few."""
        channels = (
            self.norm(rearrange(tokens, "trials channels patches width -> trials (channels patches) width"))
            + self.channels
        )
        tokens = torch.cat((self.tokens.expand(len(channels), -1, -1), channels), dim=1)
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        learned = self.layers[-1](tokens, n_outputs=self.n_tokens)  # the channels' own outputs go nowhere
        if not self.keep_tokens:
            learned = rearrange(learned, "trials tokens width -> trials (tokens width)")
        return self.perceptron(learned)


def _random_tokens(n_tokens: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(n_tokens, N_PATCH_TIMES))


POOLING_HEADS = {"flatten": FlattenHead, "attention": AttentionHead, "multitoken_vit": MultiTokenViT}
