"""What readers of raw EEG left out: a table in the repacked file, the same for every data set."""

import h5py
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import get_dataset, read_rows

# Why a sequence is dropped, and how messages say it.
FAULTS = {
    "lost_pulse": "with a lost pulse",
    "added_pulse": "with an additional pulse",
    "late_frame": "with a late picture",
    "unknown_code": "with an unknown code",
    "absent": "absent from their part",
}
# What is counted of each raw file.
COUNTS = ("is_there", "trials", "sequences", *FAULTS, "stray_pulses", "unclear_joints", "near_edge")
COLUMNS = ["session", "is_test", *COUNTS]


def read_recordings(file: h5py.File) -> pd.DataFrame:
    """Read what was left out of raw recordings, from a file that a reader of EEG wrote.

    Returns
    -------
    A row for each file that the release holds, all int64: session (from 0), is_test, is_there, trials (that
    were kept), sequences (whole ones), those dropped for each of `FAULTS`,
    stray_pulses (in no sequence), unclear_joints (of parts) and near_edge (trials left out).
    """
    table = pd.DataFrame(read_rows(get_dataset(file, "recordings"), slice(None)))
    if list(table.columns) != COLUMNS:
        raise InputError(
            f"{file.filename}: expected a table of recordings with {', '.join(COLUMNS)}, got "
            f"{', '.join(map(str, table.columns))}; delete it and run again"
        )
    return table
