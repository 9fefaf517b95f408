"""Networks out of a checkpoint: only what is needed, exactly what is expected, of the right checkpoint."""

import hashlib
import pickle
import zipfile

import pytest
import torch
from helpers.mindeye2_networks import networks, saved
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from brain2image.core.errors import InputError
from brain2image.decoding.backbone import BACKBONE, extract_backbone, load_backbone
from brain2image.decoding.prior import extract_prior, load_prior
from brain2image.decoding.stored import check_source
from brain2image.weights import remote


@pytest.fixture
def tensors():
    return networks()


@pytest.fixture
def extract(tmp_path):
    """Extracts the backbone of a checkpoint of these tensors, or of these bytes."""

    def extract(content, dtype="float16"):
        checkpoint, out = tmp_path / "last.pth", tmp_path / "backbone.safetensors"
        checkpoint.write_bytes(content if isinstance(content, bytes) else saved(content))
        extract_backbone(str(checkpoint), out=out, dtype=dtype)
        return out

    return extract


def is_read(key, prefix):
    return key.startswith(prefix) and not key.startswith(("backbone.blin1", "backbone.bupsampler"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_file_holds_the_networks_tensors_and_its_source(extract, tmp_path, tensors, dtype):
    found = load_file(path := extract(tensors, dtype))
    own = [key for key in tensors if is_read(key, "backbone.")]
    assert {f"backbone.{key}" for key in found} == set(own)
    for key, values in found.items():
        is_matrix = values.ndim == 2
        assert values.dtype == (getattr(torch, dtype) if is_matrix else torch.float32)
        assert torch.equal(values, tensors[f"backbone.{key}"].to(values.dtype))
    content = (tmp_path / "last.pth").read_bytes()
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {
            "checkpoint": "last.pth",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": str(len(content)),
        }


OTHERS = ("ridge.linears.", "backbone.bupsampler.", "other.")


@pytest.mark.parametrize(
    ("take", "name"), [(extract_backbone, "backbone."), (extract_prior, "diffusion_prior.")]
)
def test_only_the_network_is_downloaded(server, cache, tmp_path, tensors, take, name):
    large = {f"{part}{number}.large": torch.rand(300_000) for part in OTHERS for number in (1, 2)}
    half = len(large) // 2
    items = list(large.items())
    tensors = dict([*items[:half], *tensors.items(), *items[half:]])
    server.files["/last.pth"] = content = saved(tensors)
    server.headers["/last.pth"] = {"X-Linked-ETag": f'"{"1" * 64}"', "X-Repo-Commit": "c0ffee"}
    take(f"{server.url}/last.pth", out=tmp_path / "out.safetensors")
    wanted = [values.nbytes for key, values in tensors.items() if is_read(key, name)]
    assert len(content) > 7e6
    assert sum(wanted) < server.sent <= sum(wanted) + 6 * remote.BLOCK
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        assert file.metadata()["commit"] == "c0ffee"
        assert file.metadata()["sha256"] == "1" * 64
    server.sent = 0
    take(f"{server.url}/last.pth", out=tmp_path / "again.safetensors")
    assert server.sent == 64  # whether it is still the same file
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "out.safetensors").read_bytes()


def test_a_server_without_ranges_gives_the_whole_checkpoint(server, cache, tmp_path, tensors, caplog):
    server.files["/last.pth"] = saved(tensors)
    server.has_ranges = False
    extract_prior(f"{server.url}/last.pth", out=tmp_path / "prior.safetensors")
    assert load_prior(tmp_path / "prior.safetensors").n_times == 10
    assert "the server gives no parts of files" in caplog.text


LINEAR = "backbone.backbone_linear.weight"


def without(tensors, start):
    return {key: values for key, values in tensors.items() if not key.startswith(start)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: without(t, "backbone."),
            r"expected a backbone \(backbone\.…\), got none among 47 tensors",
        ),
        (
            lambda t: without(t, "backbone.clip_proj.8.bias"),
            "62 keys, got 61 of which 0 are unknown and 1 missing",
        ),
        (lambda t: without(t, LINEAR), "sizes in the shapes of its tensors"),
        (lambda t: t | {"backbone.extra": torch.zeros(3)}, r"1 are unknown and 0 missing \(first: extra\)"),
        (lambda t: t | {"backbone.clip_proj.2.weight": torch.zeros(8, 7)}, r"shape \(8, 8\), got \(8, 7\)"),
        (lambda t: t | {LINEAR: torch.zeros(())}, "sizes in the shapes of its tensors"),
        (lambda t: t | {LINEAR: t[LINEAR] * torch.nan}, f"got NaN or infinity in {LINEAR}; download"),
        (lambda t: t | {LINEAR: t[LINEAR] * 1e6}, f"in {LINEAR} as float16; store it as bfloat16 or float32"),
        (lambda t: t | {LINEAR: t[LINEAR].T.contiguous().T}, "expected a contiguous tensor"),
        (lambda t: t | {LINEAR: t[LINEAR].int()}, "expected stored floats, got a IntStorage"),
        (lambda t: saved(t)[:-2000], "expected a PyTorch checkpoint"),
    ],
)
def test_another_network_is_refused_in_one_line(extract, tmp_path, tensors, change, message):
    with pytest.raises(InputError, match=message) as error:
        extract(change(tensors))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "last.pth"))
    assert not (tmp_path / "backbone.safetensors").exists()


def test_damage_is_noticed_behind_the_last_block(extract, tmp_path, tensors):
    content = bytearray(saved(tensors))
    content[content.find(tensors[LINEAR].numpy().tobytes()) + 50] ^= 1
    with pytest.raises(InputError, match="CRC-32"):
        extract(bytes(content))
    assert not (tmp_path / "backbone.safetensors").exists()


class Call:
    def __reduce__(self):
        return (print, ("this was called",))


def test_nothing_in_a_checkpoint_is_called(extract, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("last/data.pkl", pickle.dumps({"model_state_dict": {"backbone.x": Call()}}))
    with pytest.raises(InputError, match=r"it would call builtins\.print"):
        extract((tmp_path / "bad.zip").read_bytes())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot read this backbone"),
        (lambda path: save_file(load_file(path), path), "expected its source"),
        (lambda path: rewrite(path, lambda key, values: values.double()), "as float32, got torch.float64"),
        (lambda path: rewrite(path, lambda key, values: values * torch.nan), "got NaN or infinity"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(extract, tensors, change, message):
    path = extract(tensors)
    change(path)
    with pytest.raises(InputError, match=message) as error:
        load_backbone(path)
    assert "\n" not in str(error.value)


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        source = file.metadata()
    save_file({key: change(key, values) for key, values in load_file(path).items()}, path, metadata=source)


def test_a_prior_is_no_backbone(extract, tmp_path, tensors):
    extract(tensors)
    extract_prior(str(tmp_path / "last.pth"), out=tmp_path / "prior.safetensors")
    with pytest.raises(InputError, match="the backbone's sizes"):
        load_backbone(tmp_path / "prior.safetensors")


def test_a_network_of_another_checkpoint_than_the_ridge_is_refused(extract, tmp_path, tensors):
    path = extract(tensors)
    digest = hashlib.sha256((tmp_path / "last.pth").read_bytes()).hexdigest()
    assert load_backbone(path, embedding={"checkpoint": "the same elsewhere", "sha256": digest})
    other = {"checkpoint": "final_subj02/last.pth", "sha256": "2" * 64}
    with pytest.raises(InputError, match=r"the backbone of final_subj02/last\.pth, whose ridge") as error:
        load_backbone(path, embedding=other)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("ours", "theirs", "is_same"), [("", "1", True), ("2", "", True), ("1", "2", False)])
def test_hashes_count_and_names_only_without_them(ours, theirs, is_same):
    source, embedding = ({"checkpoint": "a", "sha256": sha256} for sha256 in (ours, theirs))
    names = {"path": "backbone.safetensors", "name": BACKBONE.name}
    if is_same:
        check_source(source, embedding, **names)
        embedding["checkpoint"] = "b"
    with pytest.raises(InputError, match="expected the backbone of"):
        check_source(source, embedding, **names)
