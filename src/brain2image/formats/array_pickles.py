"""The unpickler of NumPy arrays and plain containers: what it allows, and what it checks for NumPy."""

import math
import os
import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy._core.multiarray import scalar

from brain2image.formats.lazy_arrays import SIMPLE_KINDS, LazyArray, bytes_ahead, lazy_array
from brain2image.formats.pickles import LimitedUnpickler, check_shape, dispatch, ordered_dict

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
OBJECT = 8  # bytes of an object's place in an array; one takes a byte or more in the file


class ArrayUnpickler(LimitedUnpickler):
    """An unpickler of the allow-list that also checks the states which NumPy's own objects are given.

    NumPy trusts them: forged, they make it take bytes of the file for addresses of objects. That it is in
    Python does not matter for its speed, as arrays come in one piece.

    Parameters
    ----------
    file : at the first byte of the pickle.
    lazy_bytes : the size from which an array stays in the file.
    """

    def __init__(self, file: BinaryIO, lazy_bytes: float):
        super().__init__(file, encoding="latin1")
        self.file, self.lazy_bytes, self.n_copied = file, lazy_bytes, 0

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name, which must be on the list."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        own = {"encode": self.encode, "scalar": self.make_scalar}
        return own[name] if name in own else HARMLESS[name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse torch's tensors."""
        raise pickle.UnpicklingError("it holds torch tensors in place of NumPy arrays")

    def charge(self, n_bytes: int) -> None:
        """Count bytes that are copied, which are never more than those that were read, but for objects.

        Otherwise a piece of the file that is named a thousand times fills the memory.
        """
        self.n_copied += n_bytes
        if self.n_copied > OBJECT * (self.file.tell() + 1):
            raise pickle.UnpicklingError("its parts are copied too often")

    def encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Return the bytes that Python pickles as a text with the protocols 0 to 2."""
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("it holds bytes in another encoding than latin1")
        self.charge(len(text))
        return text.encode(encoding)

    def make_scalar(self, dtype: Any, content: Any) -> Any:
        """Return a NumPy scalar of its type and bytes."""
        if not isinstance(dtype, np.dtype) or not isinstance(content, bytes | str) or dtype.hasobject:
            raise pickle.UnpicklingError("it holds a scalar whose state is not NumPy's")
        self.charge(len(content))
        return scalar(dtype, content)

    def load_build(self) -> None:
        """Set the state of an object, if that is one which NumPy itself could have written."""
        state, target = self.stack[-1], self.stack[-2]
        check = {np.ndarray: _check_array_state}.get(type(target), _check_dtype_state)
        check(target, state)
        if type(target) is np.ndarray:
            self.charge(_copied(state[4]))
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

    dispatch: ClassVar[dict] = dispatch(
        BUILD=load_build,
        BINBYTES=lambda self: self.load_bytes("<I", bytes),
        BINBYTES8=lambda self: self.load_bytes("<Q", bytes),
        BYTEARRAY8=lambda self: self.load_bytes("<Q", bytearray),
    )


def _array_from_buffer(
    buffer: Any, dtype: Any, shape: Any, order: Any, axes: Any = None
) -> np.ndarray | LazyArray:
    """Do what NumPy's own ``_frombuffer`` does, whose place and form depend on its version."""
    dtype = dtype if isinstance(dtype, np.dtype) else _simple_dtype(dtype)
    if isinstance(buffer, LazyArray):
        return lazy_array(buffer, dtype, shape, order, axes)
    array = np.frombuffer(buffer, dtype=dtype)
    if order == "K" and axes is not None:
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order=order)


def _empty_array(*_: Any) -> np.ndarray:
    return np.empty(0, np.int8)


def _simple_dtype(spec: Any, *options: Any) -> np.dtype:
    """Make a type of its name alone, as NumPy pickles it: lists of types can be nested without end."""
    if not isinstance(spec, str):
        raise pickle.UnpicklingError("it holds a dtype that is not named")
    return np.dtype(spec, *options)


def _copied(content: Any) -> int:
    """Count the bytes that an array may take of its own for what it is given."""
    if isinstance(content, LazyArray):
        return 0
    return len(content) * (OBJECT if isinstance(content, list) else 1)


# Called, ndarray makes objects of any bytes; NumPy only writes it as the argument of _reconstruct.
HARMLESS = {
    "ndarray": None,
    "dtype": _simple_dtype,
    "_reconstruct": _empty_array,
    "_frombuffer": _array_from_buffer,
    "OrderedDict": ordered_dict,
}


def _check_array_state(_: np.ndarray, state: Any) -> None:
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], np.dtype):
        raise pickle.UnpicklingError("it holds an array whose state is not NumPy's")
    _, shape, dtype, _, content = state
    check_shape(shape)
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
