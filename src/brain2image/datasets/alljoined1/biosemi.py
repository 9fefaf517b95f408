"""The raw recordings of Alljoined1: volts at 512 Hz of 64 BioSemi channels, and an event code a picture.

The authors' script (Alljoined/alljoined-dataset1, 1_preprocessing/parse-bdf-event-codes-to-fif.ipynb) wrote
the code at the first trigger of each picture into the channel ``Status``, and nothing else: a picture that is
shown again at once, which asks for a key press, has no event. The amplifier was stopped between blocks.
"""

import logging
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np

from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular
from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.datasets.signals import CLEAR_STEP, find_joint
from brain2image.datasets.units import check_finite
from brain2image.formats.eeg_files import readable

logger = logging.getLogger(__name__)

STIM = "Status"
RAW_SFREQ = 512  # Hz
N_CODES = 960  # pictures of a session, each shown four times
SESSIONS = (1, 2)
# Some recordings are said to hold 62 channels.
FEWEST_CHANNELS = 62
VOLTS = 107  # FIFF_UNIT_V
# s without a picture, within which the amplifier may have been stopped; one that asks for a key leaves 1.6 s.
PAUSE = 3.0
NAME = re.compile(r"subj0([1-8])_session([12])(_eeg\.fif|\.h5)$")
REMEDY = "download it again (osf.io/kqgs8, raw/)"


class Recording(NamedTuple):
    """One recording, checked.

    Attributes
    ----------
    data : (64, n_samples) float64, volts, rows as `CHANNELS`; those of missing channels are 0.
    missing : channels that the file lacks.
    onsets, codes : (n_events,) int64, sample of each trigger, and its code, which may be none of 1 to 960.
    first_sample : by which samples count from before the file's beginning in the authors' tables.
    """

    data: np.ndarray
    missing: list[str]
    onsets: np.ndarray
    codes: np.ndarray
    first_sample: int


def recording_place(path: str | os.PathLike) -> tuple[int, int]:
    """Find a file's subject and session, both from 1, by its name."""
    name = NAME.search(Path(path).name)
    if name is None:
        raise InputError(
            f"{path}: expected subj01 to subj08, _session1 or _session2, and _eeg.fif or .h5, as the release "
            f"names them, got {Path(path).name}; rename it"
        )
    return int(name[1]), int(name[2])


def open_recording(path: str | os.PathLike) -> mne.io.BaseRaw:
    """Open a recording, whose samples stay in the file, and check its channels, rate and unit."""
    check_regular(path, remedy=REMEDY)
    with readable(path, remedy=REMEDY):
        raw = mne.io.read_raw_fif(path, preload=False, verbose="error")
    missing = [name for name in CHANNELS if name not in raw.ch_names]
    if raw.info["sfreq"] != RAW_SFREQ or STIM not in raw.ch_names or len(missing) > 64 - FEWEST_CHANNELS:
        raise InputError(
            f"{path}: expected {FEWEST_CHANNELS} to 64 channels of a BioSemi cap and {STIM!r} at {RAW_SFREQ} "
            f"Hz, got {len(raw.ch_names)} at {raw.info['sfreq']:g} Hz (missing: "
            f"{', '.join(missing) or 'none'}; {STIM!r}: {'there' if STIM in raw.ch_names else 'missing'}); "
            "use the authors' raw release"
        )
    present = (raw.info["chs"][raw.ch_names.index(name)] for name in CHANNELS if name not in missing)
    wrong = [channel["ch_name"] for channel in present if channel["unit"] != VOLTS or channel["unit_mul"]]
    if wrong:
        raise InputError(
            f"{path}: expected volts, got another unit of {', '.join(wrong)}; use the authors' raw release"
        )
    return raw


def read_recording(path: str | os.PathLike) -> Recording:
    """Read and check one recording.

    Raises
    ------
    InputError
        When it is not what the release holds.
    """
    raw = open_recording(path)
    rows = [row for row, name in enumerate(CHANNELS) if name in raw.ch_names]
    with readable(path, remedy=REMEDY):  # a damaged header may claim any size
        data = np.zeros((len(CHANNELS), raw.n_times))
        data[rows] = raw.get_data(picks=[CHANNELS[row] for row in rows])
        stim = raw.get_data(picks=[STIM])[0]
    check_finite(data, range(len(CHANNELS)), CHANNELS, source=path)
    # whoever saves it anew may hold a code for more than its one sample
    onsets = np.flatnonzero((stim != 0) & (np.diff(stim, prepend=0) != 0))
    if not len(onsets):
        raise InputError(f"{path}: expected event codes in {STIM!r}, got none; {REMEDY}")
    is_whole = np.isfinite(stim[onsets]) & (stim[onsets] == np.rint(stim[onsets]))
    codes = np.where(is_whole, np.nan_to_num(stim[onsets]), -1).astype(np.int64)
    return Recording(data, [n for n in CHANNELS if n not in raw.ch_names], onsets, codes, raw.first_samp)


def find_parts(data: np.ndarray, onsets: np.ndarray) -> list[tuple[int, int]]:
    """Find first sample, and sample after the last, of each uninterrupted part of a recording.

    The file does not say where the amplifier was started anew. There all channels jump: in each pause
    between pictures the largest step is a joint, if it is clear; where none is, one filter does no harm.
    """
    boundaries = [0]
    for last, following in pairwise(onsets.tolist()):
        if following - last > PAUSE * RAW_SFREQ:
            step, clear = find_joint(data[:, last : following + 1])
            if clear >= CLEAR_STEP:
                boundaries.append(last + step)
    return list(pairwise([*boundaries, data.shape[1]]))


def split_places(files: Sequence[str | os.PathLike]) -> tuple[dict[int, str], dict[int, str], str | None]:
    """Divide files into recordings and tables of epochs, by session, and the design; check their subject.

    Raises
    ------
    InputError
        When they are not of one subject, or a name is none of the release.
    """
    recordings: dict[int, str] = {}
    tables: dict[int, str] = {}
    design, subjects = None, set()
    for path in map(str, files):
        if path.endswith(".mat"):
            design = path
            continue
        subject, session = recording_place(path)
        subjects.add(subject)
        (recordings if path.endswith(".fif") else tables)[session] = path
    if len(subjects) != 1:
        raise InputError(
            f"{', '.join(map(str, files)) or 'Alljoined1'}: expected recordings of one subject, got those of "
            f"{len(subjects)}; name the files of one"
        )
    return recordings, tables, design
