"""Single tensors of a PyTorch checkpoint, read without PyTorch and without the rest of the file.

``torch.save`` writes a zip archive: ``data.pkl`` describes the tensors, ``data/0``, ``data/1`` and so on are
their storages, stored as they are (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import io
import math
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO, ClassVar, NamedTuple

import numpy as np

from brain2image.errors import InputError, reason
from brain2image.unpickling import DAMAGE

# bfloat16 is the upper half of a float32, so it is read as the integers it looks like.
DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "BFloat16Storage": "<u2"}
# Names of storages that a checkpoint may mention; what is not in DTYPES cannot be read.
OTHER_STORAGES = {
    f"{kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat", "Untyped")
}
LOCAL_HEADER = struct.Struct("<4s22xHH")
DESCRIPTION_LIMIT = 64 << 20  # bytes of data.pkl; that of MindEye2 takes less than 0.1 MB
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

    def __init__(self, file: BinaryIO, *, name: str):
        self._file, self._name, self._size = file, name, file.seek(0, io.SEEK_END)
        try:
            with zipfile.ZipFile(file) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
                (description,) = (path for path in self._entries if path.endswith("/data.pkl"))
                if self._entries[description].file_size > DESCRIPTION_LIMIT:
                    raise ValueError("its data.pkl is too large")
                content = archive.read(description)
            self._folder = description.removesuffix("data.pkl")
            state = _Description(io.BytesIO(content)).load()["model_state_dict"]
            self.tensors = {str(key): value for key, value in state.items() if _is_tensor(value)}
        except InputError:  # of a remote file
            raise
        except DAMAGED_ZIP as error:
            raise InputError(self._problem(error)) from None

    def read(self, key: str) -> np.ndarray:
        """One tensor as float32, checked by the CRC-32 of its storage.

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
        if tensor.storage.kind == "BFloat16Storage":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32, copy=False)

    def _read_storage(self, storage: Storage) -> np.ndarray:
        """All values of a storage; its bytes go from the file into the array, once."""
        entry = self._entries[f"{self._folder}data/{storage.key}"]
        if entry.compress_type != zipfile.ZIP_STORED or storage.kind not in DTYPES:
            raise ValueError(f"expected stored floats, got a {storage.kind} by method {entry.compress_type}")
        self._file.seek(entry.header_offset)
        magic, n_name, n_extra = LOCAL_HEADER.unpack(self._file.read(LOCAL_HEADER.size))
        self._file.seek(n_name + n_extra, io.SEEK_CUR)
        if magic != b"PK\x03\x04" or self._file.tell() + entry.file_size > self._size:
            raise zipfile.BadZipFile("the file is damaged")
        content = np.empty(entry.file_size, np.uint8)
        if self._file.readinto(content) != len(content):
            raise zipfile.BadZipFile("the file is cut")
        if zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile("its checksum (CRC-32) is wrong")
        return content.view(DTYPES[storage.kind])

    def _problem(self, error: Exception) -> str:
        self._file.seek(0)
        is_legacy = self._file.read(4) == b"\x80\x02\x8a\x0a"
        format_ = "it has the format of PyTorch before 1.6, from which no part can be read"
        what = format_ if is_legacy else reason(error)[:120]
        remedy = "load it with PyTorch and save it again" if is_legacy else REMEDY
        return f"{self._name}: expected a PyTorch checkpoint with 'model_state_dict', but {what}; {remedy}"


class _Description(pickle._Unpickler):
    """Reads ``data.pkl`` into `Tensor` and `Storage`; nothing else can be made, and nothing is executed.

    The pure Python unpickler is the one whose instructions can be overridden.
    """

    allowed: ClassVar[Mapping] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): Tensor,
        **{("torch", kind): kind for kind in (*DTYPES, *OTHER_STORAGES)},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """A storage: ``("storage", type, key, device, number of values)``."""
        match pid:
            case ("storage", str(kind), str(key), *_):
                return Storage(kind, key)
        raise pickle.UnpicklingError(f"it names an unknown object, {str(pid)[:60]}")

    def load_build(self) -> None:
        """Drop the state of an object, that is the ``_metadata`` of a state dict."""
        self.stack.pop()

    dispatch: ClassVar[dict] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}


def _is_tensor(value: Any) -> bool:
    match value:
        case Tensor(shape=(*lengths,)):
            return all(isinstance(length, int) for length in lengths)
    return False


def _check_layout(tensor: Tensor, n_values: int) -> None:
    """Raise ValueError unless a tensor is contiguous and inside its storage of ``n_values``."""
    contiguous = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
    if tuple(tensor.stride) != contiguous or min(tensor.shape, default=1) < 0 or tensor.offset < 0:
        raise ValueError(f"expected a contiguous tensor, got {tensor.shape} with strides {tensor.stride}")
    if tensor.offset + math.prod(tensor.shape) > n_values:
        raise ValueError(f"expected a storage that holds its shape {tensor.shape}, got {n_values} values")
