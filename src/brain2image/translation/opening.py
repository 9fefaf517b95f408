"""Files, MNE objects and arrays of EEG, recognised and opened."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import mne
import numpy as np

from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular
from brain2image.datasets.units import RMS_RANGES
from brain2image.formats.eeg_files import MNE_LEVEL, readable
from brain2image.formats.hdf5 import open_trials, read_attributes
from brain2image.training_set.lmdb_store import EEG_ATTRIBUTES
from brain2image.translation import edf
from brain2image.translation.epochs import open_array, open_epochs
from brain2image.translation.new_eeg import Cutting, Source
from brain2image.translation.recordings import open_recording

EPOCHS_FILE = re.compile(r"epo\.fif(\.gz)?$")  # MNE's naming convention
MAX_SHIFT = 1000  # ms
OPENERS = {mne.BaseEpochs: open_epochs, mne.io.BaseRaw: open_recording}


def open_eeg(
    eeg: Any,
    *,
    unit: str | None,
    channels: Sequence[str] | None,
    sfreq: float | None,
    cutting: Cutting,
) -> Source:
    """Open EEG of any kind that `translation.translate` takes, see there.

    Parameters
    ----------
    cutting : which trials, and how.

    Raises
    ------
    InputError
        When it cannot be read, or is not what a translation needs.
    """
    if unit is not None and unit not in RMS_RANGES:
        raise InputError(f"unit: expected one of {', '.join(RMS_RANGES)}, got {unit!r}")
    if not abs(cutting.shift) <= MAX_SHIFT:
        raise InputError(
            f"shift: expected milliseconds from -{MAX_SHIFT} to {MAX_SHIFT}, got {cutting.shift:g}"
        )
    if isinstance(eeg, str | os.PathLike):
        name = str(eeg)
        if name.endswith(".h5"):
            return _open_trials_file(name, cutting=cutting, unit=unit, channels=channels, sfreq=sfreq)
        eeg = _load(Path(eeg))
    else:
        name = type(eeg).__name__
    opener = next((opener for kind, opener in OPENERS.items() if isinstance(eeg, kind)), None)
    if opener is None:
        given = {"unit": unit, "channels": channels, "sfreq": sfreq}
        return _open_array(eeg, name=name, cutting=cutting, **given)
    if sfreq is not None:
        raise InputError(f"{name}: expected sfreq for arrays alone; leave it out, the file knows its rate")
    if opener is open_recording and not cutting.filters:
        raise InputError(
            f"{name}: expected a run whose config.json names the filters of its training (highpass, lowpass, "
            "notch), got none; train it again, or hand over epochs that were filtered like its EEG"
        )
    source = opener(eeg, name=name, unit=unit or "V", channels=channels, cutting=cutting)
    return replace(source, kinds=eeg.get_channel_types())


def _load(path: Path) -> Any:
    """Load what a file holds: MNE's epochs or recording, whose samples stay in the file, or an array."""
    if not path.is_dir():  # which some formats are
        check_regular(path, remedy="check its name")
    with readable(path):
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if EPOCHS_FILE.search(path.name):
            return mne.read_epochs(path, preload=False, verbose=MNE_LEVEL)
        if path.suffix.lower() in edf.SUFFIXES:
            return edf.read_edf(path)
        return mne.io.read_raw(path, preload=False, verbose=MNE_LEVEL)


def _open_array(eeg: Any, *, name: str, cutting: Cutting, **given: Any) -> Source:
    if not hasattr(eeg, "shape"):
        raise InputError(f"{name}: expected a path, Raw, Epochs or an array, got something else; convert it")
    missing = [key for key, value in given.items() if value is None]
    if missing:
        raise InputError(f"{name}: expected {', '.join(missing)} of this array, got none; name them")
    return open_array(eeg, name=name, cutting=cutting, **given)


def _open_trials_file(path: str, *, cutting: Cutting, **given: Any) -> Source:
    """Open ``results/eeg/{person}.h5`` of this workflow; the event of a trial is its picture's number."""
    with open_trials(path, "eeg", ("n_trials", "n_channels", "n_times")) as (dataset, trials):
        attributes = read_attributes(dataset.file, EEG_ATTRIBUTES)
    said = [key for key, value in given.items() if value is not None]
    if said:
        raise InputError(f"{path}: expected no {', '.join(said)}, which this file knows; leave it out")
    layout = {key: attributes[key] for key in given}
    layout |= {"names": trials["image"], "reference": attributes.get("reference")}
    # open as long as its dataset is
    source = open_array(h5py.File(path)["eeg"], name=path, cutting=cutting, **layout)
    baseline = float(attributes.get("baseline", 0.0))
    clip = float(attributes.get("clip", 0.0))
    return replace(source, baseline=(-baseline, 0.0) if baseline else None, clip=clip)
