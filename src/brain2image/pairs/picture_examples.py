"""Which few of many pictures are shown: by their place in an order, never by looks."""

import numpy as np

GROUPS = ("best", "middle", "worst")


def group_examples(order: np.ndarray, n: int) -> dict[int, str]:
    """Choose the first, the middle and the last of an order, ``n`` of each, none of them twice.

    Parameters
    ----------
    order : (n_rows,) int64, rows from the best to the worst.

    Returns
    -------
    The group of each chosen row, in the order given.
    """
    middle = max(0, len(order) // 2 - n // 2)
    parts = order[:n], order[middle : middle + n], order[-n:]
    group_of = {
        int(row): group for group, rows in reversed(list(zip(GROUPS, parts, strict=True))) for row in rows
    }
    return {int(row): group_of[int(row)] for row in order if int(row) in group_of}
