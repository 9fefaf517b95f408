"""EEG files that MNE reads: what it raises on a damaged one, and what it warns of."""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from brain2image.core.errors import InputError, reason

logger = logging.getLogger(__name__)

MNE_LEVEL = "warning"  # what MNE has to say goes into the log, see `readable`

# What a name ends in, what MNE says of the file, and what to do.
REMEDIES = (
    ((".eeg", ".vmrk", ".dat"), "", "give BrainVision's header, the .vhdr file beside it"),
    ((".fdt",), "", "give EEGLAB's .set file beside it"),
    ((".set",), "v7.3", "pip install pymatreader, or save it again in EEGLAB as version 7 or before"),
    ((".fif", ".fif.gz"), "No raw data", "if it holds epochs, let its name end in -epo.fif"),
    ((".fif", ".fif.gz"), "Split raw file", "put all its parts into one folder, under their first names"),
    ((".edf", ".bdf"), "encoding", "read it with MNE and this encoding, and hand over the Raw"),
)


@contextmanager
def readable(name: str | os.PathLike, *, remedy: str | None = None) -> Iterator[None]:
    """Turn what readers of EEG raise on a foreign or damaged file into an InputError; log their warnings.

    ``remedy`` says what to do; by default what fits the kind of file.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("always", RuntimeWarning)
            yield
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            logger.warning("%s: %s", name, " ".join(text.split()))
    except InputError:
        raise
    except Exception as error:  # MNE raises many types, by format and by where the damage is
        raise InputError(
            f"{name}: expected EEG in a format that MNE reads (FIF, BrainVision, EDF, BDF, EEGLAB, ...) or "
            f"an array (.npy), but cannot read it ({reason(error)}); "
            f"{remedy or _remedy(str(name), str(error))}"
        ) from None


def _remedy(name: str, problem: str) -> str:
    """Say what to do about a file that MNE could not read, by what it says and by the file's name."""
    if package := re.search(r"pip install [\w-]+", problem):
        return f"{package[0]}, which MNE needs for it"
    return next(
        (
            remedy
            for ending, words, remedy in REMEDIES
            if name.lower().endswith(ending) and re.search(words, problem)
        ),
        "export it again",
    )
