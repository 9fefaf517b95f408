"""The allow-list of the unpickler: arrays and plain containers pass, all else is refused unexecuted."""

import collections
import os
import pickle
import pickletools
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brain2image.core.errors import InputError
from brain2image.formats import unpickling
from brain2image.formats.lazy_arrays import LazyArray
from brain2image.formats.unpickling import load_arrays, open_arrays

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
    with pytest.raises(InputError, match=r"content\.npy: expected arrays that fit into memory"):
        load_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_arrays(tmp_path / "absent.npy")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="expected a file, got a folder"):
        load_arrays(tmp_path)


# ---- arrays that stay in the file

# Python pickles bytes outside of its frames from 64 KiB on.
LARGE = np.arange(3 * 40 * 100, dtype=np.float64).reshape(120, 100)
LARGE_CONTENT = CONTENT | {"eeg": LARGE, "names": np.array(["a", "bc"])}
TORCH_PROTOCOLS = (2, 5)


@pytest.fixture(autouse=True)
def small_arrays_are_large(monkeypatch):
    monkeypatch.setattr(unpickling, "LAZY_BYTES", 2**16)


def assert_lazy(array, expected):
    assert isinstance(array, LazyArray)
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype
    assert len(array) == len(expected)
    np.testing.assert_array_equal(array[5:17], expected[5:17])
    np.testing.assert_array_equal(np.asarray(array), expected)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_large_arrays_stay_in_the_file(tmp_path, protocol):
    path = tmp_path / "content.pkl"
    path.write_bytes(pickle.dumps(LARGE_CONTENT, protocol=protocol))
    content = open_arrays(path)
    assert_lazy(content["eeg"], LARGE)
    assert_same(content | {"eeg": LARGE}, LARGE_CONTENT)
    assert_same(load_arrays(path), LARGE_CONTENT)


def test_an_array_of_more_than_4_gb_is_told_by_another_code(tmp_path):
    content = pickle.dumps({"eeg": LARGE}, protocol=4)
    short, long = (code + LARGE.nbytes.to_bytes(size, "little") for code, size in ((b"B", 4), (b"\x8e", 8)))
    assert content.count(short) == 1
    (tmp_path / "content.pkl").write_bytes(content.replace(short, long))
    assert_lazy(open_arrays(tmp_path / "content.pkl")["eeg"], LARGE)
    assert_same(load_arrays(tmp_path / "content.pkl"), {"eeg": LARGE})


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_older_protocols_are_read_whole(tmp_path, protocol):
    path = tmp_path / "content.pkl"
    path.write_bytes(pickle.dumps(LARGE_CONTENT, protocol=protocol))
    assert_same(open_arrays(path), LARGE_CONTENT)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_an_array_named_twice_is_one_lazy_array(tmp_path, protocol):
    (tmp_path / "twice.pkl").write_bytes(pickle.dumps([LARGE, {"again": LARGE}], protocol=protocol))
    first, second = open_arrays(tmp_path / "twice.pkl")
    assert first is second["again"]
    assert_lazy(first, LARGE)


@pytest.mark.parametrize("protocol", TORCH_PROTOCOLS)
def test_files_of_torch_hold_arrays(tmp_path, protocol):
    torch.save(LARGE_CONTENT, tmp_path / "train.pt", pickle_protocol=protocol)
    content = open_arrays(tmp_path / "train.pt")
    assert isinstance(content["eeg"], LazyArray) == (protocol == 5)
    np.testing.assert_array_equal(content["eeg"][7:9], LARGE[7:9])
    assert_same(content | {"eeg": LARGE}, LARGE_CONTENT)


def test_plain_and_saved_arrays(tmp_path):
    np.save(tmp_path / "plain.npy", LARGE)
    assert_lazy(open_arrays(tmp_path / "plain.npy"), LARGE)
    np.save(tmp_path / "dict.npy", {"eeg": LARGE})
    assert_lazy(open_arrays(tmp_path / "dict.npy")["eeg"], LARGE)
    np.save(tmp_path / "small.npy", LARGE[:2])
    assert_same(open_arrays(tmp_path / "small.npy"), LARGE[:2])


def test_transposed_arrays_keep_their_axes(tmp_path):
    """What NumPy writes, as C order or as a transposition, of an array that lies otherwise in memory."""
    array = np.arange(60 * 5 * 40.0).reshape(60, 5, 40).swapaxes(1, 2)
    for protocol in (3, 4, 5):
        (tmp_path / "swapped.pkl").write_bytes(pickle.dumps(array, protocol=protocol))
        assert_lazy(open_arrays(tmp_path / "swapped.pkl"), array)
        np.testing.assert_array_equal(load_arrays(tmp_path / "swapped.pkl"), array)


@pytest.mark.parametrize("write", [np.save, lambda path, array: path.write_bytes(pickle.dumps(array))])
def test_fortran_order_has_no_rows_to_read(tmp_path, write):
    write(tmp_path / "fortran.npy", np.asfortranarray(LARGE))
    with pytest.raises(InputError, match=r"fortran\.npy: .* rows of its largest array do not stand together"):
        open_arrays(tmp_path / "fortran.npy")
    assert_same(load_arrays(tmp_path / "fortran.npy"), np.asfortranarray(LARGE))


@given(st.integers(1, 6), st.integers(0, 5), st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9))
def test_rows_are_those_of_numpy(tmp_path_factory, n_rows, n_columns, start, stop):
    array = np.arange(n_rows * n_columns * 2, dtype=">i4").reshape(n_rows, 2, n_columns)
    path = tmp_path_factory.mktemp("rows") / "rows.bin"
    path.write_bytes(b"head" + array.tobytes())
    lazy = LazyArray(str(path), 4, array.shape, array.dtype, (0, 2, 1))
    np.testing.assert_array_equal(lazy[start:stop], array.transpose(0, 2, 1)[start:stop])
    flat = LazyArray(str(path), 4, array.shape, array.dtype, (0, 1, 2)).reshape(n_rows * 2, n_columns)
    np.testing.assert_array_equal(flat[start:stop], array.reshape(n_rows * 2, n_columns)[start:stop])


def test_only_slices_of_rows_are_read():
    lazy = LazyArray("nowhere", 0, (3, 2), np.dtype("f8"), (0, 1))
    for rows in (0, slice(0, 3, 2), (slice(0, 1), 0)):
        with pytest.raises(TypeError, match="slices of rows"):
            lazy[rows]
    for shape in ((5, 1), (-1, 2)):
        with pytest.raises(ValueError, match="cannot reshape"):
            lazy.reshape(*shape)


def test_a_file_larger_than_memory_is_opened(tmp_path):
    shape = (2**24, 63, 250)  # 500 GB, all holes
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        try:
            file.truncate(file.tell() + 2 * 2**24 * 63 * 250)
        except OSError:
            pytest.skip("the file system has no files of this size")
    array = open_arrays(tmp_path / "huge.npy")
    assert array.shape == shape
    assert array[-3:].shape == (3, 63, 250)


@pytest.mark.parametrize("as_npy", [False, True])
def test_a_cut_file_is_told_at_once(tmp_path, as_npy):
    path = tmp_path / "content.npy"
    np.save(path, LARGE) if as_npy else path.write_bytes(pickle.dumps({"eeg": LARGE}, protocol=4))
    whole = path.read_bytes()
    for length in (*range(0, 300, 7), len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"content\.npy: expected a pickle .* download the file again"):
            open_arrays(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"it ends \d+ bytes before its array of 96000 bytes does"):
        open_arrays(path)


@pytest.mark.parametrize("length", [0, 100, 50_000, -1])
def test_a_cut_file_of_torch(tmp_path, length):
    torch.save(LARGE_CONTENT, tmp_path / "train.pt", pickle_protocol=5)
    whole = (tmp_path / "train.pt").read_bytes()
    (tmp_path / "train.pt").write_bytes(whole[:length])
    with pytest.raises(InputError, match=r"train\.pt: expected a pickle"):
        open_arrays(tmp_path / "train.pt")


def zip_of(path, content, *, name="train/data.pkl", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: zip_of(path, pickle.dumps(LARGE), compression=zipfile.ZIP_DEFLATED),
            "a zip without one uncompressed data.pkl",
        ),
        (lambda path: zip_of(path, b"", name="train/other"), "a zip without one uncompressed data.pkl"),
        (
            lambda path: torch.save({"eeg": torch.zeros(3)}, path),
            "torch tensors in place of NumPy arrays|call",
        ),
        (lambda path: zip_of(path, b"\x80\x02X\x01\x00\x00\x00aQ."), "torch tensors in place of NumPy"),
    ],
)
def test_zips_that_are_not_expected(tmp_path, write, message):
    write(tmp_path / "train.pt")
    with pytest.raises(InputError, match=rf"train\.pt: expected a pickle .*{message}"):
        open_arrays(tmp_path / "train.pt")


@pytest.mark.parametrize(
    "write",
    [
        lambda path, content: path.write_bytes(pickle.dumps(content)),
        lambda path, content: torch.save(content, path),
        lambda path, content: np.save(path.open("wb"), content, allow_pickle=True),
    ],
)
def test_code_in_any_container_does_not_run(tmp_path, write):
    write(tmp_path / "attack", {"eeg": LARGE, "attack": Payload(tmp_path / "ran")})
    with pytest.raises(InputError, match=r"attack: .* it would call \w+\.mkdir"):
        open_arrays(tmp_path / "attack")
    assert not (tmp_path / "ran").exists()


BYTES = b"\x00" * 2**17
FROM_BUFFER = np._core.numeric._frombuffer


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (forged_array(np.dtype("f8"), (3,), BYTES), r"an array \(3,\) of float64 in 131072 bytes"),
        (forged_array(np.dtype("f8"), (-(2**14),), BYTES), "array whose state"),
        (forged_array(np.dtype("f8"), (2.0**14,), BYTES), "array whose state"),
        (forged_array(forged_dtype("O8"), (2**14,), BYTES), "dtype object whose state"),
        (forged_array(np.dtype("O"), (2**14,), BYTES), "with another number of objects"),
        (Forged(FROM_BUFFER, (BYTES, "O", (2**14,), "C")), "of a type that is not allowed, object"),
        (Forged(FROM_BUFFER, (BYTES, "f8,f8", (2**13,), "C")), "of a type that is not allowed"),
        (Forged(FROM_BUFFER, (BYTES, "f8", (2**15,), "C")), "in 131072 bytes"),
        (Forged(FROM_BUFFER, (BYTES, "f8", (2**14,), "A")), "do not stand together"),
        (Forged(FROM_BUFFER, (BYTES, "f8", (2**7, 2**7), "K", (1, 0))), "do not stand together"),
        (Forged(FROM_BUFFER, (BYTES, "f8", (2**7, 2**7), "K", (0, 7))), "do not stand together"),
        (Forged(FROM_BUFFER, (BYTES, "f8", 2**14, "C")), "has no len"),
        (Forged(collections.OrderedDict, (BYTES,)), "takes 0 positional arguments"),
    ],
)
def test_forged_descriptions_of_large_arrays_are_refused(tmp_path, content, message):
    path = tmp_path / "forged.pkl"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(InputError, match=message):
        open_arrays(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([3, 4, 5]), st.integers(0, 400), st.integers(0, 255))
def test_any_damaged_byte_is_read_or_an_input_error(tmp_path_factory, protocol, position, value):
    path = tmp_path_factory.mktemp("damage") / "content"
    content = bytearray(pickle.dumps({"eeg": LARGE, "names": ["Fp1"]}, protocol=protocol))
    position = position if position < 250 else len(content) - (position - 249)
    content[position] = value
    path.write_bytes(content)
    try:
        open_arrays(path)
    except InputError as error:
        assert str(path) in str(error)
