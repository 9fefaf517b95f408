"""The network of MindEye2's diffusion prior: from noisy tokens and the backbone's to tokens of a picture.

Scotti et al., "MindEye2", ICML 2024, section 2.3; Ramesh et al., 2022 (arXiv:2204.06125), section 2.2.
Written anew after what ``PriorNetwork`` (``learned_query_mode="pos_emb"``, not causal) computes in
https://github.com/MedARC-AI/MindEyeV2/blob/c184718/src/models.py and the layers that it imports from
https://github.com/lucidrains/DALLE2-pytorch (1.15.6) and https://github.com/lucidrains/rotary-embedding-torch.
The names of modules are those of the published keys.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.decoding.stored_linear import StoredLinear

SCALE = 16.0  # of the cosine between query and key
MAX_DISTANCE = 128  # from which on all positions share a bias
EPS = 1e-5
# The published layer takes this in half precision. Training and sampling ran under autocast, where the output
# of an attention, alone among what is normed, is in half precision.
OUTPUT_EPS = 1e-3


class PriorSizes(NamedTuple):
    """Sizes of a prior; of the published one 256, 1664, 6, 32, 52, 16, 32, 4 and 100."""

    n_tokens: int
    token_width: int
    depth: int
    n_heads: int
    head_width: int
    n_frequencies: int
    n_buckets: int
    expansion: int
    n_times: int


class Gain(nn.Module):
    """A layer norm with a gain and no offset."""

    def __init__(self, width: int, *, eps: float = EPS):
        super().__init__()
        self.eps = eps
        self.g = nn.Parameter(torch.ones(width))

    def forward(self, values: Tensor) -> Tensor:
        """Scale the last axis to mean 0 and variance 1, and by the gain."""
        return F.layer_norm(values, self.g.shape, self.g, eps=self.eps)


class LastGain(Gain):
    """The same behind a division by the largest value, against overflow in half precision."""

    def forward(self, values: Tensor) -> Tensor:
        """Scale the last axis to mean 0 and variance 1, and by the gain."""
        return super().forward(values / values.amax(dim=-1, keepdim=True))


class Gate(nn.Module):
    """Half of the values times the SiLU of the other half (SwiGLU, arXiv:2002.05202)."""

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., 2 width) to (..., width)."""
        kept, gate = values.chunk(2, dim=-1)
        return kept * F.silu(gate)


class Rotation(nn.Module):
    """Turn neighbouring pairs of values by angles that grow with the position (arXiv:2104.09864)."""

    def __init__(self, n_frequencies: int):
        super().__init__()
        self.freqs = nn.Parameter(torch.ones(n_frequencies), requires_grad=False)

    def forward(self, values: Tensor) -> Tensor:
        """Turn the first ``2 n_frequencies`` of (..., n_tokens, head_width)."""
        positions = torch.arange(values.shape[-2], device=values.device, dtype=self.freqs.dtype)
        angles = positions[:, None] * self.freqs
        turned, rest = values.tensor_split([2 * len(self.freqs)], dim=-1)
        first, second = turned.unflatten(-1, (-1, 2)).unbind(-1)
        cos, sin = angles.cos(), angles.sin()
        pairs = torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1)
        return torch.cat([pairs.flatten(-2), rest], dim=-1)


class Attention(nn.Module):
    """Self-attention by cosine: many queries, one key and one value a token, and one learned pair more."""

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        width, inner = sizes.token_width, sizes.n_heads * sizes.head_width
        self.n_heads = sizes.n_heads
        self.norm = Gain(width)
        self.null_kv = nn.Parameter(torch.zeros(2, sizes.head_width))
        self.to_q = StoredLinear(width, inner, bias=False)
        self.to_kv = StoredLinear(width, 2 * sizes.head_width, bias=False)
        self.rotary_emb = Rotation(sizes.n_frequencies)
        self.to_out = nn.Sequential(StoredLinear(inner, width, bias=False), Gain(width, eps=OUTPUT_EPS))

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Map (B, n, width) to the same; ``bias`` is (n_heads, n, 1 + n)."""
        tokens = self.norm(tokens)
        query = rearrange(self.to_q(tokens), "b n (heads d) -> b heads n d", heads=self.n_heads)
        key, value = self.to_kv(tokens).chunk(2, dim=-1)
        query, key = self.rotary_emb(query), self.rotary_emb(key)
        key, value = (
            torch.cat([null.expand(len(own), 1, -1), own], dim=1)[:, None]
            for null, own in zip(self.null_kv, (key, value), strict=True)
        )
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        scores = SCALE * (query @ key.mT) + bias
        return self.to_out(rearrange(scores.softmax(dim=-1) @ value, "b heads n d -> b n (heads d)"))


class RelativeBias(nn.Module):
    """A bias by how far back a key lies, in buckets that widen with the distance (T5, arXiv:1910.10683)."""

    def __init__(self, n_buckets: int, n_heads: int):
        super().__init__()
        self.relative_attention_bias = nn.Embedding(n_buckets, n_heads)

    def forward(self, n_tokens: int) -> Tensor:
        """Return (n_heads, n_tokens, 1 + n_tokens), the first key being the learned one."""
        table = self.relative_attention_bias.weight
        n_exact = len(table) // 2
        positions = torch.arange(n_tokens + 1, device=table.device)
        distance = (positions[:n_tokens, None] - positions).clamp(min=0)
        wide = (distance.clamp(min=n_exact).float() / n_exact).log() / math.log(MAX_DISTANCE / n_exact)
        bucket = (n_exact + (wide * (len(table) - n_exact)).long()).clamp(max=len(table) - 1)
        return F.embedding(torch.where(distance < n_exact, distance, bucket), table).movedim(-1, 0)


class Transformer(nn.Module):
    """Layers of attention and feed-forward, a last norm and a linear map."""

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        width, inner = sizes.token_width, sizes.expansion * sizes.token_width
        self.rel_pos_bias = RelativeBias(sizes.n_buckets, sizes.n_heads)
        self.layers = nn.ModuleList()
        for _ in range(sizes.depth):
            # at the identities the published layer has a dropout and nothing; neither holds a weight
            forward = nn.Sequential(
                *(Gain(width), StoredLinear(width, 2 * inner, bias=False), Gate()),
                *(nn.Identity(), nn.Identity(), StoredLinear(inner, width, bias=False)),
            )
            self.layers.append(nn.ModuleList([Attention(sizes), forward]))
        self.norm = LastGain(width)
        self.project_out = StoredLinear(width, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, n, width) to the same."""
        bias = self.rel_pos_bias(tokens.shape[1])
        for layer in self.layers:
            attention, forward = layer.children()
            tokens = attention(tokens, bias) + tokens
            tokens = forward(tokens) + tokens
        return self.project_out(self.norm(tokens))


class TimeWaves(nn.Module):
    """Sines and cosines of a time, of wavelengths from 2π to 20,000π."""

    def __init__(self, width: int):
        super().__init__()
        self.n_waves = width // 2

    def forward(self, times: Tensor) -> Tensor:
        """Map (B,) float to (B, width)."""
        steps = torch.arange(self.n_waves, device=times.device, dtype=times.dtype)
        angles = times[:, None] * torch.exp(steps * (-math.log(10_000) / (self.n_waves - 1)))
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class TimePerceptron(nn.Module):
    """Two hidden layers of twice the width."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Sequential(StoredLinear(width, 2 * width), nn.SiLU()),
            nn.Sequential(StoredLinear(2 * width, 2 * width), nn.SiLU()),
            StoredLinear(2 * width, width),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, width) to the same."""
        return self.net(values)


class PriorNetwork(nn.Module):
    """The network that says what the tokens of a picture were, before the noise."""

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        n_tokens, width = sizes.n_tokens, sizes.token_width
        self.to_time_embeds = nn.Sequential(nn.Sequential(TimeWaves(width), TimePerceptron(width)))
        self.learned_query = nn.Parameter(torch.zeros(n_tokens, width))
        # for training without condition, and guidance, which MindEye2 does not use
        self.null_brain_embeds = nn.Parameter(torch.zeros(n_tokens, width))
        self.null_image_embed = nn.Parameter(torch.zeros(n_tokens, width))
        self.causal_transformer = Transformer(sizes)

    def forward(self, noisy: Tensor, time: float, brain: Tensor) -> Tensor:
        """Predict the tokens of a picture.

        Parameters
        ----------
        noisy : (B, n_tokens, token_width) float32.
        time : how noisy, from 0 to the number of times.
        brain : (B, n_tokens, token_width) float32, the backbone's.
        """
        times = torch.full((len(noisy),), time, device=noisy.device, dtype=noisy.dtype)
        parts = [brain, self.to_time_embeds(times)[:, None], noisy + self.learned_query]
        return self.causal_transformer(torch.cat(parts, dim=1))[:, -len(self.learned_query) :]
