"""Dropout: of single values, drawn fast on a CPU, and of whole attention heads."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

N_LEVELS = 2**16  # a value is dropped by 16 random bits, so the rate is a multiple of 1 / 65536


class Dropout(nn.Module):
    """nn.Dropout that takes four values' random bits from one draw of PyTorch's generator on a CPU.

    There PyTorch draws for one value after the other on a single thread, which took 12 % of a training step.
    On other devices it is nn.Dropout.

    Parameters
    ----------
    rate : probability of a zero, rounded to a multiple of 1 / 65536; what stays is divided by 1 - rate.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate}"

    def forward(self, x: Tensor) -> Tensor:
        """Drop values while training."""
        if x.device.type != "cpu" or not self.training:
            return F.dropout(x, self.rate, self.training)
        n_dropped_levels = round(self.rate * N_LEVELS)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        draws.random_(torch.iinfo(torch.int64).min, None)
        levels = draws.view(torch.int16)[: x.numel()].view(x.shape)
        keep = levels >= n_dropped_levels - N_LEVELS // 2
        return x * keep.to(x.dtype).mul_(N_LEVELS / (N_LEVELS - n_dropped_levels))


def drop_heads(values: Tensor, n_heads: int, *, rate: float, training: bool) -> Tensor:
    """Attend to a single key: its softmax is 1, so return the value itself, with attention dropout.

    Parameters
    ----------
    values : (..., n_features), the heads one after the other.
    n_heads : number of heads; dropout zeroes a head's only attention weight and with it the whole head.
    rate : probability of that.

    Returns
    -------
    (..., n_features)
    """
    heads = rearrange(values, "... (heads width) -> (...) heads width", heads=n_heads)
    return F.dropout1d(heads, rate, training).reshape(values.shape)
