"""Which picture of NSD an event code of Alljoined1 stands for.

A code is a position from 1 in the session's list of pictures: ``sharedix`` of NSD's nsd_expdesign.mat in even
sessions, the subject's row of ``subjectim`` in odd ones, both of which count pictures from 1
(1_preprocessing/final_dataset/main_dataset.py of Alljoined/alljoined-dataset1: get_nsd_indices and
generate_dataset). The first 1,000 of each row of ``subjectim`` are ``sharedix`` itself (in that repository's
copy of the file), so that both give shared pictures.
"""

import logging
import os
from importlib import import_module
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from scipy.io import loadmat

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.datasets.alljoined1.biosemi import N_CODES, RAW_SFREQ, Recording
from brain2image.datasets.nsd.checks import FIRST_SHARED, N_IMAGES
from brain2image.formats.hdf5 import get_dataset, get_group, open_hdf5, read_rows

logger = logging.getLogger(__name__)

N_SHARED, N_SUBJECTS, N_OWN = 1000, 8, 10_000
KEY = "df"  # of the pandas table
COLUMNS = ("subject_id", "session", "73k_id", "curr_time")
MAX_TRIALS = 100_000  # of a table; a real one has 3,840 at most
UNKNOWN = -1
DESIGN_REMEDY = "take nsd_expdesign.mat of NSD (nsddata/experiments/nsd) or of the authors' repository"


class WrongPicturesError(InputError):
    """Raised where trials would get pictures that were not shown: no session may be passed over for it."""


class Design(NamedTuple):
    """NSD's lists, 0-based ids: (1000,) shared pictures, and (8, 10000) those of each subject."""

    shared: np.ndarray
    own: np.ndarray

    def shown(self, subject: int, session: int) -> np.ndarray:
        """Return the pictures of codes 1 to 960, (960,) int64."""
        return (self.own[subject - 1] if session % 2 else self.shared)[:N_CODES]


def read_design(path: str | os.PathLike) -> Design:
    """Read nsd_expdesign.mat.

    Raises
    ------
    InputError
        When a list is missing, has another form, or does not count from 1.
    """
    check_regular(path, remedy=DESIGN_REMEDY)
    try:
        content = loadmat(path, variable_names=["sharedix", "subjectim"])
    except Exception as error:  # SciPy raises many types, by where the damage is
        raise InputError(f"{path}: cannot read this MATLAB file ({reason(error)}); {DESIGN_REMEDY}") from None
    lists = {}
    for name, shape in {"sharedix": (1, N_SHARED), "subjectim": (N_SUBJECTS, N_OWN)}.items():
        ids = content.get(name)
        found = f"{ids.dtype} {ids.shape}" if isinstance(ids, np.ndarray) else "none"
        is_list = isinstance(ids, np.ndarray) and ids.dtype.kind in "iuf" and ids.shape == shape
        if not is_list or not np.isin(ids, np.arange(1, N_IMAGES + 1)).all():
            limits = f" from {ids.min():g} to {ids.max():g}" if is_list else ""
            raise InputError(
                f"{path}: expected {name} {shape}, whole numbers from 1 to {N_IMAGES}, got {found}{limits}; "
                f"{DESIGN_REMEDY}"
            )
        lists[name] = ids.astype(np.int64) - 1
    if (first := int(lists["sharedix"].min())) != FIRST_SHARED:
        raise InputError(
            f"{path}: expected {FIRST_SHARED + 1}, counted from 1, as the first shared picture, got "
            f"{first + 1}; {DESIGN_REMEDY}"
        )
    return Design(lists["sharedix"][0], lists["subjectim"])


def read_table(path: str | os.PathLike, *, subject: int, session: int) -> pd.DataFrame:
    """Read the table of released epochs, without its column of EEG.

    As ``DataFrame.to_hdf`` writes it (format ``fixed``), columns of one type are one array,
    ``df/block0_values`` (n_trials, n_columns), and ``df/block0_items`` holds their names. Arrays of numbers
    alone are read; the EEG is a pickle, which stays where it is.

    Returns
    -------
    image (int64, 0-based NSD id) and sample (int64, of the trigger), a row a trial.

    Raises
    ------
    InputError
        When it is another table, or of another subject or session.
    """
    import_module("hdf5plugin")  # registers Blosc, by which PyTables compresses
    with open_hdf5(path) as file:
        group = get_group(file, KEY)
        columns = _read_columns(group)
        found = ", ".join(columns) or ", ".join(group)
    if not set(COLUMNS) <= set(columns):
        raise InputError(
            f"{path}: expected a table of pandas in the format 'fixed' with numbers in {', '.join(COLUMNS)}, "
            f"got {found}; use the authors' 05_125/*.h5"
        )
    table = pd.DataFrame({name: columns[name] for name in COLUMNS})
    is_own = (table["subject_id"] == subject) & (table["session"] == session)
    images, samples = table["73k_id"], table["curr_time"] * RAW_SFREQ
    is_id = (images >= 0) & (images < N_IMAGES) & (images == np.floor(images))
    is_time = (samples >= 0) & (samples < 2**40)
    if table.empty or not (is_own & is_id & is_time).all():
        got = "no row" if table.empty else f"{table[~(is_own & is_id & is_time)].iloc[0].to_dict()}"
        raise InputError(
            f"{path}: expected trials of subject {subject}, session {session}, with pictures from 0 to "
            f"{N_IMAGES - 1} and times, got {got}; download it again"
        )
    return pd.DataFrame({"image": images.astype(np.int64), "sample": samples.round().astype(np.int64)})


def _read_columns(group: h5py.Group) -> dict[str, np.ndarray]:
    """Read all columns of numbers of a pandas table in the format ``fixed``, by name."""
    columns: dict[str, np.ndarray] = {}
    number = 0
    while f"block{number}_items" in group and f"block{number}_values" in group:
        items = get_dataset(group, f"block{number}_items")
        values = get_dataset(group, f"block{number}_values")
        number += 1
        is_named = items.dtype.kind == "S" and items.ndim == 1 and len(items) <= 100
        if not is_named or values.dtype.kind not in "iuf" or values.shape[1:] != items.shape:
            continue  # a pickle, for one
        if len(values) > MAX_TRIALS:
            continue
        _check_filters(items)
        _check_filters(values)
        names = [name.decode(errors="replace") for name in read_rows(items, slice(None)).tolist()]
        columns |= dict(zip(names, read_rows(values, slice(None)).T, strict=True))
    lengths = {len(column) for column in columns.values()}
    return columns if len(lengths) == 1 else {}


def _check_filters(dataset: h5py.Dataset) -> None:
    """Raise InputError where an array was compressed by what the HDF5 library at hand lacks."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number) for number in range(properties.get_nfilters())]
    missing = [code for code, *_ in filters if not h5py.h5z.filter_avail(code)]
    if missing:
        raise InputError(
            f"{dataset.file.filename}: expected a compression that h5py knows, got HDF5's filter "
            f"{missing[0]}; use the authors' file, or take it away and put nsd_expdesign.mat there"
        )


def name_pictures(
    recording: Recording,
    *,
    design: np.ndarray | None,
    table: pd.DataFrame | None,
    source: str | os.PathLike,
) -> np.ndarray:
    """Name the picture of each event code by the design, by the table of epochs, or by both.

    Parameters
    ----------
    recording : whose events are in the table.
    design : (960,), what `Design.shown` returned.
    table : what `read_table` returned; its rows are those events that the authors did not reject.
    source : file of the table, or of the recording where there is none, for messages.

    Returns
    -------
    (961,) int64, 0-based NSD id of each code, -1 where nothing tells.

    Raises
    ------
    InputError
        When there is neither.
    WrongPicturesError
        When the table contradicts itself or the design, or is of another recording.
    """
    check_named(design, table, source=source)
    images = np.full(N_CODES + 1, UNKNOWN)
    if design is not None:
        images[1:] = design
    if table is None:
        return images
    told = _codes_of(table, recording, source=source)
    for code, image in told.items():
        if images[code] not in (UNKNOWN, image):
            raise WrongPicturesError(
                f"{source}: expected picture {images[code]} (0-based NSD id) for event code {code}, as "
                f"nsd_expdesign.mat says, got {image}; one of the two is of another experiment"
            )
        images[code] = image
    return images


def check_named(design: Any, table: Any, *, source: str | os.PathLike) -> None:
    """Raise InputError where neither the design nor a table of epochs names the pictures of a session."""
    if design is None and table is None:
        raise InputError(
            f"{source}: expected nsd_expdesign.mat, or the session's .h5 in 05_125, to know its pictures, "
            "got neither; download one of them"
        )


def _codes_of(table: pd.DataFrame, recording: Recording, *, source: str | os.PathLike) -> dict[int, int]:
    """Return the picture of each event code that a table of epochs knows, by the times of its trials."""
    samples = table["sample"].to_numpy() - recording.first_sample
    event = np.minimum(np.searchsorted(recording.onsets, samples), len(recording.onsets) - 1)
    is_event = recording.onsets[event] == samples
    if 2 * is_event.sum() <= len(table):
        raise WrongPicturesError(
            f"{source}: expected the times of its {len(table)} trials among the recording's events, got "
            f"{is_event.sum()} of them; it is of another recording, take it away"
        )
    if not is_event.all():
        logger.warning("%s: passed over %d trials that are no event", source, (~is_event).sum())
    told = pd.DataFrame({"code": recording.codes[event], "image": table["image"]})[is_event]
    told = told[told["code"].between(1, N_CODES)].drop_duplicates()
    if (again := told["code"].duplicated()).any():
        code = told["code"][again].iloc[0]
        both = told.loc[told["code"] == code, "image"].tolist()
        raise WrongPicturesError(
            f"{source}: expected one picture for event code {code}, got {' and '.join(map(str, both))}; "
            "download it again"
        )
    return dict(zip(told["code"].tolist(), told["image"].tolist(), strict=True))


def check_shared(images: np.ndarray, pictures: pd.DataFrame, *, source: str | os.PathLike) -> np.ndarray:
    """Tell which pictures are in the table of NSD's pictures, (n_trials,) bool; refuse what is not shared.

    Parameters
    ----------
    images : (n_trials,) int64.
    pictures : the table of `nsd_images.repack_images`: image and shared1000.
    """
    shared = pictures.set_index("image")["shared1000"].astype(bool)
    is_there = np.isin(images, shared.index)
    others = images[is_there][~shared[images[is_there]].to_numpy()]
    if len(others):
        raise WrongPicturesError(
            f"{source}: expected NSD's shared 1,000 pictures alone, got picture {others[0]} (0-based NSD "
            "id), which is none of them; the event codes stand for others, or the design is not NSD's"
        )
    return is_there
