"""Tensors of PyTorch checkpoints, against PyTorch itself, and files that are none."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brain2image.core.errors import InputError
from brain2image.formats.checkpoint_pickles import DESCRIPTIONS
from brain2image.formats.checkpoints import Checkpoint


def saved(tensors, **options):
    content = io.BytesIO()
    torch.save({"model_state_dict": tensors}, content, **options)
    return content.getvalue()


def read(content, key):
    return Checkpoint(io.BytesIO(content), name="last.pth").read(key)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_equals_what_pytorch_reads(dtype):
    tensors = {"a": torch.rand(3, 4, dtype=dtype), "b": torch.rand(7, dtype=dtype)}
    for key, tensor in tensors.items():
        array = read(saved(tensors), key)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, tensor.float().numpy())


def test_a_part_of_a_storage_is_read_from_its_place():
    both = torch.arange(10.0)
    content = saved({"first": both[:4].view(2, 2), "last": both[4:]})
    np.testing.assert_array_equal(read(content, "first"), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(read(content, "last"), np.arange(4, 10))


def test_the_state_of_a_module_is_read():
    module = torch.nn.Linear(3, 2)
    state = module.state_dict()  # with an attribute _metadata, which the pickle holds too
    np.testing.assert_array_equal(read(saved(state), "weight"), module.weight.detach().numpy())


def test_what_is_not_contiguous_is_refused():
    with pytest.raises(InputError, match=r"read this a \(expected a contiguous tensor, got .*\(1, 3\)"):
        read(saved({"a": torch.rand(2, 3).T}), "a")


def test_integers_are_refused():
    with pytest.raises(InputError, match="expected stored floats, got a LongStorage"):
        read(saved({"a": torch.arange(3)}), "a")


def test_a_compressed_archive_is_refused():
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(3)}))) as source,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(InputError, match="compressed or too large"):
        read(content.getvalue(), "a")


def test_the_old_format_is_refused_with_the_reason():
    content = saved({"a": torch.zeros(3)}, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"format of PyTorch before 1\.6.*save it again"):
        read(content, "a")


def replace_description(content, description):
    """The checkpoint with another data.pkl."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, description if name.endswith("/data.pkl") else source.read(name))
    return target.getvalue()


def description_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nothing_is_executed(tmp_path):
    calls = [Evil(open, str(tmp_path / "ran"), "w"), Evil(getattr, OrderedDict, "clear"), Evil(eval, "1")]
    for evil in calls:
        for description in (pickle.dumps(evil), pickle.dumps({"model_state_dict": evil})):
            content = replace_description(saved({"a": torch.zeros(3)}), description)
            with pytest.raises(InputError, match="it would call"):
                read(content, "a")
    assert not (tmp_path / "ran").exists()


def test_a_trainers_state_is_passed_over(tmp_path):
    """Lightning's checkpoints hold objects of any class; of them nothing is made, nor taken for a tensor."""
    evil = [Evil(open, str(tmp_path / "ran"), "w"), Evil(getattr, OrderedDict, "clear"), Evil(eval, "1")]
    content = saved({"a": torch.arange(3.0)})
    assert set(DESCRIPTIONS) == {"model_state_dict", "state_dict"}
    file = io.BytesIO()
    state = {"state_dict": OrderedDict(a=torch.arange(3.0), b=evil[0]), "callbacks": {"c": evil[1:]}}
    torch.save(state, file)
    checkpoint = Checkpoint(file, name="unclip.ckpt", state="state_dict")
    assert list(checkpoint.tensors) == ["a"]
    assert checkpoint.read("a").tolist() == [0, 1, 2]
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="it would call"):
        Checkpoint(file, name="unclip.ckpt")
    with pytest.raises(InputError, match="expected a PyTorch checkpoint with 'state_dict', but"):
        Checkpoint(io.BytesIO(content), name="unclip.ckpt", state="state_dict")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"K\x03\x85", b"K\x63\x85", "expected a storage that holds its shape"),
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x007", "data/7"),
        (b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00starage", "it names an unknown object"),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", "it would call torch._utils._rebuild_tensor_v3"),
        (b"model_state_dict", b"model_state_duct", "model_state_dict"),
    ],
)
def test_a_forged_description_is_refused(old, new, message):
    content = saved({"a": torch.zeros(3)})
    description = description_of(content)
    assert old in description
    with pytest.raises(InputError, match=message):
        read(replace_description(content, description.replace(old, new)), "a")


CONTENT = saved(OrderedDict(a=torch.arange(12.0).view(3, 4), b=torch.zeros(5)))
DESCRIPTION = description_of(CONTENT)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_files_are_refused_or_read_right(data):
    content = bytearray(CONTENT)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]), exact=True)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_descriptions_end_in_an_error_or_an_array(data):
    description = bytearray(DESCRIPTION)
    for _ in range(data.draw(st.integers(1, 3))):
        description[data.draw(st.integers(0, len(description) - 1))] = data.draw(st.integers(0, 255))
    check(replace_description(CONTENT, bytes(description)), exact=False)


def check(content, *, exact):
    try:
        checkpoint = Checkpoint(io.BytesIO(content), name="last.pth")
        array = checkpoint.read("a") if "a" in checkpoint.tensors else None
    except InputError as error:
        assert "\n" not in str(error)
    else:
        if exact and array is not None:
            np.testing.assert_array_equal(array, np.arange(12.0).reshape(3, 4))


@pytest.mark.parametrize("n_values", [1, 7, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_tensor_comes_in_blocks_too(n_values, dtype):
    """Also one that shares its storage with others, as its middle."""
    whole = torch.randn(30, 4).to(dtype)
    file = io.BytesIO()
    torch.save({"model_state_dict": {"whole": whole, "part": whole[5:20]}}, file)
    checkpoint = Checkpoint(file, name="last.pth")
    for key, values in {"whole": whole, "part": whole[5:20]}.items():
        blocks = list(checkpoint.read_blocks(key, n_values=n_values))
        assert max(map(len, blocks)) <= n_values
        np.testing.assert_array_equal(np.concatenate(blocks), checkpoint.read(key).ravel())
        np.testing.assert_array_equal(np.concatenate(blocks), values.float().ravel())


@pytest.mark.parametrize("place", [0, 40, -4])
def test_damage_is_noticed_behind_the_last_block(place):
    values = torch.randn(30)
    file = io.BytesIO()
    torch.save({"model_state_dict": {"values": values}}, file)
    content = bytearray(file.getvalue())
    content[content.find(values.numpy().tobytes()) + place % 120] ^= 1
    blocks = Checkpoint(io.BytesIO(content), name="last.pth").read_blocks("values", n_values=10)
    assert [len(next(blocks)) for _ in range(3)] == [10, 10, 10]
    with pytest.raises(InputError, match=r"last\.pth: cannot read this values \(its checksum \(CRC-32\)"):
        next(blocks)
