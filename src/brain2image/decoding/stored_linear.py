"""A linear layer whose weight may be stored in half precision, and whose products are of its input's type."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_VALUES = 1 << 24  # of a weight that are float32 at a time: 64 MB


class StoredLinear(nn.Linear):
    """A linear layer that widens its weight in blocks of rows, so that it is never whole in float32.

    The weight of MindEye2's ``backbone_linear``, (425984, 4096), takes 3.5 GB in half precision and 7.0 GB in
    float32. Stored in the input's own type it is used as it is.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., in_features) float32 to (..., out_features) float32."""
        if self.weight.dtype == values.dtype:
            return super().forward(values)
        rows = self.weight.split(max(1, BLOCK_VALUES // self.in_features))
        product = torch.cat([F.linear(values, block.to(values.dtype)) for block in rows], dim=-1)
        return product if self.bias is None else product + self.bias


def stored_weights(network: nn.Module) -> set[str]:
    """List the tensors of a network that may be stored in half precision: the weights of its linear layers.

    Norms, biases and embeddings stay float32: they are few.
    """
    return {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, StoredLinear)}
