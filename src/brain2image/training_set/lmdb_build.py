"""The LMDB of a pair of brains, written: what is in it, and in which order."""

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import h5py
import lmdb
import numpy as np
import pandas as pd
import pyarrow as pa

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import open_trials, read_attributes, read_rows
from brain2image.formats.tables import pick_rows
from brain2image.pairs.overlap import overlapping
from brain2image.pairs.splits import keep_measured
from brain2image.training_set.lmdb_store import DTYPES, EEG_ATTRIBUTES, key_of

logger = logging.getLogger(__name__)

TRANSACTION_ROWS = 16  # written in one transaction: few enough that they stay in the processor's cache
EMBEDDING_AXES = ("n_trials", "n_features")
PAGE = 4096  # bytes; a value takes whole pages


def write_lmdb(
    out: str | Path,
    *,
    eeg: str | Path,
    projection: str | Path | None,
    pairs: pd.DataFrame,
    eeg_pictures: pd.DataFrame,
    predicted: str | Path | None = None,
    learnable: pd.DataFrame | None = None,
    eeg_dtype: Literal["float32", "float16"] = "float32",
    drop_overlapping_trials: bool = False,
    picture_set: str = "",
    is_simulated: bool = False,
) -> None:
    """Store the EEG trials and the fMRI embeddings that a training may learn from, and those of val and test.

    Parameters
    ----------
    out : the LMDB file to write; nothing else is left beside it.
    eeg : HDF5 with ``eeg`` (n_trials, n_channels, n_times) float32, its trials table (image, repetition,
        session, onset and, where trials have one, weight) and the attributes unit, sfreq, t0, channels and,
        where onsets are known, raw_sfreq.
    projection : HDF5 with ``embedding`` (n_trials, n_features) float32 and its trials table; None: there is
        no fMRI, and the EEG is stored alone.
    pairs : columns eeg_image, fmri_image, similarity, concept, cluster, split; those with an EEG trial
        become pair 0, 1 and so on.
    eeg_pictures : image, partition.
    predicted : HDF5 with ``predicted_embedding`` (n_images, n_features) float32 and the image of each row;
        None where no run learns from predictions. Those of the val pairs are kept too, for models that choose
        nothing on them, and none of the test pairs.
    learnable : image, concept, cluster of all EEG pictures that may be learned from; their trials are stored
        beside those of the pairs. None where runs learn from pairs alone.
    eeg_dtype : how samples are stored; float16 halves the file, and the log states the error.
    drop_overlapping_trials : leave out training trials whose second overlaps a val or test trial's.
    picture_set : name of the EEG's pictures, as ids of other sets are of other pictures.
    is_simulated : whether EEG and fMRI are made up, for what is said of runs that learn from them.

    Raises
    ------
    InputError
        When a pair has no fMRI repetition, a split no pair with an EEG trial, a picture that is learned from
        no prediction, nothing is left to learn from, or float16 cannot hold a sample.
    """
    with ExitStack() as stack:
        eeg_data, eeg_trials = stack.enter_context(
            open_trials(eeg, "eeg", ("n_trials", "n_channels", "n_times"))
        )
        learned = pairs.loc[pairs["split"] == "train", "eeg_image"]
        if learnable is not None:
            learned = pd.Series(np.union1d(learned, learnable["image"]))
        eeg_trials, dropped = _leave_out_overlaps(
            eeg_trials,
            learned,
            pairs.loc[pairs["split"] != "train", "eeg_image"],
            eeg_pictures,
            wanted=drop_overlapping_trials,
            sfreq=read_attributes(eeg_data.file, ()).get("raw_sfreq"),
            source=eeg,
        )
        pairs = keep_measured(pairs, eeg_trials, source=eeg).reset_index(drop=True)
        pairs.insert(0, "pair", pairs.index)
        pictures = _list_pictures(pairs, learnable, eeg_trials, source=eeg)
        arrays = {"eeg": (eeg_data, _index(eeg_trials, pictures["image"], source=eeg))}
        if projection is not None:
            data, scanned = stack.enter_context(open_trials(projection, "embedding", EMBEDDING_AXES))
            arrays["fmri"] = (data, _index(scanned, pairs["fmri_image"], source=projection))
        if predicted is not None:
            data, images = stack.enter_context(
                open_trials(predicted, "predicted_embedding", ("n_images", "n_features"))
            )
            untested = pictures.loc[pictures["split"] != "test", "image"]
            arrays["predicted"] = (data, _index(images, untested, source=predicted))
        meta = _meta(arrays, pairs, DTYPES[eeg_dtype]) | {
            "overlapping_trials": dropped,
            "picture_set": picture_set,
            "simulated": is_simulated,
        }
        tables = {"fmri": pd.DataFrame({"trial": [], "image": [], "repetition": []}, dtype=np.int64)}
        tables |= {name: index.drop(columns="row") for name, (_, index) in arrays.items()}
        _write(out, arrays, tables | {"pairs": pairs, "pictures": pictures}, meta)


def _leave_out_overlaps(
    trials: pd.DataFrame,
    learned: pd.Series,
    judged: pd.Series,
    pictures: pd.DataFrame,
    *,
    wanted: bool,
    sfreq: float | None,
    source: str | Path,
) -> tuple[pd.DataFrame, dict[str, int] | None]:
    """Leave out trials of learned pictures that overlap those of judged ones; None where nobody knows.

    ``row`` becomes the trial's place in the file, as trials are missing afterwards.
    """
    trials = trials.rename_axis("row").reset_index()
    is_learned, is_judged = (trials["image"].isin(images).to_numpy() for images in (learned, judged))
    rows = np.empty(0, np.int64)
    if wanted:
        shown = pick_rows(pictures, trials["image"], source="the table of the EEG's pictures")
        placed = trials.assign(partition=shown["partition"].to_numpy())
        found = overlapping(placed[is_learned], placed[is_judged], sfreq=sfreq)
        if found is None:
            logger.info("%s: does not say when its trials were: none is left out for an overlap", source)
            return trials, None
        rows = np.flatnonzero(is_learned)[found]
        logger.info(
            "%s: %d of %d training trials are left out: their second overlaps a val or test trial's",
            *(source, len(rows), is_learned.sum()),
        )
    return trials.drop(index=rows), {"n_dropped": len(rows), "n_trials": int(is_learned.sum())}


def _list_pictures(
    pairs: pd.DataFrame, learnable: pd.DataFrame | None, trials: pd.DataFrame, *, source: str | Path
) -> pd.DataFrame:
    """List the EEG pictures whose trials are stored.

    Returns
    -------
    image, concept, cluster, split (``train``, ``val`` or ``test``) and is_learnable: whether a training on
    all pictures learns from it. A training pair's picture that nearly equals a tested one is not.
    """
    columns = ["image", "concept", "cluster"]
    paired = pairs.rename(columns={"eeg_image": "image"})[[*columns, "split"]].drop_duplicates("image")
    if learnable is None:
        return paired.assign(is_learnable=False)
    seen = learnable.loc[learnable["image"].isin(trials["image"]), columns]
    if seen.empty:
        raise InputError(
            f"{source}: expected trials of pictures that may be learned from, {len(learnable)} of which are "
            "listed, got none; add the missing recordings or match fewer pairs"
        )
    if n_without := len(learnable) - len(seen):
        logger.info("%s: %d of %d pictures have no trial", source, n_without, len(learnable))
    others = seen[~seen["image"].isin(paired["image"])].assign(split="train")
    pictures = pd.concat([paired, others], ignore_index=True)
    return pictures.assign(is_learnable=pictures["image"].isin(seen["image"]))


def _index(trials: pd.DataFrame, images: pd.Series, *, source: str | Path) -> pd.DataFrame:
    """List the trials of pictures; ``trial`` is their number in the LMDB, ``row`` in the HDF5."""
    missing = images[~images.isin(trials["image"])]
    if len(missing):
        raise InputError(
            f"{source}: expected each of {len(images)} pictures, but {len(missing)} are not there (first: "
            f"{missing.iloc[0]}); match again with pictures that were shown to this subject"
        )
    if "row" not in trials:
        trials = trials.rename_axis("row").reset_index()
    index = trials[trials["image"].isin(images)].sort_values("row").reset_index(drop=True)
    index.insert(0, "trial", index.index)
    columns = ("trial", "image", "repetition", "session", "onset", "weight", "row")
    return index[[name for name in columns if name in index]]


def _meta(
    arrays: Mapping[str, tuple[h5py.Dataset, pd.DataFrame]], pairs: pd.DataFrame, eeg_dtype: str
) -> dict[str, Any]:
    eeg, fmri = arrays["eeg"][0], arrays["fmri"][0] if "fmri" in arrays else None
    attributes: dict[str, dict[str, Any]] = {"fmri": {}}
    attributes |= {
        name: {key: _plain(value) for key, value in read_attributes(data.file, ()).items()}
        for name, (data, _) in arrays.items()
    }
    read_attributes(eeg.file, EEG_ATTRIBUTES)
    for name, (data, _) in arrays.items():
        if name != "eeg" and fmri is not None and data.shape[1] != fmri.shape[1]:
            raise InputError(
                f"{data.file.filename}: expected {fmri.shape[1]} features, as {fmri.file.filename} has, got "
                f"{data.shape[1]}; delete it and run again"
            )
    return {
        **{name: attributes["eeg"].pop(name) for name in EEG_ATTRIBUTES},
        "dtype": eeg_dtype,
        "eeg_shape": list(eeg.shape[1:]),
        "n_features": 0 if fmri is None else fmri.shape[1],
        "n_pairs": len(pairs),
        **{f"{name}_attributes": values for name, values in attributes.items()},
    }


def _plain(value: Any) -> Any:
    """Turn an HDF5 attribute into what JSON knows."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


def _write(
    out: str | Path,
    arrays: Mapping[str, tuple[h5py.Dataset, pd.DataFrame]],
    tables: Mapping[str, pd.DataFrame],
    meta: dict[str, Any],
) -> None:
    # no other process sees the file before it is whole, so it is enough to sync it once
    with (
        atomic_path(out) as scratch,
        lmdb.open(
            str(scratch), subdir=False, lock=False, sync=False, map_size=_map_size(arrays, tables)
        ) as environment,
    ):
        for name, (data, index) in arrays.items():
            dtype = meta["dtype"] if name == "eeg" else DTYPES["float32"]
            error = _put_rows(environment, name, data, index["row"].to_numpy(), dtype)
            if name == "eeg":
                meta["eeg_error"] = error
                if error:
                    logger.info("EEG is stored as float16, off by %.2g of its root mean square", error)
        indexes = {f"index/{name}".encode(): _to_arrow(table) for name, table in tables.items()}
        _put(environment, {b"meta": json.dumps(meta).encode(), **indexes})
        environment.sync(True)


def _map_size(
    arrays: Mapping[str, tuple[h5py.Dataset, pd.DataFrame]], tables: Mapping[str, pd.DataFrame]
) -> int:
    size = sum(table.memory_usage(deep=True).sum() for table in tables.values())
    for data, index in arrays.values():
        value = 4 * int(np.prod(data.shape[1:]))
        size += len(index) * (value // PAGE + 2) * PAGE
    return int(1.2 * size) + (16 << 20)  # the tree's own pages; what stays unused takes no disk space


def _put_rows(
    environment: lmdb.Environment, name: str, data: h5py.Dataset, rows: np.ndarray, dtype: str
) -> float:
    """Store rows under their numbers; return the root mean square of what the type rounds off, relative."""
    lost = total = 0.0
    for start in range(0, len(rows), TRANSACTION_ROWS):
        content: dict[bytes, memoryview] = {}
        for trial, row in enumerate(rows[start : start + TRANSACTION_ROWS], start):
            # row by row: h5py takes thirty times as long for a list of rows
            values = read_rows(data, int(row))
            with np.errstate(over="ignore"):  # refused below
                stored = values.astype(dtype, copy=False)
            if stored.dtype != values.dtype:
                if np.isinf(stored).any() and np.isfinite(values).all():
                    raise InputError(
                        f"{data.file.filename}: expected EEG within float16's range, +-65504, got "
                        f"{np.abs(values).max():g}; set lmdb.eeg_dtype to float32"
                    )
                lost += float(np.square(stored.astype(np.float32) - values, dtype=np.float64).sum())
                total += float(np.square(values, dtype=np.float64).sum())
            content[key_of(name, trial)] = stored.data
        _put(environment, content)
    return (lost / total) ** 0.5 if total else 0.0


def _put(environment: lmdb.Environment, content: Mapping[bytes, bytes | memoryview]) -> None:
    """Write in one transaction; where the map is full, once more in one twice as large."""
    try:
        with environment.begin(write=True) as transaction:
            for key, value in content.items():
                transaction.put(key, value)
    except lmdb.MapFullError:
        environment.set_mapsize(2 * environment.info()["map_size"])
        _put(environment, content)


def _to_arrow(table: pd.DataFrame) -> bytes:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return sink.getvalue().to_pybytes()
