"""Pictures that stay on disk until one of them is asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from PIL import Image


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

    def __getitem__(self, number: int) -> Image.Image:
        return self._read(self._rows[number])
