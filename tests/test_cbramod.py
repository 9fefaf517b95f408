"""CBraMod against braindecode's own implementation, and its reading of weight files."""

import pytest
import torch
from torch import nn

from brain2image.errors import InputError
from brain2image.models import cbramod
from brain2image.models.cbramod import CBraMod, SelfAttention, drop_heads


@pytest.fixture(scope="module")
def published():
    """braindecode's CBraMod with random weights in the published size."""
    models = pytest.importorskip("braindecode.models")
    torch.manual_seed(0)
    return models.CBraMod(n_outputs=2, n_chans=9, n_times=200, return_encoder_output=True).eval()


@pytest.fixture(scope="module")
def weights(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "pretrained_weights.pth"
    torch.save(published.state_dict(), path)
    return path


def test_published_size():
    model = CBraMod()
    assert len(model.state_dict()) == 211
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_924_000


@pytest.mark.parametrize("n_patches", [1, 2, 5])
def test_outputs_and_gradients_equal_braindecode(published, weights, n_patches):
    model = CBraMod().load_pretrained(weights).eval()
    eeg = torch.randn(2, 9, n_patches * 200)
    ours, theirs = eeg.clone().requires_grad_(), eeg.clone().requires_grad_()
    published.zero_grad()
    output, expected = model(ours.unflatten(-1, (-1, 200))), published(theirs)
    assert output.shape == (2, 9, n_patches, 200)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5 * expected.std().item())
    output.square().mean().backward()
    expected.square().mean().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5 * theirs.grad.abs().max().item())
    for (name, mine), other in zip(model.named_parameters(), published.parameters(), strict=True):
        if mine.requires_grad:
            scale = other.grad.abs().max().item()
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4 * scale + 1e-12, msg=name)


@pytest.mark.parametrize("training", [False, True])
def test_one_patch_attention_equals_the_general_path(training):
    torch.manual_seed(1)
    attention = SelfAttention(100, 4).train(training)
    x = torch.randn(4000, 1, 100)
    one, general = attention._attend_one(x), attention._attend(x)
    if not training:
        torch.testing.assert_close(one, general)
        return
    for dropped in (one, general):  # whole heads, at the same rate, the rest scaled alike
        heads = dropped.reshape(4000, 4, 25)
        is_zero = (heads == 0).all(dim=2)
        assert torch.equal(is_zero, (heads == 0).any(dim=2))
        assert is_zero.float().mean().item() == pytest.approx(cbramod.DROPOUT, abs=0.015)
    kept = (one != 0) & (general != 0)
    torch.testing.assert_close(one[kept], general[kept])


def test_drop_heads_keeps_the_mean():
    torch.manual_seed(2)
    values = torch.ones(20_000, 8)
    assert torch.equal(drop_heads(values, 4, dropout=0.5, training=False), values)
    dropped = drop_heads(values, 4, dropout=0.5, training=True)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)


def test_attention_is_multihead_attention():
    reference = nn.MultiheadAttention(100, 4, batch_first=True)
    ours = SelfAttention(100, 4).eval()
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(3, 7, 100)
    torch.testing.assert_close(ours(x), reference(x, x, x)[0])


def test_fewer_layers_are_the_first_ones(published, weights):
    model = CBraMod(n_layers=2).load_pretrained(weights)
    assert len(model.encoder["layers"]) == 2
    expected = published.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_encoder_output_without_the_reconstruction_layer(weights):
    model = CBraMod().load_pretrained(weights).eval()
    eeg = torch.randn(1, 5, 1, 200)
    reconstruction, layer = model(eeg), model.proj_out
    model.proj_out = nn.Identity()
    torch.testing.assert_close(layer(model.load_pretrained(weights)(eeg)), reconstruction)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>not found</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        (b"PK\x03\x04 cut short", "cannot be read"),
        (b"\x80\x02cos\nsystem\nq\x00.", "cannot be read"),
    ],
)
def test_files_that_are_no_weights(tmp_path, content, reason):
    path = tmp_path / "pretrained_weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        CBraMod(n_layers=1).load_pretrained(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def _without_a_key(state):
    state.pop("proj_out.0.bias")


def _with_a_key(state):
    state["head.weight"] = torch.zeros(2)


def _with_another_shape(state):
    state["patch_embedding.mask_encoding"] = torch.zeros(100)


def _with_no_tensor(state):
    state["patch_embedding.mask_encoding"] = 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without_a_key, "0 are unknown and 1 missing .first: proj_out.0.bias"),
        (_with_a_key, "1 are unknown and 0 missing .first: head.weight"),
        (_with_another_shape, r"of shape \(200,\), got \(100,\)"),
        (_with_no_tensor, r"of shape \(200,\), got None"),
    ],
)
def test_weights_of_another_model(published, tmp_path, change, reason):
    state = dict(published.state_dict())
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=reason):
        CBraMod(n_layers=1).load_pretrained(tmp_path / "other.pth")


def test_missing_and_wrapped_weights(published, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        CBraMod(n_layers=1).load_pretrained(tmp_path / "none.pth")
    torch.save([published.state_dict()], tmp_path / "list.pth")
    with pytest.raises(InputError, match="expected a dictionary of tensors, got list"):
        CBraMod(n_layers=1).load_pretrained(tmp_path / "list.pth")
