"""Read pickles that may hold NumPy arrays and plain containers, and nothing that runs code."""

import math
import os
import pickle
import struct
import tokenize
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from brain2image.errors import InputError, reason
from brain2image.lazy_arrays import SIMPLE_KINDS, LazyArray, bytes_ahead, lazy_array

# Arrays from this size on stay in the file; names and labels of a whole THINGS-EEG2 subject are smaller.
LAZY_BYTES = 32 * 2**20

# What NumPy of every public version writes into a pickle of an array, a dtype or a scalar.
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(
        (module, name)
        for core in ("numpy.core", "numpy._core")
        for module, name in (
            (f"{core}.multiarray", "_reconstruct"),
            (f"{core}.multiarray", "scalar"),
            (f"{core}.numeric", "_frombuffer"),
        )
    ),
    ("_codecs", "encode"),  # bytes in protocols 0-2
    ("collections", "OrderedDict"),
}

# What the unpickler raises on damaged bytes.
DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    OverflowError,
    struct.error,
    RuntimeError,  # NumPy, of a scalar that is no scalar
    SyntaxError,  # NumPy, of the name of a dtype
    tokenize.TokenError,  # NumPy, of the header of an .npy file
    zipfile.BadZipFile,
)


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler of the allow-list that also checks the states which NumPy's own objects are given.

    NumPy trusts them: forged, they make it take bytes of the file for addresses of objects. The pure Python
    unpickler is the one whose instructions can be overridden; its speed does not matter, as arrays come in
    one piece.

    Parameters
    ----------
    file : at the first byte of the pickle.
    lazy_bytes : the size from which an array stays in the file.
    """

    def __init__(self, file: BinaryIO, lazy_bytes: float):
        super().__init__(file, encoding="latin1")
        self.file, self.lazy_bytes = file, lazy_bytes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        # called, ndarray makes objects of any bytes; NumPy only writes it as the argument of _reconstruct
        harmless = {"ndarray": None, "_reconstruct": _empty_array, "_frombuffer": _array_from_buffer}
        return harmless[name] if name in harmless else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it holds torch tensors in place of NumPy arrays")

    def load_build(self) -> None:
        """Set the state of an object, if that is one which NumPy itself could have written."""
        state, target = self.stack[-1], self.stack[-2]
        check = {np.ndarray: _check_array_state}.get(type(target), _check_dtype_state)
        check(target, state)
        if type(target) is np.ndarray and isinstance(state[4], LazyArray):
            _, shape, dtype, is_fortran, content = state
            array = lazy_array(content, dtype, shape, "F" if is_fortran else "C")
            self.stack[-2:] = [array]
            # later references to the array find it by the empty one that stood for it
            self.memo.update({key: array for key, value in self.memo.items() if value is target})
        else:
            super().load_build()

    def load_bytes(self, size_format: str, kind: Callable) -> None:
        """Leave a large piece of bytes in the file if it stands there in one piece, outside of all frames."""
        (size,) = struct.unpack(size_format, self.read(struct.calcsize(size_format)))
        frame = self._unframer.current_frame
        in_frame = frame is not None and frame.tell() < len(frame.getbuffer())
        if size < self.lazy_bytes or in_frame:
            self.append(kind(self.read(size)))
        else:
            self.append(bytes_ahead(self.file, size))
            self.file.seek(size, os.SEEK_CUR)

    dispatch: ClassVar[dict] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BINBYTES[0]: lambda self: self.load_bytes("<I", bytes),
        pickle.BINBYTES8[0]: lambda self: self.load_bytes("<Q", bytes),
        pickle.BYTEARRAY8[0]: lambda self: self.load_bytes("<Q", bytearray),
    }


def _array_from_buffer(
    buffer: Any, dtype: Any, shape: Any, order: str, axes: Any = None
) -> np.ndarray | LazyArray:
    """NumPy's own ``_frombuffer``, whose place and form depend on its version."""
    if isinstance(buffer, LazyArray):
        return lazy_array(buffer, dtype, shape, order, axes)
    array = np.frombuffer(buffer, dtype=dtype)
    if order == "K" and axes is not None:
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order=order)


def _empty_array(*_: Any) -> np.ndarray:
    return np.empty(0, np.int8)


def _check_array_state(_: np.ndarray, state: Any) -> None:
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], np.dtype):
        raise pickle.UnpicklingError("it holds an array whose state is not NumPy's")
    _, shape, dtype, _, content = state
    if dtype.kind not in SIMPLE_KINDS:
        raise pickle.UnpicklingError(f"it holds an array of a type that is not allowed, {dtype}")
    # NumPy reads as many objects as the shape says, beyond the end of a list that has fewer
    if dtype.hasobject and (not isinstance(content, list) or len(content) != math.prod(shape)):
        raise pickle.UnpicklingError(f"it holds an array {shape} with another number of objects")


def _check_dtype_state(target: Any, state: Any) -> None:
    """Let NumPy's own state of a simple type pass, in either byte order."""
    if not isinstance(target, np.dtype) or target.kind not in SIMPLE_KINDS:
        raise pickle.UnpicklingError(f"it would change a {type(target).__name__}")
    own = target.__reduce__()[2]
    swapped = (own[0], {"<": ">", ">": "<"}.get(own[1], own[1]), *own[2:])
    if state not in (own, swapped):
        raise pickle.UnpicklingError(f"it holds a dtype {target} whose state is not NumPy's")


def load_arrays(path: str | Path) -> Any:
    """Read a pickle, or an ``.npy`` file of one pickled object, of arrays, dicts, lists, strings and numbers.

    Returns
    -------
    The object: for THINGS-EEG2's raw and metadata files a dict. Plain ``.npy`` arrays are returned as arrays.

    Raises
    ------
    InputError
        When the file is missing, cut short, no pickle, or names anything outside the allow-list, which is
        how a pickle executes code. Nothing is executed.
    """
    return _load(Path(path), lazy_bytes=math.inf)


def open_arrays(path: str | Path) -> Any:
    """Like `load_arrays`, but arrays of `LAZY_BYTES` and more stay in the file, as a `LazyArray`.

    Large arrays that were pickled with the protocols 0 to 2 are read: their bytes are escaped in the file.
    Files of ``torch.save`` are read, too, if they hold NumPy arrays and no tensors.
    """
    return _load(Path(path), lazy_bytes=LAZY_BYTES)


def read_npy(file: str | os.PathLike | BinaryIO, *, source: str | os.PathLike, remedy: str) -> np.ndarray:
    """Read an ``.npy`` file without pickled objects.

    Parameters
    ----------
    file : a path, or an open file.
    source : what the file is called in messages.
    remedy : what to do about a damaged one.

    Raises
    ------
    InputError
        When it is missing, damaged, no ``.npy``, or holds objects.
    """
    try:
        with nullcontext(file) if hasattr(file, "read") else open(file, "rb") as content:
            return np.lib.format.read_array(content, allow_pickle=False)
    except (OSError, MemoryError, *DAMAGE) as error:
        raise InputError(f"{source}: cannot read this .npy file ({reason(error)}); {remedy}") from None


def _load(path: Path, *, lazy_bytes: float) -> Any:
    try:
        with path.open("rb") as file:
            return _load_open(file, lazy_bytes)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; download it, or correct its folder in the config") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot read this file ({error.strerror}); correct its path or its permissions"
        ) from None
    except MemoryError:
        raise InputError(
            f"{path}: expected arrays that fit into memory (a raw THINGS-EEG2 session takes 3 GB), got more "
            "than there is; free some, or download the file again if it should be smaller"
        ) from None
    except DAMAGE as error:
        raise InputError(
            f"{path}: expected a pickle of NumPy arrays and plain containers, but "
            f"{reason(error) if str(error) else 'it ends too early'}; download the file again from its "
            "official source"
        ) from None


def _load_open(file: BinaryIO, lazy_bytes: float) -> Any:
    magic = file.read(6)
    file.seek(0)
    if magic == b"\x93NUMPY":
        return _load_npy(file, lazy_bytes)
    if magic.startswith(b"PK\x03\x04"):
        _seek_torch_pickle(file)
    return _ArrayUnpickler(file, lazy_bytes).load()


def _load_npy(file: BinaryIO, lazy_bytes: float) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        content = _ArrayUnpickler(file, lazy_bytes).load()
        return content.item() if shape == () else content
    if (size := math.prod(shape) * dtype.itemsize) >= lazy_bytes:
        return lazy_array(bytes_ahead(file, size), dtype, shape, "F" if is_fortran else "C")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _seek_torch_pickle(file: BinaryIO) -> None:
    """Go to the pickle inside a zip of ``torch.save``, which stores it uncompressed."""
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
    if len(entries) != 1 or entries[0].compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError("it is a zip without one uncompressed data.pkl")
    # the names in the local header and in the directory have a length each of their own
    file.seek(entries[0].header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    file.seek(name_length + extra_length, os.SEEK_CUR)
