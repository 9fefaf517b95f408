"""The ridge of a checkpoint, and projection through it."""

import io
from collections import OrderedDict

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from brain2image import mindeye2
from brain2image.errors import InputError
from brain2image.files import read_trials, write_trials
from brain2image.mindeye2 import project, project_fmri, read_ridge

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


def test_projection_equals_a_linear_layer(rng, ridge):
    betas = rng.standard_normal((7, N_VOXELS)).astype(np.float32)
    (result,) = project(iter([betas]), *ridge)
    layer = torch.nn.Linear(N_VOXELS, N_FEATURES)
    layer.load_state_dict({"weight": torch.tensor(ridge[0]), "bias": torch.tensor(ridge[1])})
    np.testing.assert_allclose(result, layer(torch.tensor(betas)).detach(), atol=1e-5)


def test_betas_of_another_subject_are_refused(rng, ridge):
    with pytest.raises(InputError, match="betas of 30 voxels, the width of the ridge, got 29"):
        list(project(iter([rng.standard_normal((2, 29)).astype(np.float32)]), *ridge))


def test_a_file_is_projected_block_by_block(tmp_path, rng, ridge, monkeypatch):
    monkeypatch.setattr(mindeye2, "BLOCK_TRIALS", 4)
    betas = rng.standard_normal((10, N_VOXELS)).astype(np.float32)
    trials = pd.DataFrame({"image": np.arange(10), "repetition": np.zeros(10, int)})
    with h5py.File(tmp_path / "betas.h5", "w") as file:
        file["betas"] = betas
        write_trials(file, trials)
    source = {"checkpoint": "last.pth", "sha256": "ab"}
    save_file({"weight": ridge[0], "bias": ridge[1]}, tmp_path / "ridge.safetensors", metadata=source)
    project_fmri(tmp_path / "betas.h5", tmp_path / "ridge.safetensors", out=tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_allclose(file["embedding"][:], betas @ ridge[0].T + ridge[1], atol=1e-4)
        pd.testing.assert_frame_equal(read_trials(file), trials)
        assert dict(file.attrs) == source


def test_memory_mapped_arrays_survive_the_file(tmp_path, ridge):
    path = tmp_path / "last.pth"
    checkpoint(path, *ridge)
    weight, _ = read_ridge(path)
    path.write_bytes(b"")
    np.testing.assert_array_equal(weight, ridge[0])
    assert io.BytesIO(weight.tobytes()).read()
