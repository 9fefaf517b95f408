"""The training set of one pair of brains in one LMDB file: every EEG trial and every embedding once.

Keys: ``meta`` (JSON); ``index/pairs``, ``index/pictures``, ``index/eeg``, ``index/fmri``, ``index/predicted``
(Arrow IPC files); ``eeg/00000000`` (raw little-endian float32 or float16), ``fmri/00000000`` and
``predicted/00000000`` (float32) and so on. `lmdb_build.write_lmdb` writes it.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pandas as pd
import pyarrow as pa

from brain2image.constants.brain_names import divide_brains
from brain2image.core.errors import InputError
from brain2image.datasets.units import flat_channels
from brain2image.training_set.channel_views import channel_matrix

DTYPES = {"float32": "<f4", "float16": "<f2"}
FLAT_SAMPLE = 100  # training trials in which channels are looked at
EEG_ATTRIBUTES = ("unit", "sfreq", "t0", "channels")


def key_of(name: str, trial: int) -> bytes:
    """Return the key of a trial of ``eeg``, ``fmri`` or ``predicted``."""
    return f"{name}/{trial:08d}".encode()


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
    """What `lmdb_build.write_lmdb` stored. A file that replaces it changes nothing for who has begun to read.

    Parameters
    ----------
    path : the LMDB file.
    channels : those that are read, by name; None: all that are stored.
    interpolates : whether channels that are not stored are interpolated, see `channel_views.channel_matrix`.

    Attributes
    ----------
    meta : unit, sfreq, t0, channels, eeg_shape, n_features, n_pairs, dtype and the sources' attributes.
    pairs : pair, eeg_image, fmri_image, similarity, concept, cluster, split, person (0).
    pictures : image, concept, cluster, split, is_learnable of the EEG's pictures, person (0).
    people : names of those whose EEG it is, by the name of the file; here one.
    eeg_index : trial, image, repetition, session, onset, person (0) and, where trials have one, weight.
    fmri_index : trial, image, repetition; no rows where there is no fMRI, and ``n_features`` is 0.
    predicted_index : trial and image of the predicted embeddings; no rows where there are none.

    Raises
    ------
    InputError
        When the file is missing, cut short, no LMDB file, or a key or a channel is missing.
    """

    def __init__(
        self, path: str | Path, channels: Sequence[str] | None = None, *, interpolates: bool = False
    ):
        self.path = Path(path)
        self.paths = [self.path]
        self._file = _identify(self.path)
        self.people: tuple[str, ...] = (divide_brains(self.path.stem)[0],)
        self.meta: dict[str, Any] = json.loads(self._get(b"meta"))
        self._stored_shape = tuple(self.meta["eeg_shape"])
        self._mixing: np.ndarray | None = None
        if channels is not None and list(channels) != self.meta["channels"]:
            self._mixing = channel_matrix(
                self.meta["channels"], channels, interpolates=interpolates, source=self.path
            )
            self.meta |= {"channels": list(channels), "eeg_shape": [len(channels), self._stored_shape[1]]}
        self.pairs, self.pictures, self.eeg_index = (
            self._table(name).assign(person=0) for name in ("pairs", "pictures", "eeg")
        )
        self.fmri_index = self._table("fmri")
        has_predicted = "predicted_attributes" in self.meta
        self.predicted_index = (
            self._table("predicted") if has_predicted else pd.DataFrame({"trial": [], "image": []}, dtype=int)
        )

    def eeg(self, trial: int) -> np.ndarray:
        """Read one EEG trial, (n_channels, n_times) float32 in the stored unit."""
        return self.read("eeg", [trial])[0]

    def fmri(self, trial: int) -> np.ndarray:
        """Read one fMRI repetition, (n_features,) float32 in embedding units."""
        return self.read("fmri", [trial])[0]

    def describe(self) -> dict[str, Any]:
        """Describe the data as ``config.json`` does.

        ``simulated`` tells whether they are made up; ``eeg`` holds unit, rate, channels, filters, and the
        channels that are flat in the training trials; ``n_features`` and ``fmri`` are of the targets, and
        ``predicted`` says what the predicted ones come from, None where there are none.
        """
        shown = self.pictures.loc[self.pictures["split"] == "train", "image"]
        trials = self.eeg_index.loc[self.eeg_index["image"].isin(shown), "trial"]
        sample = self.read("eeg", trials[:: math.ceil(len(trials) / FLAT_SAMPLE)].to_numpy())
        flat = [
            name
            for name, is_flat in zip(self.meta["channels"], flat_channels(sample), strict=True)
            if is_flat
        ]
        eeg = {name: self.meta[name] for name in EEG_ATTRIBUTES} | self.meta["eeg_attributes"]
        return {
            "simulated": self.meta.get("simulated", False),
            "eeg": eeg | {"flat": flat},
            "n_features": self.meta["n_features"],
            "fmri": self.meta["fmri_attributes"],
            "predicted": self.meta.get("predicted_attributes"),
        }

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one trial of ``eeg``, or of one embedding; values are read as float32."""
        return tuple(self.meta["eeg_shape"]) if name == "eeg" else (self.meta["n_features"],)

    def read(self, name: str, trials: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read trials of ``eeg``, ``fmri`` or ``predicted`` in one transaction.

        Returns
        -------
        (n_trials, n_channels, n_times) or (n_trials, n_features) float32

        Raises
        ------
        InputError
            When a trial is missing or holds NaN or infinity.
        """
        is_eeg = name == "eeg"
        dtype = self.meta["dtype"] if is_eeg else DTYPES["float32"]
        shape = self._stored_shape if is_eeg else self.shape(name)
        rows = np.empty((len(trials), *shape), DTYPES["float32"])
        with _open(self.path, self._file).begin(buffers=True) as transaction:
            for row, trial in zip(rows, trials, strict=True):
                value = self._value(transaction, key_of(name, trial))
                row[...] = np.frombuffer(value, dtype).reshape(row.shape)
                if not np.isfinite(row).all():
                    raise InputError(
                        f"{self.path}: expected finite {name} values, got NaN or infinity in trial {trial}; "
                        "leave the broken recording out and build the LMDB again"
                    )
        return self._mixing @ rows if is_eeg and self._mixing is not None else rows

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

    def _table(self, name: str) -> pd.DataFrame:
        return pa.ipc.open_file(self._get(f"index/{name}".encode())).read_pandas()

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
