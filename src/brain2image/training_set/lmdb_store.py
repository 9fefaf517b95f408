"""The training set of one pair of brains in one LMDB file: every EEG trial and fMRI repetition once.

Keys: ``meta`` (JSON); ``index/pairs``, ``index/eeg``, ``index/fmri`` (Arrow IPC files); ``eeg/00000000`` and
``fmri/00000000`` and so on (raw little-endian float32).
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import lmdb
import numpy as np
import pandas as pd
import pyarrow as pa

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.datasets.units import flat_channels
from brain2image.formats.hdf5 import open_trials, read_attributes, read_rows
from brain2image.pairs.splits import keep_measured

DTYPE = "<f4"
TRANSACTION_ROWS = 256  # trials written in one transaction
PAGE = 4096  # bytes; a value takes whole pages
FLAT_SAMPLE = 100  # training trials in which channels are looked at
EEG_ATTRIBUTES = ("unit", "sfreq", "t0", "channels")


def write_lmdb(out: str | Path, *, eeg: str | Path, projection: str | Path, pairs: pd.DataFrame) -> None:
    """Store the EEG trials and fMRI embeddings of all picture pairs.

    Parameters
    ----------
    out : the LMDB file to write; nothing else is left beside it.
    eeg : HDF5 with ``eeg`` (n_trials, n_channels, n_times) float32, its trials table (image, repetition,
        session) and the attributes unit, sfreq, t0, channels.
    projection : HDF5 with ``embedding`` (n_trials, n_features) float32 and its trials table.
    pairs : columns eeg_image, fmri_image, similarity, concept, cluster, split; those with an EEG
        trial become pair 0, 1 and so on.

    Raises
    ------
    InputError
        When a pair has no fMRI repetition, or a split no pair with an EEG trial.
    """
    with (
        open_trials(eeg, "eeg", ("n_trials", "n_channels", "n_times")) as (eeg_data, eeg_trials),
        open_trials(projection, "embedding", ("n_trials", "n_features")) as (fmri_data, fmri_trials),
    ):
        pairs = (
            keep_measured(pairs, eeg_trials, source=eeg)
            .reset_index(drop=True)
            .rename_axis("pair")
            .reset_index()
        )
        eeg_index = _index(eeg_trials, pairs, image="eeg_image", source=eeg)
        fmri_index = _index(fmri_trials, pairs, image="fmri_image", source=projection)
        arrays = {"eeg": (eeg_data, eeg_index), "fmri": (fmri_data, fmri_index)}
        meta = _meta(eeg_data, fmri_data, pairs)
        tables = {"pairs": pairs, "eeg": eeg_index, "fmri": fmri_index}
        # no other process sees the file before it is whole, so it is enough to sync it once
        size = _map_size(arrays, tables)
        with (
            atomic_path(out) as scratch,
            lmdb.open(str(scratch), subdir=False, lock=False, sync=False, map_size=size) as environment,
        ):
            indexes = {
                f"index/{name}".encode(): _to_arrow(table.drop(columns="row", errors="ignore"))
                for name, table in tables.items()
            }
            _put(environment, {b"meta": json.dumps(meta).encode(), **indexes})
            for name, (data, index) in arrays.items():
                _put_rows(environment, name, data, np.unique(index["row"]))
            environment.sync(True)


def _index(trials: pd.DataFrame, pairs: pd.DataFrame, *, image: str, source: str | Path) -> pd.DataFrame:
    """List the trials of the paired pictures; ``trial`` is their number in the LMDB, ``row`` in the HDF5."""
    partners = pairs[["pair", image]].rename(columns={image: "image"})
    index = trials.rename_axis("row").reset_index().merge(partners, on="image").sort_values(["row", "pair"])
    missing = partners.loc[~partners["image"].isin(trials["image"]), "image"]
    if len(missing):
        raise InputError(
            f"{source}: expected trials of all {len(partners)} paired pictures, but {len(missing)} have none "
            f"(first: {image} {missing.iloc[0]}); match again with pictures that were shown to this subject"
        )
    index["trial"] = np.unique(index["row"], return_inverse=True)[1]
    if "session" not in index:
        index["session"] = -1
    return index[["trial", "pair", "image", "repetition", "session", "row"]].reset_index(drop=True)


def _meta(eeg: h5py.Dataset, fmri: h5py.Dataset, pairs: pd.DataFrame) -> dict[str, Any]:
    attributes = read_attributes(eeg.file, EEG_ATTRIBUTES)
    return {
        **{name: _plain(attributes.pop(name)) for name in EEG_ATTRIBUTES},
        "dtype": DTYPE,
        "eeg_shape": list(eeg.shape[1:]),
        "n_features": fmri.shape[1],
        "n_pairs": len(pairs),
        "eeg_attributes": {name: _plain(value) for name, value in attributes.items()},
        "fmri_attributes": {name: _plain(value) for name, value in read_attributes(fmri.file, ()).items()},
    }


def _plain(value: Any) -> Any:
    """Turn an HDF5 attribute into what JSON knows."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


def _map_size(arrays: dict[str, tuple[h5py.Dataset, pd.DataFrame]], tables: dict[str, pd.DataFrame]) -> int:
    size = sum(table.memory_usage(deep=True).sum() for table in tables.values())
    for data, index in arrays.values():
        value = 4 * int(np.prod(data.shape[1:]))
        size += index["trial"].nunique() * (value // PAGE + 2) * PAGE
    return int(1.2 * size) + (16 << 20)  # the tree's own pages; what stays unused takes no disk space


def _put_rows(environment: lmdb.Environment, name: str, data: h5py.Dataset, rows: np.ndarray) -> None:
    for start in range(0, len(rows), TRANSACTION_ROWS):
        block = rows[start : start + TRANSACTION_ROWS]
        # row by row: h5py takes thirty times as long for a list of rows
        values = (read_rows(data, int(row)).astype(DTYPE).tobytes() for row in block)
        _put(environment, {_key(name, trial): value for trial, value in enumerate(values, start)})


def _put(environment: lmdb.Environment, content: dict[bytes, bytes]) -> None:
    """Write in one transaction; where the map is full, once more in one twice as large."""
    try:
        with environment.begin(write=True) as transaction:
            for key, value in content.items():
                transaction.put(key, value)
    except lmdb.MapFullError:
        environment.set_mapsize(2 * environment.info()["map_size"])
        _put(environment, content)


def _key(name: str, trial: int) -> bytes:
    return f"{name}/{trial:08d}".encode()


def _to_arrow(table: pd.DataFrame) -> bytes:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return sink.getvalue().to_pybytes()


# LMDB forbids to open a file twice in one process, so all readers of a file share one environment. It is read
# without locks, so forked workers may go on using it, and it stays open: another reader may still need it.
_environments: dict[tuple[int, int], lmdb.Environment] = {}


def _identify(path: Path) -> tuple[int, int]:
    """Return device and number of a file, which a file that replaces it does not share."""
    if not path.is_file():
        raise InputError(f"{path}: no such LMDB file; build it first")
    status = path.stat()
    return status.st_dev, status.st_ino


def _open(path: Path, key: tuple[int, int]) -> lmdb.Environment:
    if key not in _environments:
        if _identify(path) != key:  # in another process than the one that opened it first
            raise InputError(
                f"{path}: expected the file that was opened, but another one has replaced it; run again"
            )
        try:
            environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise InputError(f"{path}: expected an LMDB file, but {error}; build it again") from None
        # A page behind the end of the file would end the process with a bus error.
        expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        size = path.stat().st_size
        if size < expected:
            environment.close()
            raise InputError(
                f"{path}: expected {expected} bytes, got {size}: the file was cut short; build it again"
            )
        _environments[key] = environment
    return _environments[key]


class LMDBReader:
    """What `write_lmdb` stored. A file that replaces it changes nothing for who has begun to read.

    Attributes
    ----------
    meta : unit, sfreq, t0, channels, eeg_shape, n_features, n_pairs, dtype and the sources' attributes.
    pairs : pair, eeg_image, fmri_image, similarity, concept (of the EEG's picture), cluster, split.
    eeg_index, fmri_index : trial, pair, image, repetition, session.

    Raises
    ------
    InputError
        When the file is missing, cut short, no LMDB file, or a key is missing.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = _identify(self.path)
        self.meta: dict[str, Any] = json.loads(self._get(b"meta"))
        self.pairs, self.eeg_index, self.fmri_index = (
            pa.ipc.open_file(self._get(f"index/{name}".encode())).read_pandas()
            for name in ("pairs", "eeg", "fmri")
        )

    def eeg(self, trial: int) -> np.ndarray:
        """Read one EEG trial, (n_channels, n_times) float32 in the stored unit."""
        return self.read("eeg", [trial])[0]

    def fmri(self, trial: int) -> np.ndarray:
        """Read one fMRI repetition, (n_features,) float32 in embedding units."""
        return self.read("fmri", [trial])[0]

    def describe(self) -> dict[str, Any]:
        """Describe the data as a run's ``config.json`` does: ``eeg``, ``n_features`` and ``fmri``.

        ``eeg`` holds unit, rate, channels, filters, and the channels that are flat in the training trials.
        """
        trials = self.eeg_index.loc[self.eeg_index["pair"].isin(self.pairs_of("train")["pair"]), "trial"]
        sample = self.read("eeg", trials.unique()[:: math.ceil(trials.nunique() / FLAT_SAMPLE)])
        flat = [
            name
            for name, is_flat in zip(self.meta["channels"], flat_channels(sample), strict=True)
            if is_flat
        ]
        eeg = {name: self.meta[name] for name in EEG_ATTRIBUTES} | self.meta["eeg_attributes"]
        fmri = self.meta["fmri_attributes"]
        return {"eeg": eeg | {"flat": flat}, "n_features": self.meta["n_features"], "fmri": fmri}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one trial of ``eeg`` or ``fmri``; its values are float32."""
        return {"eeg": tuple(self.meta["eeg_shape"]), "fmri": (self.meta["n_features"],)}[name]

    def read(self, name: str, trials: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read trials of ``eeg`` or ``fmri`` in one transaction.

        Returns
        -------
        (n_trials, n_channels, n_times) or (n_trials, n_features) float32

        Raises
        ------
        InputError
            When a trial is missing or holds NaN or infinity.
        """
        rows = np.empty((len(trials), *self.shape(name)), DTYPE)
        with _open(self.path, self._file).begin(buffers=True) as transaction:
            for row, trial in zip(rows, trials, strict=True):
                row[...] = np.frombuffer(self._value(transaction, _key(name, trial)), DTYPE).reshape(
                    row.shape
                )
                if not np.isfinite(row).all():
                    raise InputError(
                        f"{self.path}: expected finite {name} values, got NaN or infinity in trial {trial}; "
                        "leave the broken recording out and build the LMDB again"
                    )
        return rows

    def pairs_of(self, split: str) -> pd.DataFrame:
        """Return the rows of ``pairs`` in a split.

        Raises
        ------
        InputError
            When there are none.
        """
        rows = self.pairs[self.pairs["split"] == split]
        if rows.empty:
            known = ", ".join(sorted(self.pairs["split"].unique()))
            raise InputError(
                f"{self.path}: expected pairs of split {split!r}, got none; this file has {known}"
            )
        return rows

    def _get(self, key: bytes) -> bytes:
        with _open(self.path, self._file).begin() as transaction:
            return bytes(self._value(transaction, key))

    def _value(self, transaction: lmdb.Transaction, key: bytes) -> bytes | memoryview:
        value = transaction.get(key)
        if value is None:
            raise InputError(
                f"{self.path}: expected the key {key.decode()}, it is missing; build the LMDB again"
            )
        return value
