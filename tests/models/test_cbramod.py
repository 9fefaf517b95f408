"""CBraMod against braindecode's own implementation, and its reading of weight files."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from brain2image.core.errors import InputError
from brain2image.models.encoders import cbramod
from brain2image.models.encoders.cbramod import CBraMod, SelfAttention


@pytest.fixture(scope="module")
def published():
    """braindecode's CBraMod in the published size; random weights, outputs of order one as the real ones'."""
    models = pytest.importorskip("braindecode.models")
    torch.manual_seed(0)
    model = models.CBraMod(n_outputs=2, n_chans=9, n_times=200, return_encoder_output=True).eval()
    with torch.no_grad():
        model.proj_out[0].weight /= model(torch.randn(2, 9, 200)).std()
    return model


@pytest.fixture(scope="module")
def weights(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "pretrained_weights.pth"
    torch.save(published.state_dict(), path)
    return path


def test_published_size():
    model = CBraMod()
    assert len(model.state_dict()) == 211
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_924_000


@pytest.mark.slow
@pytest.mark.parametrize("n_patches", [1, 2, 5])
def test_outputs_and_gradients_equal_braindecode(published, weights, n_patches):
    model = CBraMod().load_pretrained(weights).eval()
    eeg = torch.randn(2, 9, n_patches * 200)
    ours, theirs = eeg.clone().requires_grad_(), eeg.clone().requires_grad_()
    published.zero_grad()
    output, expected = model(ours.unflatten(-1, (-1, 200))), published(theirs)
    assert output.shape == (2, 9, n_patches, 200)
    assert len(model.encoder["layers"]) == 12
    assert 0.5 < expected.std() < 2
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
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


def test_attention_is_multihead_attention():
    reference = nn.MultiheadAttention(100, 4, batch_first=True)
    ours = SelfAttention(100, 4).eval()
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(3, 7, 100)
    torch.testing.assert_close(ours(x), reference(x, x, x)[0])


@pytest.mark.parametrize(
    ("file", "save"),
    [("model.safetensors", save_file), ("pytorch_model.bin", torch.save), ("renamed.pth", save_file)],
)
def test_the_files_of_braindecode(published, tmp_path, file, save):
    """They also hold a classifier of any size; what kind of file it is, its name does not tell."""
    state = published.state_dict()
    classifier = {"final_layer.1.weight": torch.zeros(2, 1800), "final_layer.1.bias": torch.zeros(2)}
    save(state | classifier, tmp_path / file)
    model = CBraMod().load_pretrained(tmp_path / file)
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    save(state | {"final.weight": torch.zeros(2)}, tmp_path / file)
    with pytest.raises(InputError, match=r"1 are unknown and 0 missing .first: final\.weight"):
        CBraMod(n_layers=1).load_pretrained(tmp_path / file)


def test_a_header_that_begins_like_a_page_is_none(published, tmp_path):
    """The length of a safetensors header may spell blank and < in its first bytes."""
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path)
    content, length = path.read_bytes(), 0x13C20
    end = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(length.to_bytes(8, "little") + content[8:end].ljust(length) + content[end:])
    assert path.read_bytes().startswith(b" <")
    assert CBraMod(n_layers=1).load_pretrained(path)


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
@pytest.mark.parametrize("file", ["pretrained_weights.pth", "model.safetensors"])
def test_files_that_are_no_weights(tmp_path, content, reason, file):
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        CBraMod(n_layers=1).load_pretrained(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_cut_off_safetensors(published, tmp_path):
    save_file(published.state_dict(), tmp_path / "whole.safetensors")
    path = tmp_path / "model.safetensors"
    for n_bytes in (100, 1_000_000):
        path.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:n_bytes])
        with pytest.raises(InputError, match=r"model\.safetensors: .* cannot be read .*; download") as error:
            CBraMod(n_layers=1).load_pretrained(path)
        assert "\n" not in str(error.value)


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
