"""Read pickles that may hold NumPy arrays and plain containers, and nothing that runs code."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

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
DAMAGE = (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError)


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return super().find_class(module, name)


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
    except DAMAGE as error:
        raise InputError(
            f"{path}: expected a pickle of NumPy arrays and plain containers, but {error or 'it ends too early'}"
            "; download the file again from its official source"
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
