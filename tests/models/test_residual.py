"""The residual network: what its formula says."""

import torch
from torch.testing import assert_close

from brain2image.models.residual import ResidualMLP


def test_the_output_is_the_formula():
    torch.manual_seed(0)
    network = ResidualMLP(16, 3).eval()
    x = torch.nn.functional.normalize(torch.randn(5, 16), dim=1)
    hidden = network.linear(4 * x)  # rows of unit length: numbers of about 1
    expected = network.out(network.norm(hidden + network.block(hidden)))
    assert_close(network(x), expected)
    assert network(x).shape == (5, 3)
