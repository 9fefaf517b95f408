"""NICE's EEG encoder: convolutions in time, then over channels (Song et al., ICLR 2024).

https://arxiv.org/abs/2308.13234, table 7, and ``nice_stand.py`` of https://github.com/eeyhsong/NICE-EEG; the
published lengths are samples at 250 Hz, here they are as long in seconds at any rate.
"""

from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.models.dropout import Dropout
from brain2image.models.encoders.base import EEGLayout, Encoder

PUBLISHED_SFREQ = 250.0  # Hz, of the lengths below
KERNEL, POOL, STRIDE = 25, 51, 5  # samples: the convolution in time, the means after it, from one to the next
N_KERNELS = 40  # and features of a token
DROPOUT = 0.5


def _samples(published: int, sfreq: float) -> int:
    return max(1, round(published * sfreq / PUBLISHED_SFREQ))


class TemporalSpatial(nn.Module):
    """Convolution in time, means over 0.2 s, convolution over channels: a token every 20 ms.

    Parameters
    ----------
    layout : of the EEG.

    Attributes
    ----------
    n_tokens : of a trial, each of `N_KERNELS` features.

    Raises
    ------
    InputError
        When the trials are too short.
    """

    def __init__(self, layout: EEGLayout):
        super().__init__()
        kernel, pool, stride = (_samples(length, layout.sfreq) for length in (KERNEL, POOL, STRIDE))
        needed = kernel + pool - 1
        if layout.n_times < needed:
            raise InputError(
                f"encoders tsconv and atms: expected trials of {needed} samples (0.3 s) at least, got "
                f"{layout.n_times} at {layout.sfreq:g} Hz"
            )
        self.n_tokens = (layout.n_times - needed) // stride + 1
        self.temporal = nn.Sequential(
            nn.Conv2d(1, N_KERNELS, (1, kernel)),
            nn.AvgPool2d((1, pool), (1, stride)),
            nn.BatchNorm2d(N_KERNELS),
            nn.ELU(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(N_KERNELS, N_KERNELS, (layout.n_channels, 1)),
            nn.BatchNorm2d(N_KERNELS),
            nn.ELU(),
            Dropout(DROPOUT),
        )
        self.projection = nn.Conv2d(N_KERNELS, N_KERNELS, (1, 1))

    def forward(self, eeg: Tensor) -> Tensor:
        """Map EEG (n_trials, n_channels, n_times) to tokens (n_trials, n_tokens, `N_KERNELS`)."""
        maps = self.projection(self.spatial(self.temporal(eeg.unsqueeze(1))))
        return rearrange(maps, "trials width 1 tokens -> trials tokens width")


class TSConvEncoder(Encoder):
    """NICE's encoder; the projection that follows it there is the pooling head here.

    It was trained on whitened EEG, whose root mean square is 1.
    """

    fixed_width = N_KERNELS

    def __init__(self, layout: EEGLayout, model: ModelConfig):
        network = TemporalSpatial(layout)
        super().__init__(network.n_tokens, N_KERNELS)
        self.network = network

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG (n_trials, n_channels, n_times) as tokens (n_trials, n_tokens, token_width)."""
        return self.network(eeg)


ENCODER = TSConvEncoder
