"""Tables and arrays that this workflow wrote, read back: one that is damaged is an InputError of one line."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.files import read_json

REMEDY = "delete it and run again"
# What stands in a column, by its name, which means the same in every table.
INTEGERS = {
    *("image", "row", "offset", "size", "eeg_image", "fmri_image", "cluster"),
    *("epoch", "n_test", "n_concepts", "n_passed_over", "n_gallery"),
}
NUMBERS = {"similarity", "val_loss", "val_top1", "value", "difference", "s"}
MAYBE_NUMBERS = {
    *("seed", "chance", "p", "p_floor", "p_holm", "low", "high", "share_of_ceiling"),
    *("best_epoch", "network_share", "n_calibration", "n_calibration_trials"),
    *("train_loss", "cpu_time", "max_rss"),
}
FLAGS = {"shared1000"}
TEXTS = {
    *("path", "concept", "partition", "part", "tar", "split"),
    *("brains", "run", "learned_from", "people", "baseline", "level", "n_trials", "direction", "metric"),
}


# Columns and keys of the results that several pages show.
SUMMARY = (
    *("brains", "run", "seed", "n_test", "n_concepts", "n_passed_over"),
    *("learned_from", "people", "n_calibration", "n_calibration_trials", "best_epoch", "network_share"),
    *("n_trials", "level", "space", "direction", "n_gallery", "metric"),
    *("value", "chance", "p", "low", "high", "share_of_ceiling"),
)
COMPARISONS = ("brains", "run", "baseline", "metric", "difference", "low", "high", "p", "p_floor", "p_holm")
ENCODER = (
    *("method", "layer", "clip", "n_pictures", "excluded", "candidates"),
    *("r2_quantiles", "bins", "r2_histogram", "ranks"),
)
BOUNDS = ("eeg", "fmri", "rsa", "pairing")


def read_result(path: str | os.PathLike, keys: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object that the workflow wrote, with the keys that it must have."""
    return read_json(path, keys, remedy=REMEDY)


def read_table(
    path: str | os.PathLike, columns: Sequence[str], *, remedy: str = REMEDY, may_be_empty: bool = False
) -> pd.DataFrame:
    """Read a table: Parquet, or text by the file's ending, ``.csv`` or ``.tsv``.

    Parameters
    ----------
    columns : that must be there. These, and all others of the names above, must hold what belongs there.
    remedy : what to do about a damaged one.
    may_be_empty : whether a table without rows is one.

    Raises
    ------
    InputError
        When it is missing, cut, damaged, empty, lacks a column, or a column holds something else.
    """
    check_regular(path, remedy=remedy)
    try:
        table = _read(Path(path))
        wrong = [name for name in table if not _is_right(name, table[name])]
    except Exception as error:  # pandas and pyarrow raise many types, by where the damage is
        raise InputError(f"{path}: cannot read this table ({reason(error)}); {remedy}") from None
    if (table.empty and not may_be_empty) or not set(columns) <= set(table):
        found = f"{len(table)} rows of {', '.join(map(str, table)) or 'nothing'}"
        raise InputError(f"{path}: expected rows of {', '.join(columns)}, got {found}; {remedy}")
    if wrong and not table.empty:
        raise InputError(
            f"{path}: expected {_meaning(wrong[0])} in every row of {wrong[0]}, got something else, or "
            f"nothing; {remedy}"
        )
    return table


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        raise ValueError("its last line is cut" if content else "it is empty")
    # Snakemake writes - for what it could not measure
    options = {"sep": "\t", "na_values": "-"} if path.suffix == ".tsv" else {}
    return pd.read_csv(io.BytesIO(content), index_col=False, **options)


def _is_right(name: Any, column: pd.Series) -> bool:
    """Tell whether a column holds what belongs under its name; of an unknown one nothing is known."""
    kind = column.dtype.kind
    if name in TEXTS:
        return all(isinstance(value, str) for value in column)
    if name in INTEGERS | FLAGS:
        return kind in ("b" if name in FLAGS else "iu")
    if name in NUMBERS:
        return kind in "iuf" and bool(np.isfinite(column).all())
    return name not in MAYBE_NUMBERS or kind in "iuf" or bool(column.isna().all())


def _meaning(name: str) -> str:
    kinds = {"a text": TEXTS, "an integer": INTEGERS, "true or false": FLAGS}
    return next((meaning for meaning, names in kinds.items() if name in names), "a number")


def read_npz(path: str | os.PathLike, *, what: str, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file, none of which holds objects.

    Parameters
    ----------
    what : it holds, for the message.
    names : arrays that must be there.
    """
    check_regular(path, remedy=REMEDY)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        _ = [arrays[name] for name in names]
        return arrays
    except Exception as error:  # NumPy and zipfile raise many types, by where the damage is
        raise InputError(
            f"{path}: expected {what}, but cannot read them ({reason(error)}); {REMEDY}"
        ) from None


def read_part(path: str | os.PathLike, part: str) -> pd.DataFrame:
    """Read the rows of a table of pictures that belong to one part of the set.

    Raises
    ------
    InputError
        When there are none.
    """
    table = read_table(path, ["image", "part"])
    rows = table[table["part"] == part]
    if rows.empty:
        found = ", ".join(sorted(set(table["part"])))
        raise InputError(f"{path}: expected pictures of the part {part!r}, got {found}; {REMEDY}")
    return rows


def pick_rows(
    table: pd.DataFrame, wanted: Sequence[int] | np.ndarray, *, source: str | os.PathLike
) -> pd.DataFrame:
    """Return the rows of a table of pictures that belong to ``wanted``, in their order, see `find_rows`."""
    return table.iloc[find_rows(table["image"], wanted, source=source)]


def find_rows(
    images: pd.Series, wanted: Sequence[int] | np.ndarray, *, source: str | os.PathLike
) -> np.ndarray:
    """Find where pictures stand in a table, (n_wanted,) int64 from 0.

    Parameters
    ----------
    images : the table's column ``image``.
    wanted : (n_wanted,) ids of pictures.
    source : the table's file, for the message.

    Raises
    ------
    InputError
        When one is not there, or the table names a picture twice.
    """
    index = pd.Index(images)
    rows = index.get_indexer(wanted) if index.is_unique else np.array([-1])
    if (rows < 0).any():
        raise InputError(
            f"{source}: expected each of {len(wanted)} paired pictures in one row, got {(rows < 0).sum()} "
            f"that are not; {REMEDY}"
        )
    return rows
