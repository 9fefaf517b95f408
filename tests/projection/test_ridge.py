"""The ridge of a checkpoint, and projection through it."""

import hashlib
import io
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors import safe_open

from brain2image.core.errors import InputError
from brain2image.projection.ridge import extract_ridge, read_ridge
from brain2image.weights import remote
from brain2image.weights.sources import KNOWN, Known

N_FEATURES, N_VOXELS = 12, 30


@pytest.fixture
def ridge(rng):
    weight = rng.standard_normal((N_FEATURES, N_VOXELS)).astype(np.float32)
    return weight, rng.standard_normal(N_FEATURES).astype(np.float32)


def checkpoint(path, weight, bias, **others):
    tensors = {"ridge.linears.0.weight": torch.tensor(weight), "ridge.linears.0.bias": torch.tensor(bias)}
    tensors |= {"backbone.mixer_blocks1.0.0.weight": torch.zeros(3), **others}
    torch.save({"model_state_dict": OrderedDict(tensors)}, path)


def test_the_ridge_is_read(tmp_path, ridge):
    checkpoint(tmp_path / "last.pth", *ridge)
    weight, bias = read_ridge(tmp_path / "last.pth")
    np.testing.assert_array_equal(weight, ridge[0])
    np.testing.assert_array_equal(bias, ridge[1])
    assert weight.dtype == bias.dtype == np.float32


def test_other_tensors_are_not_read_into_memory(tmp_path, ridge):

    path = tmp_path / "last.pth"
    checkpoint(path, *ridge, **{"backbone.large": torch.zeros(20_000_000)})  # 80 MB
    assert path.stat().st_size > 80e6
    before = resident()
    read_ridge(path)
    assert resident() - before < 40e6


def resident() -> float:
    """Resident memory of this process, bytes."""
    with open("/proc/self/statm") as file:
        return 4096 * int(file.read().split()[1])


def published_checkpoint(weight, bias):
    """A checkpoint as published, the ridge between large tensors, as bytes."""
    large = {f"backbone.{number}": torch.rand(1_000_000) for number in range(2)}
    tensors = {
        "backbone.before": large["backbone.0"],
        "ridge.linears.0.bias": torch.tensor(bias),
        "backbone.between": large["backbone.1"],
        "ridge.linears.0.weight": torch.tensor(weight),
        "diffusion_prior.after": torch.rand(1_000_000),
    }
    content = io.BytesIO()
    torch.save({"model_state_dict": OrderedDict(tensors)}, content)
    return content.getvalue()


@pytest.fixture
def big_ridge(rng):
    """A ridge larger than what is read at once: 1 MB."""
    weight = rng.standard_normal((64, 4000)).astype(np.float32)
    return weight, rng.standard_normal(64).astype(np.float32)


@pytest.mark.parametrize("cut_after", [None, 300_000])
def test_only_the_ridge_is_downloaded(server, big_ridge, cut_after):
    content = published_checkpoint(*big_ridge)
    server.redirects["/here/last.pth"], server.files["/there"] = "/there", content
    server.cut_after = cut_after
    weight, bias = read_ridge(f"{server.url}/here/last.pth")
    np.testing.assert_array_equal(weight, big_ridge[0])
    np.testing.assert_array_equal(bias, big_ridge[1])
    assert len(content) > 13e6
    # besides the ridge a first look, the description, the directory and two headers of storages
    assert server.sent <= weight.nbytes + bias.nbytes + 5 * remote.BLOCK + 64
    if cut_after is None:
        assert len(server.requests) <= 8
        assert sum(path == "/here/last.pth" for _, path, *_ in server.requests) == 1


def test_a_server_without_ranges_gives_the_whole_checkpoint(server, cache, big_ridge, caplog):
    server.files["/last.pth"] = published_checkpoint(*big_ridge)
    server.has_ranges = False
    weight, bias = read_ridge(f"{server.url}/last.pth")
    np.testing.assert_array_equal(weight, big_ridge[0])
    np.testing.assert_array_equal(bias, big_ridge[1])
    assert "the server gives no parts of files" in caplog.text


@pytest.mark.parametrize("n_answers", [1, 3, 5])
def test_a_server_that_falls_silent_is_not_taken_for_a_damaged_file(server, big_ridge, n_answers):
    server.files["/last.pth"] = published_checkpoint(*big_ridge)
    server.statuses = [None] * n_answers + [500] * 9
    with pytest.raises(InputError, match=r"last\.pth: the server answers 500; try again later"):
        read_ridge(f"{server.url}/last.pth")


@pytest.mark.parametrize("is_in_ridge", [True, False])
def test_damage_on_the_way_is_noticed(server, big_ridge, is_in_ridge):
    content = bytearray(published_checkpoint(*big_ridge))
    place = content.find(big_ridge[0].tobytes()) if is_in_ridge else content.find(b"data.pkl") + 100
    content[place + 50] ^= 1
    server.files["/last.pth"] = bytes(content)
    with pytest.raises(InputError, match="CRC-32"):
        read_ridge(f"{server.url}/last.pth")


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (Known(7, "0" * 64), "expected size 7, got"),
        (Known(None, "0" * 64), f"SHA-256 {'0' * 64}, got {'1' * 64}"),
    ],
)
def test_another_file_than_the_known_one_is_refused_before_it_is_read(
    server, big_ridge, monkeypatch, known, message
):
    server.files["/last.pth"] = published_checkpoint(*big_ridge)
    server.headers["/last.pth"] = {"X-Linked-ETag": f'"{"1" * 64}"'}
    monkeypatch.setitem(KNOWN, f"{server.url}/last.pth", known)
    with pytest.raises(InputError, match=message):
        read_ridge(f"{server.url}/last.pth")
    assert server.sent == 64


def test_an_extracted_ridge_says_what_it_was_read_from(tmp_path, server, cache, big_ridge):
    content = published_checkpoint(*big_ridge)
    (tmp_path / "last.pth").write_bytes(content)
    extract_ridge(str(tmp_path / "last.pth"), subject="subj01", out=tmp_path / "local.safetensors")
    digest = hashlib.sha256(content).hexdigest()
    source = {"checkpoint": "last.pth", "sha256": digest, "size": str(len(content))}
    assert read_safetensors(tmp_path / "local.safetensors", *big_ridge) == source

    server.files["/last.pth"] = content
    server.headers["/last.pth"] = {"X-Linked-ETag": f'"{digest}"', "X-Repo-Commit": "c0ffee"}
    source = source | {"checkpoint": f"{server.url}/last.pth", "commit": "c0ffee"}
    extract_ridge(source["checkpoint"], subject="subj01", out=tmp_path / "one" / "remote.safetensors")
    assert read_safetensors(tmp_path / "one" / "remote.safetensors", *big_ridge) == source
    server.sent = 0
    extract_ridge(source["checkpoint"], subject="subj01", out=tmp_path / "two" / "remote.safetensors")
    assert read_safetensors(tmp_path / "two" / "remote.safetensors", *big_ridge) == source
    assert server.sent == 64  # whether it is still the same file


def read_safetensors(path, weight, bias):
    """The metadata of a ridge file, after a comparison of its tensors."""
    with safe_open(path, framework="numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("weight"), weight)
        np.testing.assert_array_equal(file.get_tensor("bias"), bias)
        return file.metadata()


@pytest.fixture
def multisubject(tmp_path, rng):
    """The checkpoint of seven subjects, ridge i of ``subj02`` to ``subj08`` filled with i."""
    path = tmp_path / "train_logs" / "final_multisubject_subj01" / "last.pth"
    path.parent.mkdir(parents=True)
    tensors = {}
    for number in rng.permutation(7):
        tensors[f"ridge.linears.{number}.weight"] = torch.full((5, 9), float(number))
        tensors[f"ridge.linears.{number}.bias"] = torch.full((5,), float(number))
    torch.save({"model_state_dict": tensors}, path)
    return path


@pytest.mark.parametrize(("subject", "number"), [("subj02", 0), ("subj05", 3), ("subj08", 6)])
def test_of_several_ridges_the_subjects_own_is_read(multisubject, subject, number):
    for array in read_ridge(multisubject, subject=subject):
        assert (array == number).all()


@pytest.mark.parametrize("subject", ["subj01", None])
def test_a_subject_without_ridge_is_refused(multisubject, subject):
    with pytest.raises(InputError, match=f"got {subject}; subj01 was held out"):
        read_ridge(multisubject, subject=subject)


def test_the_ridge_of_another_subject_is_told_by_its_voxels(tmp_path):
    checkpoint(tmp_path / "last.pth", np.zeros((2, 14_278), np.float32), np.zeros(2, np.float32))
    assert read_ridge(tmp_path / "last.pth", subject="subj02")[0].shape == (2, 14_278)
    with pytest.raises(InputError, match="subj01's 15724 voxels, got 14278, the number of subj02"):
        read_ridge(tmp_path / "last.pth", subject="subj01")
