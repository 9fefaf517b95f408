"""The allow-list of the unpickler: arrays and plain containers pass, all else is refused unexecuted."""

import collections
import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brain2image.errors import InputError
from brain2image.unpickling import load_arrays

CONTENT = {
    "raw_eeg_data": np.arange(12.0).reshape(3, 4),
    "ch_names": ["Fp1", "Fp2", "stim"],
    "sfreq": 1000,
    "highpass": 0.01,
    "rate": np.float64(250),
    "names": np.array(["a", "bc"]),
    "objects": np.array([["x", 1], [None, 2.5]], dtype=object),
    "order": collections.OrderedDict(a=(1, True)),
    "blob": b"\x00\xff",
}


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def assert_same(got, expected):
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            assert_same(got[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_back_what_was_written(tmp_path, protocol):
    path = tmp_path / "content.npy"
    path.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    assert_same(load_arrays(path), CONTENT)


def test_saved_dict_is_returned_as_a_dict(tmp_path):
    np.save(tmp_path / "content.npy", CONTENT)
    assert_same(load_arrays(tmp_path / "content.npy"), CONTENT)


def test_pickles_of_older_numpy_are_read(tmp_path):
    # NumPy 1 wrote numpy.core where NumPy 2 writes numpy._core
    content = pickle.dumps(CONTENT, protocol=2)
    assert b"numpy._core" in content
    (tmp_path / "old.npy").write_bytes(content.replace(b"numpy._core", b"numpy.core"))
    assert_same(load_arrays(tmp_path / "old.npy"), CONTENT)


@given(hnp.arrays(st.sampled_from(["<f4", ">f8", "<i8", "|b1", "<U3"]), hnp.array_shapes(min_dims=0)))
def test_plain_arrays_are_returned_as_arrays(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("plain") / "array.npy"
    np.save(path, array)
    np.testing.assert_array_equal(load_arrays(path), array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_does_not_run(tmp_path, protocol):
    path = tmp_path / "attack.npy"
    path.write_bytes(pickle.dumps({"raw_eeg_data": Payload(tmp_path / "ran")}, protocol=protocol))
    with pytest.raises(InputError, match=r"attack\.npy.* it would call \w+\.mkdir"):
        load_arrays(path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())  # the attack is a real one
    assert (tmp_path / "ran").exists()


def test_code_in_an_object_array_does_not_run(tmp_path):
    path = tmp_path / "attack.npy"
    np.save(path, np.array(Payload(tmp_path / "ran"), dtype=object))
    with pytest.raises(InputError, match="it would call"):
        load_arrays(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "os system",
        "numpy load",
        "numpy.lib.npyio load",
        "numpy f2py.diagnose",
        "_codecs lookup",
    ],
)
def test_names_outside_the_list_are_refused(tmp_path, name):
    path = tmp_path / "name.pkl"
    path.write_bytes(f"c{name.replace(' ', chr(10))}\n.".encode())
    assert [opcode.name for opcode, *_ in pickletools.genops(path.read_bytes())] == ["GLOBAL", "STOP"]
    with pytest.raises(InputError, match=r"it would call " + name.replace(" ", r"\.")):
        load_arrays(path)


class Forged:
    """What an object is rebuilt from: a call and a state."""

    def __init__(self, *recipe):
        self.recipe = recipe

    def __reduce__(self):
        return self.recipe


def forged_dtype(spec, *, itemsize=-1, alignment=-1, flags=0):
    return Forged(np.dtype, (spec, False, True), (3, "|", None, None, None, itemsize, alignment, flags))


def forged_array(dtype, shape, content):
    empty = (np.ndarray, (0,), b"b")
    return Forged(np._core.multiarray._reconstruct, empty, (1, shape, dtype, False, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (forged_array(forged_dtype("O8"), (1,), b"A" * 8), "dtype object whose state"),  # bytes as address
        (Forged(np.ndarray, ((1,), "O", b"A" * 8)), "not callable"),  # the same
        (forged_dtype("U2", itemsize=4000, alignment=4, flags=8), "dtype <U2 whose state"),
        (forged_array(np.dtype("O"), (3,), [1, 2]), r"an array \(3,\) with another number of objects"),
        (forged_array(np.dtype([("a", "O")]), (1,), [(1,)]), "would change a VoidDType"),
        (Forged(np._core.numeric._frombuffer, (b"12345678", "f8", (1,), "C"), {"x": 1}), "array whose state"),
        (Forged(np.dtype, ("f8",), {"x": 1}), "dtype float64 whose state"),
        (Forged(np._core.multiarray._reconstruct, (), {"x": 1}), "array whose state"),
        (Forged(collections.OrderedDict, (), {"x": 1}), "would change a OrderedDict"),
    ],
)
def test_states_that_numpy_would_not_write_are_refused(tmp_path, content, message):
    path = tmp_path / "forged.pkl"
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(InputError, match=message):
        load_arrays(path)


@pytest.mark.parametrize("as_npy", [False, True])
def test_every_truncation_is_an_input_error(tmp_path, as_npy):
    path = tmp_path / "content.npy"
    if as_npy:
        np.save(path, CONTENT)
    else:
        path.write_bytes(pickle.dumps(CONTENT))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"content\.npy: expected a pickle .* download the file again"):
            load_arrays(path)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "content"
    path.write_bytes(content)
    try:
        load_arrays(path)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(CONTENT).replace(b"f8", b"f?"),  # no such dtype
        pickle.dumps(CONTENT).replace(b"dtype", b"dtypo"),
        b"cnumpy\nndarray\n(I3\nI4\ntb.",  # a class in place of an array
        b"(I1\nI2\ns.",  # an item for no dict
        b"\x80\x04\x8d" + b"\xff" * 8 + b".",  # a string of 2**64 bytes
    ],
)
def test_damaged_pickles_are_input_errors(tmp_path, content):
    path = tmp_path / "content.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"content\.npy: expected a pickle"):
        load_arrays(path)


def test_absurd_lengths_are_input_errors(tmp_path):
    path = tmp_path / "content.npy"
    path.write_bytes(b"\x80\x04\x8d" + (2**56).to_bytes(8, "little") + b".")
    with pytest.raises(InputError, match=r"content\.npy: asks for more memory than there is"):
        load_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_arrays(tmp_path / "absent.npy")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_arrays(tmp_path)
