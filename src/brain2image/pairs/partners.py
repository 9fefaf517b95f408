"""The pictures on the other side of pairs: those of the fMRI, or the EEG's own where there is no fMRI."""

import os

import pandas as pd

from brain2image.formats.tables import read_table


def read_partners(path: str | os.PathLike, *, has_fmri: bool) -> pd.DataFrame:
    """Read the table of the pictures that are partners of the EEG's.

    Parameters
    ----------
    path : the table.
    has_fmri : whether they are NSD's; of the EEG's own pictures none is one of its shared 1,000.

    Returns
    -------
    Table with ``image`` (int64) and ``shared1000`` (bool).
    """
    if has_fmri:
        return read_table(path, ["image", "shared1000"])
    return read_table(path, ["image"]).assign(shared1000=False)
