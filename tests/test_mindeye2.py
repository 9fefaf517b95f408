"""The ridge of a checkpoint."""

import io
from collections import OrderedDict

import numpy as np
import pytest
import torch

from brain2image.errors import InputError
from brain2image.mindeye2 import read_ridge

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


def bad_checkpoints(folder, weight, bias):
    """File name, how it is written, and what the message must say."""
    one = torch.tensor(weight)
    yield "absent.pth", lambda path: None, "no such file"
    yield "empty.pth", lambda path: path.touch(), "expected a MindEye2 checkpoint"
    yield "page.pth", lambda path: path.write_text("<!DOCTYPE html>"), "expected a MindEye2 checkpoint"
    yield "other.pth", lambda path: torch.save({"weights": one}, path), "model_state_dict"
    yield "none.pth", lambda path: torch.save({"model_state_dict": {"backbone": one}}, path), "got 0"
    yield (
        "several.pth",
        lambda path: checkpoint(path, weight, bias, **{"ridge.linears.1.weight": one}),
        "expected one ridge (ridge.linears.0.weight), got 2",
    )
    yield "shape.pth", lambda path: checkpoint(path, weight, bias[:3]), "got (12, 30) and (3,)"

    def cut(path):
        checkpoint(path, weight, bias)
        path.write_bytes(path.read_bytes()[:-200])

    yield "cut.pth", cut, "download it again"


def test_a_bad_checkpoint_is_named(tmp_path, ridge):
    for name, write, message in bad_checkpoints(tmp_path, *ridge):
        write(tmp_path / name)
        with pytest.raises(InputError) as error:
            read_ridge(tmp_path / name)
        assert message in str(error.value), name
        assert name in str(error.value)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"model_state_dict": Evil()}, tmp_path / "last.pth")
    with pytest.raises(InputError, match="expected a MindEye2 checkpoint"):
        read_ridge(tmp_path / "last.pth")
    assert not (tmp_path / "ran").exists()


def test_memory_mapped_arrays_survive_the_file(tmp_path, ridge):
    path = tmp_path / "last.pth"
    checkpoint(path, *ridge)
    weight, _ = read_ridge(path)
    path.write_bytes(b"")
    np.testing.assert_array_equal(weight, ridge[0])
    assert io.BytesIO(weight.tobytes()).read()
