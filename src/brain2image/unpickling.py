"""Read pickles that may hold NumPy arrays and plain containers, and nothing that runs code."""

import math
import pickle
import struct
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from brain2image.errors import InputError

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
)

SIMPLE_KINDS = "biufcSUO"  # of a dtype: numbers, strings and objects, nothing structured


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler of the allow-list that also checks the states which NumPy's own objects are given.

    NumPy trusts them: forged, they make it take bytes of the file for addresses of objects. The pure Python
    unpickler is the one whose instructions can be overridden; its speed does not matter, as arrays come in
    one piece.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        # called, ndarray makes objects of any bytes; NumPy only writes it as the argument of _reconstruct
        harmless = {"ndarray": None, "_reconstruct": _empty_array}
        return harmless[name] if name in harmless else super().find_class(module, name)

    def load_build(self) -> None:
        """Set the state of an object, if that is one which NumPy itself could have written."""
        state, target = self.stack[-1], self.stack[-2]
        check = {np.ndarray: _check_array_state}.get(type(target), _check_dtype_state)
        check(target, state)
        super().load_build()

    dispatch: ClassVar[dict] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}


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
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _load(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: this file cannot be read ({error.strerror})") from None
    except MemoryError:
        raise InputError(
            f"{path}: asks for more memory than there is (a raw THINGS-EEG2 session takes 3 GB); "
            "free some, or download the file again if it should be smaller"
        ) from None
    except DAMAGE as error:
        raise InputError(
            f"{path}: expected a pickle of NumPy arrays and plain containers, but "
            f"{error or 'it ends too early'}; download the file again from its official source"
        ) from None


def _load(file: BinaryIO) -> Any:
    magic = file.read(6)
    file.seek(0)
    if magic == b"\x93NUMPY":
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
        content = _ArrayUnpickler(file, encoding="latin1").load()
        return content.item() if shape == () else content
    return _ArrayUnpickler(file, encoding="latin1").load()
