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
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from brain2image.core.errors import InputError, reason
from brain2image.formats.pickles import LimitedUnpickler, check_shape, dispatch, ordered_dict
from brain2image.formats.unpickling import DAMAGE

# bfloat16 is the upper half of a float32, so it is read as the integers it looks like.
DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "BFloat16Storage": "<u2"}
# Names of storages that a checkpoint may mention; what is not in DTYPES cannot be read.
OTHER_STORAGES = {
    f"{kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat", "Untyped")
}
LEGACY_PICKLES = 5  # before PyTorch 1.6: number, version, system, content, keys of the storages
LOCAL_HEADER = struct.Struct("<4s22xHH")
DESCRIPTION_LIMIT = 16 << 20  # bytes of data.pkl; that of MindEye2 takes less than 0.1 MB
BLOCK_VALUES = 1 << 24  # 64 MB of float32
REMEDY = "download it again"
# What zipfile adds: places before the file's start, foreign methods, broken compression, absurd lengths.
DAMAGED_ZIP = (*DAMAGE, OSError, NotImplementedError, zlib.error, MemoryError)


class Storage(NamedTuple):
    """What ``data.pkl`` says of a storage: type and key; its bytes are not read."""

    kind: str
    key: str


class Tensor(NamedTuple):
    """What ``data.pkl`` says of a tensor."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False
    hooks: Any = None
    metadata: Any = None


class Checkpoint:
    """The state dict of a checkpoint, whose tensors are read one by one.

    Parameters
    ----------
    file : seekable binary file, on the disk or elsewhere.
    name : what the file is called in messages.

    Attributes
    ----------
    tensors : descriptions by name.

    Raises
    ------
    InputError
        When it is no checkpoint, damaged, or its ``data.pkl`` names anything but tensors and containers.
    """

    def __init__(self, file: io.BufferedIOBase, *, name: str):
        self._file, self._name, self._size = file, name, file.seek(0, io.SEEK_END)
        try:
            with zipfile.ZipFile(file) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
                description, content = read_description(archive)
            self._folder = description.removesuffix("data.pkl")
            state = _Description(io.BytesIO(content)).load()["model_state_dict"]
            self.tensors: dict[str, Tensor] = {
                str(key): value for key, value in state.items() if _is_tensor(value)
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
        return f"{self._name}: expected a PyTorch checkpoint with 'model_state_dict', but {what}; {remedy}"


def read_description(archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """Read name and bytes of the one ``data.pkl``, which ``torch.save`` stores as it is.

    A compressed one is not read, as a kilobyte may then become a gigabyte.
    """
    (entry,) = (entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > DESCRIPTION_LIMIT:
        raise ValueError("its data.pkl is compressed or too large")
    return entry.filename, archive.read(entry)


class _Description(LimitedUnpickler):
    """Reads ``data.pkl`` into `Tensor` and `Storage`; nothing else can be made, and nothing is executed."""

    allowed: ClassVar[Mapping] = {
        ("collections", "OrderedDict"): ordered_dict,
        ("torch._utils", "_rebuild_tensor_v2"): Tensor,
        **{("torch", kind): kind for kind in (*DTYPES, *OTHER_STORAGES)},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """Build a storage from ``("storage", type, key, device, number of values)``."""
        match pid:
            case ("storage", str(kind), str(key), *_):
                return Storage(kind, key)
        raise pickle.UnpicklingError("it names an unknown object")

    def load_build(self) -> None:
        """Drop the state of an object, that is the ``_metadata`` of a state dict."""
        self.stack.pop()

    dispatch: ClassVar[dict] = dispatch(BUILD=load_build)


class _Anything(dict):
    """What stands for any object: it takes items, and forgets members."""

    append = extend = lambda *_: None


class _Skeleton(LimitedUnpickler):
    """Reads what holds what in any pickle; no name is looked up, and nothing is called."""

    def find_class(self, module: str, name: str) -> Any:
        return _Anything

    def persistent_load(self, pid: Any) -> Any:
        self.check_size(pid)

    def load_reduce(self) -> None:
        """Put something in place of what a call would give."""
        self.check_size(self.stack.pop())
        self.stack[-1] = _Anything()

    def load_newobj_ex(self) -> None:
        """Do the same for a class that is called with keywords."""
        self.check_size(self.stack.pop())
        self.load_reduce()

    dispatch: ClassVar[dict] = dispatch(
        BUILD=_Description.load_build,
        REDUCE=load_reduce,
        NEWOBJ=load_reduce,
        NEWOBJ_EX=load_newobj_ex,
    )


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
                    _Skeleton(io.BytesIO(read_description(archive)[1])).load()
            elif magic[:1] == pickle.PROTO:
                for _ in range(LEGACY_PICKLES):
                    _Skeleton(file).load()
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
