"""Datasets, attributes and tables of trials of HDF5 files, none of whose bytes may stand in other files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.disk import lock_remedy
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular

# What h5py raises on a missing or damaged file, whichever part is.
HDF5_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError)
HDF5_REMEDY = "download it again; if it is a result, delete it and run again"


@contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; one that is missing or damaged is an InputError."""
    check_regular(path, remedy=HDF5_REMEDY)
    with _hdf5_damage(path):
        file = h5py.File(path, "r")
    with file:
        yield file


@contextmanager
def open_dataset(path: str | os.PathLike, key: str) -> Iterator[h5py.Dataset]:
    """Open one dataset of an HDF5 file for reading; what is missing or broken is an InputError."""
    with open_hdf5(path) as file:
        yield get_dataset(file, key)


@contextmanager
def open_trials(
    path: str | os.PathLike, key: str, axes: Sequence[str]
) -> Iterator[tuple[h5py.Dataset, pd.DataFrame]]:
    """Open a dataset of one row a trial, and read the table of its trials.

    Parameters
    ----------
    path : an HDF5 file that this workflow made.
    key : of the dataset, which must be float32.
    axes : their names, for example ``n_trials, n_features``.

    Raises
    ------
    InputError
        When one of the two is missing or broken, has another form, or they differ in length.
    """
    with open_hdf5(path) as file:
        dataset, trials = get_dataset(file, key, may_link=True), read_trials(file)
        has_form = dataset.ndim == len(axes) and 0 not in dataset.shape and dataset.dtype == np.float32
        if not has_form or len(dataset) != len(trials):
            raise InputError(
                f"{path}: expected {key} float32 ({', '.join(axes)}) with as many trials as its table, "
                f"{len(trials)}, got {dataset.dtype} {dataset.shape}; delete it and run again"
            )
        yield dataset, trials


def dataset_names(path: str | os.PathLike) -> list[str]:
    """List the names at the top of an HDF5 file."""
    with open_hdf5(path) as file, _hdf5_damage(path):
        return list(file)


def get_group(file: h5py.File, key: str) -> h5py.Group:
    """Return one group of an open HDF5 file, its own; what is missing or broken is an InputError."""
    with _hdf5_damage(file.filename):
        found = list(file)
        if key in found:
            _check_own_link(file, key)
            if isinstance(group := file[key], h5py.Group):
                return group
    raise InputError(
        f"{file.filename}: expected a group {key!r}, got {', '.join(found) or 'an empty file'}; {HDF5_REMEDY}"
    )


def get_dataset(file: h5py.Group, key: str, *, may_link: bool = False) -> h5py.Dataset:
    """Return one dataset of an open HDF5 file or group; what is missing or broken is an InputError.

    So is one whose bytes stand in another file, unless it ``may_link`` to a dataset there, as
    `files.link_dataset` does.
    """
    path = file.file.filename
    with _hdf5_damage(path):
        found = list(file)
        if key in found:
            link = file.get(key, getlink=True)
            if may_link and isinstance(link, h5py.ExternalLink):
                dataset = _linked(file, key, link)
            else:
                _check_own_link(file, key)
                dataset = file[key]
            if isinstance(dataset, h5py.Dataset):
                _check_own_bytes(dataset)
                _ = dataset.shape, dataset.dtype  # damage shows here, not when they are used
                return dataset
    raise InputError(
        f"{path}: expected a dataset {key!r}, got {', '.join(found) or 'an empty file'}; {HDF5_REMEDY}"
    )


def _linked(file: h5py.Group, key: str, link: h5py.ExternalLink) -> h5py.Dataset:
    """Follow a link to another file, which must lead no further."""
    path = file.file.filename
    target = os.path.normpath(Path(path).resolve().parent / link.filename)
    try:
        check_regular(target, remedy="")
        dataset = file[key]
        if os.path.samefile(dataset.file.filename, target):
            return dataset
    except (InputError, OSError, KeyError):
        pass
    raise InputError(
        f"{path}: expected its {key} in {target}, but that cannot be read; put that file back, or "
        f"delete {path} and run again"
    )


def read_rows(dataset: h5py.Dataset, rows: int | slice | tuple[slice, ...]) -> np.ndarray:
    """Read a row, some rows or a part of them; what is damaged is an InputError."""
    try:
        return dataset[rows]
    except HDF5_DAMAGE as error:  # asked for its name here alone, as that takes longer than to read a row
        raise InputError(
            f"{dataset.file.filename}: cannot read this HDF5 file ({reason(error)}); {HDF5_REMEDY}"
        ) from None


@contextmanager
def _hdf5_damage(path: str | os.PathLike) -> Iterator[None]:
    """Turn what h5py raises on a missing or damaged file, whichever part is, into an InputError."""
    try:
        yield
    except InputError:
        raise
    except HDF5_DAMAGE as error:
        raise InputError(
            f"{path}: cannot read this HDF5 file ({reason(error)}); {lock_remedy(error) or HDF5_REMEDY}"
        ) from None


def read_trials(file: h5py.File) -> pd.DataFrame:
    """Read the table that `files.write_trials` stored, columns in their order.

    Raises
    ------
    InputError
        When there is none, or it is damaged.
    """
    with _hdf5_damage(file.filename):
        found = list(file)
        if "trials" not in found:
            raise InputError(
                f"{file.filename}: expected a table of trials, got {', '.join(found) or 'an empty file'}; "
                f"{HDF5_REMEDY}"
            )
        _check_own_link(file, "trials")
        group = file["trials"]
        columns = {}
        for name in group.attrs["columns"]:
            _check_own_link(group, name)
            _check_own_bytes(group[name])
            columns[name] = group[name][:]
        return pd.DataFrame(columns)


def read_trial_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read the table of trials of an HDF5 file, see `read_trials`."""
    with open_hdf5(path) as file:
        return read_trials(file)


def read_shown(paths: Sequence[str | os.PathLike]) -> np.ndarray:
    """Read which pictures the trials of any of several files showed, (n_images,) int64, rising."""
    return np.unique(np.concatenate([read_trial_table(path)["image"] for path in paths]))


def read_attributes(file: h5py.File, expected: Sequence[str]) -> dict[str, Any]:
    """Read all attributes of an open HDF5 file; it is an InputError if one of ``expected`` is missing."""
    with _hdf5_damage(file.filename):
        found = dict(file.attrs)
    if not set(expected) <= set(found):
        raise InputError(
            f"{file.filename}: expected the attributes {', '.join(expected)}, got "
            f"{', '.join(found) or 'none'}; {HDF5_REMEDY}"
        )
    return found


def _check_own_link(group: h5py.Group, key: str) -> None:
    """Raise InputError where a name in an HDF5 file is a link, to another file or to another of its names.

    The link is not followed. A name that is not there is a KeyError.
    """
    links, name = group.id.links, key.encode()
    if links.get_info(name).type != h5py.h5l.TYPE_HARD:
        target = links.get_val(name)
        parts = target if isinstance(target, tuple) else (target,)
        where = ": ".join(part.decode(errors="replace") for part in parts)
        raise InputError(
            f"{group.file.filename}: expected its own {key}, got a link to {where}; {HDF5_REMEDY}"
        )


def _check_own_bytes(dataset: h5py.Dataset) -> None:
    """Raise InputError where an HDF5 file says that the bytes of a dataset stand in other files.

    As external raw storage this can be any file of the system; a virtual dataset names other HDF5 files.
    """
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise InputError(
            f"{dataset.file.filename}: expected its own {dataset.name}, got one whose bytes stand in other "
            f"files; {HDF5_REMEDY}"
        )


@contextmanager
def atomic_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that becomes ``path`` as with `atomic_path` when the block ends well."""
    with atomic_path(path) as scratch:
        file = h5py.File(scratch, "w")
        try:
            yield file
            file.flush()
        except BaseException:
            # The library would try again to write what a full disk did not take, and crash at the end.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, file.id.get_vfd_handle())
            os.close(nowhere)
            with suppress(OSError, RuntimeError):
                file.close()
            raise
        file.close()


def link_dataset(file: h5py.File, key: str, source: str | os.PathLike, *, out: str | os.PathLike) -> None:
    """Make a dataset of another HDF5 file appear in an open one, without a copy of its bytes.

    The link is relative to the folder of ``out``, where ``file`` will lie: both can be moved together.
    """
    folder = os.path.realpath(Path(out).parent)  # the system goes up from the real folder, not from a symlink
    file[key] = h5py.ExternalLink(os.path.relpath(source, folder), key)


def write_trials(file: h5py.File, trials: pd.DataFrame, attributes: Mapping[str, Any] | None = None) -> None:
    """Store a table of numbers as the group ``trials`` of an open HDF5 file, a dataset a column."""
    group = file.create_group("trials")
    for name in trials.columns:
        group.create_dataset(name, data=trials[name].to_numpy())
    group.attrs["columns"] = list(trials.columns)
    for name, value in (attributes or {}).items():
        file.attrs[name] = value
