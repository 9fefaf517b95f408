"""A small network for comparison: one linear layer and one residual block."""

from torch import Tensor, nn

HIDDEN_SIZE = 512
DROPOUT = 0.5


class ResidualMLP(nn.Module):
    """``out(norm(h + block(h)))`` with ``h = linear(x)``.

    Parameters
    ----------
    n_inputs, n_features : widths of what comes in and goes out.
    """

    def __init__(self, n_inputs: int, n_features: int):
        super().__init__()
        self.linear = nn.Linear(n_inputs, HIDDEN_SIZE)
        self.block = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN_SIZE, HIDDEN_SIZE), nn.Dropout(DROPOUT))
        self.norm = nn.LayerNorm(HIDDEN_SIZE)
        self.out = nn.Linear(HIDDEN_SIZE, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_pairs, n_inputs), rows of about unit length, to (n_pairs, n_features), both float32."""
        hidden = self.linear(x * x.shape[1] ** 0.5)
        return self.out(self.norm(hidden + self.block(hidden)))
