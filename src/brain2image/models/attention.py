"""The attention by which EEG is aligned with fMRI."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.core.errors import InputError
from brain2image.models.dropout import drop_heads
from brain2image.models.pooling import linear

OUTPUT_GAIN = 0.5  # standard deviation of the first outputs; balances the gradients of the three loss terms


class AlignmentModule(nn.Module):
    """Multi-head attention with the fMRI embedding as query and EEG tokens as keys and values.

    Over a single EEG token the softmax is 1 whatever the query is; then there are no query and key weights.

    Parameters
    ----------
    n_features : width of the query, the tokens and the output.
    n_heads : attention heads, a divisor of ``n_features``.
    n_tokens : EEG tokens that come.
    dropout : dropout of the attention weights.
    """

    def __init__(self, n_features: int, *, n_heads: int, n_tokens: int, dropout: float):
        super().__init__()
        if n_features % n_heads:
            raise InputError(
                f"model.n_heads: expected a divisor of {n_features}, the embedding's width, got {n_heads}"
            )
        self.n_heads, self.n_tokens, self.dropout = n_heads, n_tokens, dropout
        if n_tokens > 1:
            self.query = linear(n_features, n_features)
            self.key = linear(n_features, n_features)
        self.value = linear(n_features, n_features)
        self.output = linear(n_features, n_features, gain=OUTPUT_GAIN)

    def forward(self, query: Tensor, tokens: Tensor) -> Tensor:
        """Align.

        Parameters
        ----------
        query : (n_trials, 1, n_features) float32, fMRI embeddings.
        tokens : (n_trials, n_tokens, n_features) float32, from EEG.

        Returns
        -------
        (n_trials, 1, n_features) float32
        """
        value = self.value(tokens)
        if self.n_tokens == 1:
            attended = drop_heads(value, self.n_heads, rate=self.dropout, training=self.training)
            return self.output(attended)
        queries, keys, values = (self._split(part) for part in (self.query(query), self.key(tokens), value))
        dropout = self.dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
        return self.output(rearrange(heads, "trials heads tokens width -> trials tokens (heads width)"))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "trials tokens (heads width) -> trials heads tokens width", heads=self.n_heads)
