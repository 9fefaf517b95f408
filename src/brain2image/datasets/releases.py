"""Which files of a release are there. Only names are looked at here; readers look inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from brain2image.core.errors import InputError

Patterns = Mapping[str, Sequence[str]]  # for each release the paths of its files, with {person}


def find_release(
    folder: str | Path,
    releases: Patterns,
    person: str,
    *,
    partial: Mapping[str, str] | None = None,
    superseded: Mapping[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Find the release of a person that lies in a folder, and its files.

    Parameters
    ----------
    folder : where the release was unpacked.
    releases : patterns of the paths below ``folder``, by the name of the release.
    person : filled into the patterns.
    partial : releases of which the files that are there are taken, if one of them has this pattern.
    superseded : outdated files by pattern, with the reason, for the message.

    Raises
    ------
    InputError
        When none is whole (naming what the most complete one lacks), or several lie in the same folder.
    """
    files, missing = _look(folder, releases, person, partial or {})
    whole = [name for name in files if not missing[name]]
    if len(whole) == 1:
        return whole[0], files[whole[0]]
    if whole:
        raise InputError(
            f"{folder}: expected one release of {person}, got {' and '.join(whole)}; "
            "keep them in separate folders"
        )
    outdated = _outdated(folder, person, superseded or {})
    nearest = min(files, key=lambda name: len(missing[name]) / len(files[name]))
    if len(missing[nearest]) == len(files[nearest]):
        known = "; ".join(f"{name}: {paths[0]}, ..." for name, paths in files.items())
        raise InputError(f"{folder}: expected a release of {person}, got no file of any ({known}){outdated}")
    raise InputError(
        f"{folder}: expected the {len(files[nearest])} files of the {nearest} release of {person}, "
        f"{len(missing[nearest])} are missing: {', '.join(missing[nearest][:5])}"
        f"{', ...' if len(missing[nearest]) > 5 else ''}{outdated}; download them"
    )


def find_subjects(
    folder: str | Path, releases: Patterns, people: Sequence[str], *, partial: Mapping[str, str] | None = None
) -> list[str]:
    """List those of ``people`` of whom at least one whole release lies in a folder.

    Raises
    ------
    InputError
        When there is none.
    """
    found = [
        person for person in people if not all(_look(folder, releases, person, partial or {})[1].values())
    ]
    if not found:
        raise InputError(
            f"{folder}: expected a whole release of a subject ({' or '.join(releases)}), got none; download "
            "one, or list the brains in the config to read what a subject lacks"
        )
    return found


def left_out(
    folder: str | Path,
    releases: Patterns,
    people: Sequence[str],
    *,
    partial: Mapping[str, str] | None = None,
    superseded: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """List people of whom something, but no whole release, lies in a folder; with what each lacks.

    Parameters
    ----------
    folder, releases, people, partial, superseded : as for `find_release` and `find_subjects`.
    """
    reasons = {}
    there = find_subjects(folder, releases, people, partial=partial)
    patterns = [*(pattern for paths in releases.values() for pattern in paths), *(superseded or {})]
    for person in sorted({*people} - {*there}):
        if any(_begun(folder, pattern, person) for pattern in patterns):
            try:
                find_release(folder, releases, person, partial=partial, superseded=superseded)
            except InputError as error:
                reasons[person] = str(error)
    return reasons


def _begun(folder: str | Path, pattern: str, person: str) -> bool:
    """Say whether the first part of a path that names the person exists."""
    before, name, after = pattern.partition("{person}")
    return bool(name) and Path(folder, before + person + after.partition("/")[0]).exists()


def _look(
    folder: str | Path, releases: Patterns, person: str, partial: Mapping[str, str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """List the paths of each release, and those that are missing; a partial release has only those there."""
    files = {
        name: [str(Path(folder, pattern.format(person=person))) for pattern in patterns]
        for name, patterns in releases.items()
    }
    for name in partial.keys() & files.keys():
        there = [path for path in files[name] if Path(path).exists()]
        if any(Path(path).match(partial[name]) for path in there):
            files[name] = there
    return files, {name: [path for path in paths if not Path(path).exists()] for name, paths in files.items()}


def _outdated(folder: str | Path, person: str, superseded: Mapping[str, str]) -> str:
    """Say what lies there of outdated files beside the missing ones."""
    found = {
        name.format(person=person): reason
        for name, reason in superseded.items()
        if Path(folder, name.format(person=person)).exists()
    }
    names = ", ".join(f"{name} ({reason})" for name, reason in found.items())
    return f"; {names} is outdated and not read" if found else ""
