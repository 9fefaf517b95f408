"""The training sets of several people, read together as one; nothing is copied."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.channel_names import shared_channels
from brain2image.training_set.lmdb_store import LMDBReader

# What must be the same in all training sets for one model to learn from them.
LAYOUT = ("unit", "sfreq", "t0", "channels", "eeg_shape", "n_features")
RECIPE = ("highpass", "lowpass", "whiten", "clip", "baseline")  # of the EEG
PLACE = ("notch", "reference")  # of the EEG, which each data set has of its own
FIRST_OF_SET = 10**7  # pictures of different sets may have one id; a training tells them apart by so much


def open_training_set(
    lmdbs: str | Path | Sequence[str | Path],
    *,
    tested: Sequence[str | Path] = (),
    interpolates: bool = False,
) -> LMDBReader:
    """Open the training set of one person, or those of several people as one.

    Parameters
    ----------
    lmdbs : LMDB files.
    tested : LMDB files of people of other data sets on whom the model will be tested; nothing but the names
        of their channels is read.
    interpolates : whether channels that some lack are interpolated, or left out of all.
    """
    paths = [lmdbs] if isinstance(lmdbs, str | Path) else list(lmdbs)
    caps = [LMDBReader(path).meta["channels"] for path in (*paths, *tested)]
    channels = shared_channels(caps, interpolates=interpolates)
    if len(paths) == 1:
        return LMDBReader(paths[0], channels, interpolates=interpolates)
    return JoinedReader(paths, channels, interpolates=interpolates)


class JoinedReader(LMDBReader):
    """Several training sets under the interface of one.

    Trials are numbered on from one person to the next. An fMRI repetition or a predicted embedding, which
    belongs to a picture and to nobody's EEG, is there once, from the first training set that has it. Ids of
    the EEG's pictures are those of the first set of pictures, and numbers of clusters those of the first data
    set; those of further ones are moved up, as the third cluster of one has nothing to do with the third of
    another.

    Parameters
    ----------
    paths : LMDB files of different EEG people, of one fMRI space.
    channels : those that are read, by name; None: all, which must be the same.
    interpolates : whether channels that somebody lacks are interpolated.

    Raises
    ------
    InputError
        As `LMDBReader` does, and when the training sets do not fit together.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        channels: Sequence[str] | None = None,
        *,
        interpolates: bool = False,
    ):
        self._readers = [LMDBReader(path, channels, interpolates=interpolates) for path in paths]
        _tell_sets_apart(self._readers)
        _tell_clusters_apart(self._readers)
        self.path = self._readers[0].path
        self.paths = [reader.path for reader in self._readers]
        self.people = tuple(name for reader in self._readers for name in reader.people)
        if len(set(self.people)) < len(self.people):
            raise InputError(f"expected training sets of different people, got {', '.join(self.people)}")
        self.meta = _common_meta(self._readers)
        self.pairs, self.pictures = (
            _stack([getattr(reader, name) for reader in self._readers]) for name in ("pairs", "pictures")
        )
        self._places: dict[str, np.ndarray] = {}
        self.eeg_index = self._number("eeg", [reader.eeg_index for reader in self._readers])
        self.fmri_index = self._number("fmri", _once([reader.fmri_index for reader in self._readers]))
        self.predicted_index = self._number(
            "predicted", _once([reader.predicted_index for reader in self._readers])
        )

    def read(self, name: str, trials: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read trials of ``eeg``, ``fmri`` or ``predicted``, see `LMDBReader.read`."""
        places = self._places[name][np.asarray(trials, np.int64)]
        rows = np.empty((len(places), *self.shape(name)), np.float32)
        for number in np.unique(places[:, 0]):
            own = places[:, 0] == number
            rows[own] = self._readers[number].read(name, places[own, 1])
        return rows

    def _number(self, name: str, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Give the trials of all tables new numbers, and keep where each is read."""
        owners = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        joined = _stack(tables) if name == "eeg" else pd.concat(tables, ignore_index=True)
        self._places[name] = np.stack([owners, joined["trial"].to_numpy(np.int64)], axis=1)
        return joined.assign(trial=np.arange(len(joined)))


def _tell_sets_apart(readers: Sequence[LMDBReader]) -> None:
    """Move the ids of the EEG's pictures of further sets up, so that they are not those of others."""
    sets = list(dict.fromkeys(reader.meta["picture_set"] for reader in readers))
    for reader in readers:
        first = FIRST_OF_SET * sets.index(reader.meta["picture_set"])
        for table, column in (
            (reader.pairs, "eeg_image"),
            (reader.pictures, "image"),
            (reader.eeg_index, "image"),
            (reader.predicted_index, "image"),
        ):
            table[column] += first


def _tell_clusters_apart(readers: Sequence[LMDBReader]) -> None:
    """Move the clusters of further data sets up: each has a K-means of its own, whatever it showed."""
    by_set: dict[str, list[pd.DataFrame]] = {}
    for reader in readers:
        by_set.setdefault(reader.people[0].rpartition("-")[0], []).extend([reader.pairs, reader.pictures])
    n_clusters = 0
    for tables in by_set.values():
        for table in tables:
            table["cluster"] += n_clusters
        n_clusters = max(int(table["cluster"].max()) for table in tables) + 1


def _stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack a table of each person under one another; those without weights of their trials weigh 1."""
    numbered = [table.assign(person=number) for number, table in enumerate(tables)]
    stacked = pd.concat(numbered, ignore_index=True)
    return stacked.fillna({"weight": 1.0}) if "weight" in stacked else stacked


def _once(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Leave out of each table the pictures that are in one before it."""
    seen: set[int] = set()
    kept = []
    for table in tables:
        kept.append(table[~table["image"].isin(seen)])
        seen |= set(table["image"])
    return kept


def _common_meta(readers: Sequence[LMDBReader]) -> dict[str, Any]:
    """Return what is true of all training sets; refuse those that no one model can learn from."""
    first, *others = readers
    for reader in others:
        for name in LAYOUT:
            _check_equal(name, first, reader, first.meta.get(name), reader.meta.get(name))
        of_one_set = reader.meta["picture_set"] == first.meta["picture_set"]
        for name in (*RECIPE, *PLACE) if of_one_set else RECIPE:
            _check_equal(
                name, first, reader, *(one.meta["eeg_attributes"].get(name) for one in (first, reader))
            )
        checkpoints = [one.meta["fmri_attributes"].get("sha256") for one in (first, reader)]
        _check_equal("MindEye2 checkpoint", first, reader, *checkpoints)
    common = {
        key: value
        for key, value in first.meta["eeg_attributes"].items()
        if all(reader.meta["eeg_attributes"].get(key) == value for reader in others)
    }
    if len({reader.meta["picture_set"] for reader in readers}) > 1:
        common |= _places(readers)
    return {
        **first.meta,
        "eeg_attributes": common,
        "n_pairs": sum(reader.meta["n_pairs"] for reader in readers),
    }


def _places(readers: Sequence[LMDBReader]) -> dict[str, Any]:
    """Return what is true of EEG from several places: which power lines are gone, and the reference."""
    attributes = [reader.meta["eeg_attributes"] for reader in readers]
    lines = {float(line) for one in attributes for line in np.atleast_1d(one.get("notch", []))}
    references = {one.get("reference", "unknown") for one in attributes}
    place: dict[str, Any] = {"reference": references.pop() if len(references) == 1 else "unknown"}
    return place | ({"notch": sorted(lines)} if any("notch" in one for one in attributes) else {})


def _check_equal(name: str, first: LMDBReader, other: LMDBReader, expected: Any, found: Any) -> None:
    if expected != found:
        raise InputError(
            f"{other.path}: expected {name} {_shown(expected)}, as {first.path} has, got {_shown(found)}; "
            "people who are learned from together need EEG and fMRI that were prepared alike"
        )


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) < 80 else f"{text[:77]}…"
