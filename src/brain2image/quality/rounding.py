"""Numbers as they stand in a JSON file that people read, too."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def rounded(values: Any) -> Any:
    """Turn numbers, arrays and dicts of them into plain floats with four digits.

    Parameters
    ----------
    values : a number, an array or sequence of them, or a dict of such.
    """
    if isinstance(values, Mapping):
        return {key: rounded(value) for key, value in values.items()}
    if np.ndim(values):
        return [rounded(value) for value in values]
    return float(f"{values:.4g}")
