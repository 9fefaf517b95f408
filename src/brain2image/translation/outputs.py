"""Embeddings on disk, written block by block."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import get_dataset, open_hdf5, read_trials, write_trials

Blocks = Iterable[Mapping[str, np.ndarray]]  # arrays of one row a trial, under their names


def write_blocks(
    path: str | os.PathLike, trials: pd.DataFrame, blocks: Blocks, attributes: Mapping[str, str]
) -> None:
    """Write a table of trials and what belongs to each, whole or not at all.

    Parameters
    ----------
    path : ``.h5``: a dataset an array, and the group ``trials``; or ``.parquet``: a row a trial, arrays as
        columns of lists.
    trials : a row a trial.
    blocks : arrays (n_trials, n), some trials at a time.
    attributes : what the file says of itself, as attributes or as metadata of the schema.
    """
    with atomic_path(path) as scratch:
        WRITERS[Path(path).suffix](scratch, trials, blocks, attributes)


def check_suffix(path: str | os.PathLike) -> None:
    """Raise InputError unless a file of this name can be written."""
    if Path(path).suffix not in WRITERS:
        raise InputError(f"{path}: expected a file name that ends in {' or '.join(WRITERS)}; change it")


def _write_hdf5(path: Path, trials: pd.DataFrame, blocks: Blocks, attributes: Mapping[str, str]) -> None:
    with h5py.File(path, "w") as file:
        write_trials(file, trials, attributes)
        start = 0
        for block in blocks:
            for name, rows in block.items():
                if name not in file:
                    file.create_dataset(name, (len(trials), *rows.shape[1:]), rows.dtype)
                file[name][start : start + len(rows)] = rows
            start += len(rows)


def _write_parquet(path: Path, trials: pd.DataFrame, blocks: Blocks, attributes: Mapping[str, str]) -> None:
    table = pa.Table.from_pandas(trials, preserve_index=False)
    table = table.replace_schema_metadata({"brain2image": json.dumps(dict(attributes))})
    with ExitStack() as stack:
        start, target = 0, None
        for block in blocks:
            lists = {name: _lists(values) for name, values in block.items()}
            rows = table.slice(start, len(next(iter(lists.values()))))
            for name, values in lists.items():
                rows = rows.append_column(name, values)
            target = target or stack.enter_context(pq.ParquetWriter(path, rows.schema))
            target.write_table(rows)
            start += len(rows)


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


WRITERS = {".h5": _write_hdf5, ".parquet": _write_parquet}


def read_written(path: str | os.PathLike, *, n_trials: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Read the first trials of what `write_blocks` wrote.

    Returns
    -------
    trials : a row a trial, ``n_trials`` at most.
    arrays : (n_trials, n) each, by their names.
    """
    if Path(path).suffix == ".h5":
        with open_hdf5(path) as file:
            names = [name for name in file if name != "trials"]
            return read_trials(file)[:n_trials], {name: get_dataset(file, name)[:n_trials] for name in names}
    table = pq.read_table(path).slice(0, n_trials)
    lists = [field.name for field in table.schema if pa.types.is_fixed_size_list(field.type)]
    arrays = {name: np.array(table[name].to_pylist()) for name in lists}
    return table.drop_columns(lists).to_pandas(), arrays
