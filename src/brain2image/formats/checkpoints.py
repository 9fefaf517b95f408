"""Single tensors of a PyTorch checkpoint, read without PyTorch and without the rest of the file.

``torch.save`` writes a zip archive: ``data.pkl`` describes the tensors, ``data/0``, ``data/1`` and so on are
their storages, stored as they are (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from brain2image.core.errors import InputError, reason
from brain2image.formats.checkpoint_pickles import DESCRIPTIONS, DTYPES, Skeleton, Storage, Tensor
from brain2image.formats.pickles import check_shape
from brain2image.formats.unpickling import DAMAGE

LEGACY_PICKLES = 5  # before PyTorch 1.6: number, version, system, content, keys of the storages
LOCAL_HEADER = struct.Struct("<4s22xHH")
DESCRIPTION_LIMIT = 16 << 20  # bytes of data.pkl; that of MindEye2 takes less than 0.1 MB
BLOCK_VALUES = 1 << 24  # 64 MB of float32
REMEDY = "download it again"
# What zipfile adds: places before the file's start, foreign methods, broken compression, absurd lengths.
DAMAGED_ZIP = (*DAMAGE, OSError, NotImplementedError, zlib.error, MemoryError)


class Checkpoint:
    """The state dict of a checkpoint, whose tensors are read one by one.

    Parameters
    ----------
    file : seekable binary file, on the disk or elsewhere.
    name : what the file is called in messages.
    state : what the state dict is called in the file: ``model_state_dict``, or ``state_dict``, as Lightning
        calls it. Its files hold the trainer's state too, of which nothing is made.

    Attributes
    ----------
    tensors : descriptions by name.

    Raises
    ------
    InputError
        When it is no checkpoint, damaged, or its ``data.pkl`` names anything but tensors and containers.
    """

    def __init__(self, file: io.BufferedIOBase, *, name: str, state: str = "model_state_dict"):
        self._file, self._name, self._size = file, name, file.seek(0, io.SEEK_END)
        self._state = state
        try:
            with zipfile.ZipFile(file) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
                description, content = read_description(archive)
            self._folder = description.removesuffix("data.pkl")
            held = DESCRIPTIONS[state](io.BytesIO(content)).load()[state]
            self.tensors: dict[str, Tensor] = {
                str(key): value for key, value in held.items() if _is_tensor(value)
            }
        except InputError:  # of a remote file
            raise
        except DAMAGED_ZIP as error:
            raise InputError(self._problem(error)) from None

    def read(self, key: str) -> np.ndarray:
        """Read one tensor as float32, checked by the CRC-32 of its storage.

        Raises
        ------
        InputError
            When the tensor is not contiguous, of a type without floats, or damaged.
        """
        tensor = self.tensors[key]
        try:
            storage = self._read_storage(tensor.storage)
            _check_layout(tensor, len(storage))
        except InputError:
            raise
        except DAMAGED_ZIP as error:
            raise InputError(f"{self._name}: cannot read this {key} ({reason(error)}); {REMEDY}") from None
        values = storage[tensor.offset : tensor.offset + math.prod(tensor.shape)].reshape(tensor.shape)
        return _as_float32(values, tensor.storage.kind)

    def read_blocks(self, key: str, *, n_values: int = BLOCK_VALUES) -> Iterator[np.ndarray]:
        """Yield one tensor as float32, flat and in blocks, for one that is too large for the memory.

        The CRC-32 of its storage is compared behind the last block, so a use of the blocks before counts
        only once all have come.

        Parameters
        ----------
        key : name of the tensor.
        n_values : length of a block.

        Raises
        ------
        InputError
            As `read`.
        """
        tensor = self.tensors[key]
        kind = tensor.storage.kind
        try:
            entry = self._open_storage(tensor.storage)
            item = np.dtype(DTYPES[kind]).itemsize
            _check_layout(tensor, entry.file_size // item)
            crc, stop = 0, tensor.offset + math.prod(tensor.shape)
            for start in range(0, entry.file_size // item, n_values):
                content = np.empty(min(n_values * item, entry.file_size - start * item), np.uint8)
                if self._file.readinto(content.data) != len(content):
                    raise zipfile.BadZipFile("the file is cut")
                crc = zlib.crc32(content.data, crc)
                block = content.view(DTYPES[kind])[max(0, tensor.offset - start) : max(0, stop - start)]
                if block.size:
                    yield _as_float32(block, kind)
            _check_crc(crc, entry)
        except InputError:
            raise
        except DAMAGED_ZIP as error:
            raise InputError(f"{self._name}: cannot read this {key} ({reason(error)}); {REMEDY}") from None

    def _read_storage(self, storage: Storage) -> np.ndarray:
        """Read all values of a storage; its bytes go from the file into the array, once."""
        entry = self._open_storage(storage)
        content = np.empty(entry.file_size, np.uint8)
        if self._file.readinto(content.data) != len(content):
            raise zipfile.BadZipFile("the file is cut")
        _check_crc(zlib.crc32(content.data), entry)
        return content.view(DTYPES[storage.kind])

    def _open_storage(self, storage: Storage) -> zipfile.ZipInfo:
        """Move to the first byte of a storage; return its entry in the archive."""
        entry = self._entries[f"{self._folder}data/{storage.key}"]
        if entry.compress_type != zipfile.ZIP_STORED or storage.kind not in DTYPES:
            raise ValueError(f"expected stored floats, got a {storage.kind} by method {entry.compress_type}")
        self._file.seek(entry.header_offset)
        magic, n_name, n_extra = LOCAL_HEADER.unpack(self._file.read(LOCAL_HEADER.size))
        self._file.seek(n_name + n_extra, io.SEEK_CUR)
        if magic != b"PK\x03\x04" or self._file.tell() + entry.file_size > self._size:
            raise zipfile.BadZipFile("the file is damaged")
        return entry

    def _problem(self, error: Exception) -> str:
        self._file.seek(0)
        is_legacy = self._file.read(4) == b"\x80\x02\x8a\x0a"
        format_ = "it has the format of PyTorch before 1.6, from which no part can be read"
        what = format_ if is_legacy else reason(error)[:120]
        remedy = "load it with PyTorch and save it again" if is_legacy else REMEDY
        return f"{self._name}: expected a PyTorch checkpoint with {self._state!r}, but {what}; {remedy}"


def read_description(archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """Read name and bytes of the one ``data.pkl``, which ``torch.save`` stores as it is.

    A compressed one is not read, as a kilobyte may then become a gigabyte.
    """
    (entry,) = (entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > DESCRIPTION_LIMIT:
        raise ValueError("its data.pkl is compressed or too large")
    return entry.filename, archive.read(entry)


def check_torch_file(path: str | os.PathLike, *, remedy: str) -> None:
    """Raise InputError where the pickles of a file of ``torch.save`` have no limits; other files pass.

    PyTorch's own reader of weights calls nothing unknown, but it hashes and prints what it meets, see
    `formats.pickles`.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
        file.seek(0)
        try:
            if magic == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive:
                    Skeleton(io.BytesIO(read_description(archive)[1])).load()
            elif magic[:1] == pickle.PROTO:
                for _ in range(LEGACY_PICKLES):
                    Skeleton(file).load()
        except DAMAGED_ZIP as error:
            raise InputError(
                f"{path}: expected weights as torch.save writes them, but they cannot be read "
                f"({reason(error)}); {remedy}"
            ) from None


def _is_tensor(value: Any) -> bool:
    match value:
        case Tensor(storage=Storage(), offset=int(), shape=tuple() as shape, stride=tuple() as stride):
            check_shape(shape)
            check_shape((*stride, value.offset))
            return True
    return False


def _as_float32(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def _check_crc(crc: int, entry: zipfile.ZipInfo) -> None:
    if crc != entry.CRC:
        raise zipfile.BadZipFile("its checksum (CRC-32) is wrong")


def _check_layout(tensor: Tensor, n_values: int) -> None:
    """Raise ValueError unless a tensor is contiguous and inside its storage of ``n_values``."""
    contiguous = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
    if tuple(tensor.stride) != contiguous or min(tensor.shape, default=1) < 0 or tensor.offset < 0:
        raise ValueError(f"expected a contiguous tensor, got {tensor.shape} with strides {tensor.stride}")
    if tensor.offset + math.prod(tensor.shape) > n_values:
        raise ValueError(f"expected a storage that holds its shape {tensor.shape}, got {n_values} values")
