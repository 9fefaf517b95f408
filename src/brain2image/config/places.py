"""Where results may lie: apart from the raw data and from the files of the checkout."""

import os
from collections.abc import Mapping
from pathlib import PurePath

from brain2image.core.errors import InputError

# Folders of the checkout that must hold no results.
SOURCES = {
    ".ci",
    ".git",
    ".snakemake",
    ".venv",
    "benchmarks",
    "config",
    "docs",
    "envs",
    "profiles",
    "rules",
    "src",
    "tests",
    "workflow",
}


def check_apart_from_data(results: str, data: Mapping[str, str]) -> None:
    """Raise an InputError where a folder of raw data lies among the results.

    There, results could take the places of raw files, and whoever deletes the results would delete them. The
    folder ``raw``, which the demo fills, is no result's.
    """
    place = _real(results)
    for key, path in data.items():
        if not path:
            continue  # no folder
        found = _real(path)
        if found.is_relative_to(place) and not found.is_relative_to(place / "raw"):
            raise InputError(
                f"results must not hold the raw data, got {results!r} and data.{key} {path!r}; name a folder "
                "for results alone"
            )


def check_apart_from_source(results: str, checkout: str) -> None:
    """Raise an InputError where results would hold the checkout, or lie among its files."""
    place, root = _real(results), _real(checkout)
    if root.is_relative_to(place):
        problem = "holds this checkout"
    elif place.is_relative_to(root) and place.relative_to(root).parts[0] in SOURCES:
        problem = "is part of this checkout"
    else:
        return
    raise InputError(
        f"config: results: expected a folder for results alone, got {results!r}, which {problem}"
    )


def _real(path: str) -> PurePath:
    return PurePath(os.path.realpath(path))
