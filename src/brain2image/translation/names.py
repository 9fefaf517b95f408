"""The names of a file's channels: what the user calls them, which can be used, and which are missing."""

import csv
import logging
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from brain2image.core.errors import InputError, reason
from brain2image.translation.caps import OLD_NAMES, other_system, plain_name, ten_five
from brain2image.translation.new_eeg import Source

logger = logging.getLogger(__name__)


class CapOptions(NamedTuple):
    """How the user wants channels to be found, see `translation.translate`."""

    interpolate: bool = False
    min_channels: int | None = None
    montage: str | None = None
    rename: Mapping[str, str] | None = None
    rename_table: str | os.PathLike | None = None


def usable_rows(
    source: Source, channels: Sequence[str], options: CapOptions
) -> tuple[dict[str, int], dict[str, str]]:
    """Find the row of each channel that can be used, and why each other one cannot."""
    renamed = _renamed(source, options)
    names, kinds = source.channels, source.kinds or ["eeg"] * len(source.channels)
    own = [name for name, kind in zip(names, kinds, strict=True) if kind == "eeg" and name not in renamed]
    problem = None
    if options.montage is None and set(channels) <= set(ten_five()):
        problem = other_system(own)
    if problem and not renamed:
        raise InputError(f"{source.name}: expected channels of the 10-20 system, got {problem}")
    rows, unused = {}, {}
    for row, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        called = renamed.get(name, name)
        if name in source.bads:
            unused[called] = "marked as bad"
        elif kind != "eeg" and name not in renamed:
            unused[called] = f"{kind.upper()} in the file, --rename {called}={called} if it is EEG"
        elif name in renamed or not problem:  # names of another system are none of 10-20
            if called in rows:
                raise InputError(
                    f"{source.name}: expected every channel once, got {called} twice; rename one"
                )
            rows[called] = row
    return rows, unused


def _renamed(source: Source, options: CapOptions) -> dict[str, str]:
    """Return the user's name of each channel that has one."""
    table = {} if options.rename_table is None else read_renames(options.rename_table)
    given = dict(options.rename or {})
    unknown = [name for name in given if name not in source.channels]
    if table and not set(table) & set(source.channels):
        unknown += table
    if unknown:
        raise InputError(
            f"{source.name}: expected channels {', '.join(unknown)} to rename, got "
            f"{', '.join(source.channels)}; name them as they stand in the file"
        )
    return {old: new for old, new in (table | given).items() if old in source.channels}


def read_renames(path: str | os.PathLike) -> dict[str, str]:
    """Read a table of old and new names, two columns parted by tabs, semicolons or commas, without a head.

    Raises
    ------
    InputError
        When it has another form, or a name stands twice in a column.
    """
    try:
        lines = [line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a table of old and new names, but {reason(error)}") from None
    mark = next((mark for mark in "\t;," if lines and mark in lines[0]), ",")
    pairs = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
    wrong = next((pair for pair in pairs if len(pair) != 2 or not all(pair)), None)
    if wrong is not None or not pairs:
        raise InputError(
            f"{path}: expected an old and a new name in each line, got {wrong or 'no line'}; mend the table"
        )
    for column in zip(*pairs, strict=True):
        if twice := sorted({name for name in column if column.count(name) > 1}):
            raise InputError(f"{path}: expected every name once in a column, got {', '.join(twice)} twice")
    return dict(pairs)


def likely_name(wanted: str, found: Collection[str]) -> str | None:
    """Find the name under which a channel may hide: another case, decoration, or the old name."""
    plain = {name: plain_name(name) for name in found}
    return next(
        (name for name in found if OLD_NAMES.get(plain[name], plain[name]) == wanted.casefold()), None
    )


def check_names(
    source: Source,
    channels: Sequence[str],
    missing: Sequence[str],
    unused: Mapping[str, str],
    *,
    interpolate: bool,
) -> None:
    """Raise InputError for missing channels; where they may be interpolated, only warn of unusable ones."""
    others = [name for name in source.channels if name not in channels]
    aliases = {name: alias for name in missing if name not in unused and (alias := likely_name(name, others))}
    if interpolate and not aliases:
        for name in missing:
            if name in unused:
                logger.warning("%s: %s is not used (%s)", source.name, name, unused[name])
        return
    notes = dict(unused) | {name: f"is it {alias!r}?" for name, alias in aliases.items()}
    listed = ", ".join(f"{name} ({notes[name]})" if name in notes else name for name in missing)
    pairs = " ".join(shlex.quote(f"{alias}={name}") for name, alias in aliases.items())
    rename = f"rename them (--rename {pairs})"
    remedy = rename if aliases else "record them, or ask for their interpolation (--interpolate)"
    raise InputError(
        f"{source.name}: expected the {len(channels)} channels of the training, got {len(source.channels)} "
        f"without {listed}; {remedy}"
    )
