"""JSON and Parquet files, and the hash of any file."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text as UTF-8, atomically."""
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as CSV without its index, atomically."""
    with atomic_path(path) as scratch:
        table.to_csv(scratch, index=False)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write ``content`` as indented UTF-8 JSON, atomically."""
    with atomic_path(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(
    path: str | os.PathLike, keys: Sequence[str] = (), *, remedy: str = "copy it again from where it came"
) -> Any:
    """Read a JSON file; one that is missing or damaged is an InputError.

    Parameters
    ----------
    keys : what must stand in it, as in an object; without any it may be of any form.
    remedy : what to do about a damaged one.
    """
    check_regular(path, remedy=remedy)
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot read this JSON file ({reason(error)}); {remedy}") from None
    if keys and not (isinstance(content, dict) and set(keys) <= set(content)):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: expected {', '.join(keys)}, got {found or 'nothing'}; {remedy}")
    return content


def write_parquet(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index, atomically."""
    with atomic_path(path) as scratch:
        table.to_parquet(scratch, index=False)


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
