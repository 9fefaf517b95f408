"""UBP's EEG encoder: a linear map of all samples and a residual block (Wu et al., CVPR 2025).

https://arxiv.org/abs/2503.04207, and ``EEGProjectLayer`` in ``base/eeg_backbone.py`` of
https://github.com/HaitaoWuTJU/Uncertainty-aware-Blur-Prior, which takes 17 posterior channels
(``model.channels: posterior``).
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.models.dropout import Dropout
from brain2image.models.encoders.base import EEGLayout, Encoder

WIDTH = 1024  # of the published model, that of the picture embeddings of its ResNet
DROPOUT = 0.3


class MLPEncoder(Encoder):
    """A single token a trial: of one there is nothing to attend to, so that `flatten` is the head for it.

    It was trained on whitened EEG, whose root mean square is 1.
    """

    options = ("layer_decay",)
    fixed_width = WIDTH

    def __init__(self, layout: EEGLayout, model: ModelConfig):
        super().__init__(1, WIDTH)
        self.first = nn.Linear(layout.n_channels * layout.n_times, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.dropout = Dropout(DROPOUT)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG (n_trials, n_channels, n_times) as one token (n_trials, 1, token_width)."""
        x = self.first(rearrange(eeg, "trials channels times -> trials (channels times)"))
        x = x + self.dropout(self.second(F.gelu(x)))
        return self.norm(x).unsqueeze(1)

    def layers(self) -> list[nn.Module]:
        """Return the linear map and the residual block."""
        return [self.first, nn.ModuleList([self.second, self.norm])]


ENCODER = MLPEncoder
