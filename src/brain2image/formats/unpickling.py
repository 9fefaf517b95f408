"""Read pickles that may hold NumPy arrays and plain containers, and nothing that runs code."""

import math
import os
import pickle
import struct
import tokenize
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.array_pickles import ArrayUnpickler
from brain2image.formats.lazy_arrays import bytes_ahead, lazy_array

# Arrays from this size on stay in the file; names and labels of the EEG releases are smaller.
LAZY_BYTES = 32 * 2**20

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


def load_arrays(path: str | os.PathLike) -> Any:
    """Read a pickle, or an ``.npy`` file of one pickled object, of arrays, dicts, lists, strings and numbers.

    Returns
    -------
    The object: for raw EEG and its metadata files a dict. Plain ``.npy`` arrays are returned as arrays.

    Raises
    ------
    InputError
        When the file is missing, cut short, no pickle, or names anything outside the allow-list, which is
        how a pickle executes code. Nothing is executed.
    """
    return _load(Path(path), lazy_bytes=math.inf)


def open_arrays(path: str | os.PathLike) -> Any:
    """Load like `load_arrays`, but leave arrays of `LAZY_BYTES` and more in the file, as a `LazyArray`.

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
    if isinstance(file, str | os.PathLike):
        check_regular(file, remedy=remedy)
    try:
        with open(file, "rb") if isinstance(file, str | os.PathLike) else nullcontext(file) as content:
            return np.lib.format.read_array(content, allow_pickle=False)
    except (OSError, MemoryError, *DAMAGE) as error:
        raise InputError(f"{source}: cannot read this .npy file ({reason(error)}); {remedy}") from None


def _load(path: Path, *, lazy_bytes: float) -> Any:
    check_regular(path, remedy="download it, or correct its folder in the config")
    try:
        with path.open("rb") as file:
            return _load_open(file, lazy_bytes)
    except OSError as error:
        raise InputError(
            f"{path}: cannot read this file ({error.strerror}); correct its path or its permissions"
        ) from None
    except MemoryError:
        raise InputError(
            f"{path}: expected arrays that fit into memory (a raw EEG session takes 3 GB), got more "
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
    return ArrayUnpickler(file, lazy_bytes).load()


def _load_npy(file: BinaryIO, lazy_bytes: float) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        content = ArrayUnpickler(file, lazy_bytes).load()
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
