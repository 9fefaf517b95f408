"""Dropout against PyTorch's own, and of whole heads."""

import pytest
import torch
from torch import nn

from brain2image.models.dropout import Dropout, drop_heads


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1000, 401), (7,), (0, 3)])
def test_as_pytorch_drops(shape, rate):
    """Rate, scale and gradient are those of nn.Dropout; sizes that four does not divide too."""
    torch.manual_seed(0)
    x = (1 + torch.rand(shape)).requires_grad_()
    dropped = Dropout(rate)(x)
    assert dropped.shape == x.shape
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], x[kept] / (1 - rate), rtol=1e-4, atol=0)
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, kept / (1 - rate), rtol=1e-4, atol=0)
    if len(x) == 1000:  # 401,000 draws: four standard errors
        error = 4 * (rate * (1 - rate) / x.numel()) ** 0.5
        assert kept.float().mean().item() == pytest.approx(1 - rate, abs=error)
        for each_value in (kept.float().mean(dim=0), kept.float().mean(dim=1)):
            reference = nn.Dropout(rate)(torch.ones(shape)).ne(0).float()
            spread = each_value.std() / reference.mean(dim=1 if len(each_value) == 1000 else 0).std()
            assert spread.item() == pytest.approx(1, abs=0.15)


def test_draws_follow_the_seed_and_differ():
    x = torch.ones(1000)
    torch.manual_seed(1)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.5)(x), first)
    assert not torch.equal(first, second)


def test_neighbours_are_independent():
    """Four neighbouring values share one draw of the generator, but not a bit of it."""
    torch.manual_seed(2)
    kept = Dropout(0.5)(torch.ones(100_000, 4)).ne(0).float()
    correlation = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlation.abs().max() < 0.015


def test_nothing_happens_in_eval():
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x


@pytest.mark.slow
def test_a_compiled_model_draws_the_same():
    dropout, x = Dropout(0.1), torch.ones(10_000)
    torch.manual_seed(3)
    expected = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(torch.compile(dropout, backend="eager")(x), expected)


def test_half_precision():
    assert Dropout(0.1)(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_drop_heads_keeps_the_mean():
    torch.manual_seed(2)
    values = torch.ones(20_000, 8)
    assert torch.equal(drop_heads(values, 4, rate=0.5, training=False), values)
    dropped = drop_heads(values, 4, rate=0.5, training=True)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
