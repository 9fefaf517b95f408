"""Pictures of a data set by their ids, for figures."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from brain2image.core.modules import load_module
from brain2image.formats.tables import pick_rows, read_table

if TYPE_CHECKING:
    from PIL.Image import Image


class PictureSet(NamedTuple):
    """The pictures of one data set."""

    title: str
    table: pd.DataFrame
    source: str  # the table's file, for messages
    reader: str
    root: str

    def read(self, images: Sequence[int] | np.ndarray) -> "list[Image]":
        """Read pictures as RGB, in the order of their ids.

        Raises
        ------
        InputError
            When one is not in the table, or cannot be read.
        """
        rows = pick_rows(self.table, images, source=self.source)
        return list(load_module(self.reader).read_images(rows, self.root))


def open_picture_sets(
    tables: Sequence[str | os.PathLike], pictures: Sequence[Mapping[str, str]]
) -> list[PictureSet]:
    """Open several sets of pictures.

    Parameters
    ----------
    tables : the table of each set.
    pictures : title, reader and root of each, as `selection.Selection.pictures` lists them.
    """
    return [
        PictureSet(table=read_table(file, ["image"]), source=str(file), **options)
        for file, options in zip(tables, pictures, strict=True)
    ]
