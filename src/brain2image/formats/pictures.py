"""Pictures that stay on disk until one of them is asked for."""

import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, overload

import pandas as pd
from PIL import Image

from brain2image.core.errors import InputError, reason

# Pillow would read 40 others, and give an EPS to Ghostscript, whatever the file is called.
FORMATS = ("JPEG", "PNG")


def decode(file: str | os.PathLike | BinaryIO, *, source: str | os.PathLike, remedy: str) -> Image.Image:
    """Read one JPEG or PNG as RGB; an unreadable one is an InputError.

    Parameters
    ----------
    file : a path, or an open file.
    source : what the picture is called in messages.
    remedy : what to do about an unreadable one.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises many types, by where the damage is
        raise InputError(f"{source}: cannot read this picture ({reason(error)}); {remedy}") from None


class Pictures(Sequence[Image.Image]):
    """The pictures of a table, each read anew whenever it is asked for, by whichever thread.

    Parameters
    ----------
    table : a row a picture.
    read : from a row, as a named tuple, to the picture.
    """

    def __init__(self, table: pd.DataFrame, read: Callable[[Any], Image.Image]):
        self._rows, self._read = list(table.itertuples(index=False)), read

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Image.Image: ...
    @overload
    def __getitem__(self, number: slice) -> list[Image.Image]: ...
    def __getitem__(self, number: int | slice) -> Image.Image | list[Image.Image]:
        if isinstance(number, slice):
            return [self._read(row) for row in self._rows[number]]
        return self._read(self._rows[number])
