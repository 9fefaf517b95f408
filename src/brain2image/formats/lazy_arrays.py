"""Arrays that stay in their file until some of their rows are read."""

import math
import os
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from brain2image.formats.pickles import check_shape

SIMPLE_KINDS = "biufcSUO"  # of a dtype: numbers, strings and objects, nothing structured


@dataclass(frozen=True)
class LazyArray:
    """An array whose bytes stay in their file: ``array[start:stop]`` reads these rows, and no others.

    Attributes
    ----------
    path : the file, which must stay as it is.
    offset : of the first byte.
    stored : the shape of the array as it stands in the file, in C order.
    dtype : of the elements.
    axes : the transposition of what is stored that gives the array; the first axis stays the first.
    """

    path: str
    offset: int
    stored: tuple[int, ...]
    dtype: np.dtype
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis."""
        return tuple(self.stored[axis] for axis in self.axes)

    def __len__(self) -> int:
        return self.stored[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(f"a lazy array is read by slices of rows, got {rows!r}")
        start, stop, _ = rows.indices(len(self))
        shape = (max(stop - start, 0), *self.stored[1:])
        offset = self.offset + start * math.prod(self.stored[1:]) * self.dtype.itemsize
        block = np.fromfile(self.path, self.dtype, math.prod(shape), offset=offset)
        return block.reshape(shape).transpose(self.axes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def reshape(self, *shape: int) -> "LazyArray":
        """Return the same elements under another shape."""
        axes = tuple(range(len(shape)))
        if math.prod(shape) != math.prod(self.stored) or self.axes != tuple(range(len(self.axes))):
            raise ValueError(f"cannot reshape a lazy array of shape {self.shape} into {shape}")
        return LazyArray(self.path, self.offset, shape, self.dtype, axes)


def bytes_ahead(file: BinaryIO, size: int) -> LazyArray:
    """Take the next ``size`` bytes of a file as a lazy array of uint8; an EOFError where it has fewer."""
    offset, end = file.tell(), os.fstat(file.fileno()).st_size
    if offset + size > end:
        raise EOFError(f"it ends {offset + size - end} bytes before its array of {size} bytes does")
    return LazyArray(os.fspath(file.name), offset, (size,), np.dtype(np.uint8), (0,))


def lazy_array(
    content: LazyArray, dtype: Any, shape: Any, order: Any, axes: tuple[int, ...] | None = None
) -> LazyArray:
    """Take bytes in a file as the array that NumPy says they are.

    Parameters
    ----------
    content : (n_bytes,) uint8.
    dtype, shape : of what is stored.
    order : ``C``, ``F`` (refused), or ``K``: stored in C order, and to be transposed by ``axes``.
    """
    dtype = np.dtype(dtype)
    axes = tuple(range(len(shape))) if axes is None else axes
    if dtype.kind not in SIMPLE_KINDS or dtype.hasobject:
        raise ValueError(f"it holds an array of a type that is not allowed, {dtype}")
    check_shape(tuple(shape))
    check_shape(tuple(axes))
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"it holds an array {shape} of {dtype} in {len(content)} bytes")
    if order not in ("C", "K") or sorted(axes) != list(range(len(shape))) or axes[0] != 0:
        raise ValueError("the rows of its largest array do not stand together (not in C order)")
    return LazyArray(content.path, content.offset, tuple(shape), dtype, tuple(axes))
