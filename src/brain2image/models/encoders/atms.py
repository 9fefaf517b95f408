"""ATM-S: attention over channels, then NICE's convolutions (Li et al., NeurIPS 2024).

https://arxiv.org/abs/2403.07721, and ``Retrieval/ATMS_retrieval.py`` of
https://github.com/dongyangli-del/EEG_Image_decode. Its token of the person is left out, as `person_layer`
does that here for any encoder.
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.models.dropout import Dropout
from brain2image.models.encoders.base import EEGLayout, Encoder
from brain2image.models.encoders.tsconv import N_KERNELS, TemporalSpatial

N_HEADS = 4
N_FEEDFORWARD = 256
DROPOUT = 0.25


class ChannelAttention(nn.Module):
    """One post-norm transformer layer whose tokens are the channels, each with all of its samples.

    Its heads are ``n_times // 4`` wide, so that together they may be narrower than the tokens, as published.
    """

    def __init__(self, n_times: int):
        super().__init__()
        inner = n_times // N_HEADS * N_HEADS
        self.query, self.key, self.value = (nn.Linear(n_times, inner) for _ in range(3))
        self.out = nn.Linear(inner, n_times)
        self.linear1 = nn.Linear(n_times, N_FEEDFORWARD)
        self.linear2 = nn.Linear(N_FEEDFORWARD, n_times)
        self.norm1, self.norm2 = nn.LayerNorm(n_times), nn.LayerNorm(n_times)
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer; ``x`` and the result are (n_trials, n_channels, n_times)."""
        query, key, value = (
            rearrange(part(x), "trials channels (heads width) -> trials heads channels width", heads=N_HEADS)
            for part in (self.query, self.key, self.value)
        )
        dropout = DROPOUT if self.training else 0.0
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        attended = self.out(rearrange(heads, "trials heads channels width -> trials channels (heads width)"))
        x = self.norm1(x + self.dropout(attended))
        hidden = self.dropout(F.gelu(self.linear1(x)))
        return self.norm2(x + self.dropout(self.linear2(hidden)))


class ATMSEncoder(Encoder):
    """ATM-S's encoder; the projection that follows it there is the pooling head here.

    It was trained on whitened EEG, whose root mean square is 1.
    """

    options = ("layer_decay",)
    fixed_width = 40  # N_KERNELS, written out as it is read without an import

    def __init__(self, layout: EEGLayout, model: ModelConfig):
        convolutions = TemporalSpatial(layout)
        super().__init__(convolutions.n_tokens, N_KERNELS)
        self.embedding = nn.Sequential(nn.Linear(layout.n_times, layout.n_times), Dropout(DROPOUT))
        self.attention = ChannelAttention(layout.n_times)
        self.norm = nn.LayerNorm(layout.n_times)
        self.convolutions = convolutions

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG (n_trials, n_channels, n_times) as tokens (n_trials, n_tokens, token_width)."""
        return self.convolutions(self.norm(self.attention(self.embedding(eeg))))

    def layers(self) -> list[nn.Module]:
        """Return the embedding, the attention and the convolutions."""
        return [self.embedding, self.attention, nn.ModuleList([self.norm, self.convolutions])]


ENCODER = ATMSEncoder
