"""Which files the public releases consist of. Only names are looked at here; readers look inside."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from brain2image.core.errors import InputError

THINGS_EEG: Mapping[str, Sequence[str]] = {
    "raw": [
        f"{{sub}}/ses-{session:02d}/raw_eeg_{part}.npy"
        for session in (1, 2, 3, 4)
        for part in ("training", "test")
    ],
    "ubp": ["{sub}/train.pt", "{sub}/test.pt"],
    "nice": ["{sub}/preprocessed_eeg_training.npy", "{sub}/preprocessed_eeg_test.npy"],
    "neurobridge": ["{sub}/train.npy", "{sub}/test.npy", "info.json"],
}

NSD: Mapping[str, Sequence[str]] = {
    "mindeye2": [
        "betas_all_{subj}_fp32_renorm.hdf5",
        "wds/{subj}",
        "COCO_73k_subj_indices.hdf5",
        "shared1000.npy",
        "coco_images_224_float16.hdf5",
    ],
    "mindeye1": [
        *(f"webdataset_avg_new/train/train_{{subj}}_{shard}.tar" for shard in range(18)),
        "webdataset_avg_new/val/val_{subj}_0.tar",
        *(f"webdataset_avg_new/test/test_{{subj}}_{shard}.tar" for shard in range(2)),
    ],
}

# What lay on the Hub before, under these names, and must not be taken for a release; with the reason.
SUPERSEDED: Mapping[str, str] = {
    "betas_all_{subj}.hdf5": "37 sessions in float16",
    "betas_all_{subj}_fp32.hdf5": "not normalised anew",
    "webdataset_avg_split": "37 sessions",
}

SUBJECTS: Mapping[str, Sequence[str]] = {
    "sub": [f"sub-{number:02d}" for number in range(1, 11)],
    "subj": [f"subj{number:02d}" for number in range(1, 9)],
}

# Of these, what is there is read, if it holds what the pattern names; the rest is said to be missing.
PARTIAL: Mapping[str, str] = {"raw": "*/raw_eeg_training.npy"}

PAIR = re.compile(r"(sub-\d{2})_(subj0[1-8](?:-subj0[1-8])*)")


def find_release(
    folder: str | Path, releases: Mapping[str, Sequence[str]], **subject: str
) -> tuple[str, list[str]]:
    """The release that lies in a folder, and its files; of raw EEG, those sessions that are there.

    Parameters
    ----------
    folder : where the release was unpacked.
    releases : `THINGS_EEG` or `NSD`: patterns of the paths below ``folder``.
    subject : ``sub="sub-01"`` or ``subj="subj01"``, filled into the patterns.

    Raises
    ------
    InputError
        When none is whole (naming what the most complete one lacks), or several lie in the same folder.
    """
    files, missing = _look(folder, releases, subject)
    whole = [name for name in files if not missing[name]]
    if len(whole) == 1:
        return whole[0], files[whole[0]]
    who = next(iter(subject.values()))
    if whole:
        raise InputError(
            f"{folder}: expected one release of {who}, got {' and '.join(whole)}; "
            "keep them in separate folders"
        )
    outdated = _outdated(folder, subject)
    nearest = min(files, key=lambda name: len(missing[name]) / len(files[name]))
    if len(missing[nearest]) == len(files[nearest]):
        known = "; ".join(f"{name}: {paths[0]}, ..." for name, paths in files.items())
        raise InputError(f"{folder}: expected a release of {who}, got no file of any ({known}){outdated}")
    raise InputError(
        f"{folder}: expected the {len(files[nearest])} files of the {nearest} release of {who}, "
        f"{len(missing[nearest])} are missing: {', '.join(missing[nearest][:5])}"
        f"{', ...' if len(missing[nearest]) > 5 else ''}{outdated}; download them"
    )


def find_subjects(folder: str | Path, releases: Mapping[str, Sequence[str]], key: str) -> list[str]:
    """The subjects of whom at least one whole release lies in a folder.

    Parameters
    ----------
    folder : where the releases were unpacked.
    releases : `THINGS_EEG` or `NSD`.
    key : ``sub`` or ``subj``, the name of the subject in the patterns.

    Raises
    ------
    InputError
        When there is none.
    """
    found = []
    for subject in SUBJECTS[key]:
        _, missing = _look(folder, releases, {key: subject})
        if not all(missing.values()):
            found.append(subject)
    if not found:
        raise InputError(
            f"{folder}: expected a whole release of a subject ({' or '.join(releases)}), got none; download "
            "one, or list the pairs in the config to read what a subject lacks"
        )
    return found


def left_out(folder: str | Path, releases: Mapping[str, Sequence[str]], key: str) -> dict[str, str]:
    """Subjects of whom something, but no whole release, lies in a folder; with what each lacks.

    Parameters
    ----------
    folder, releases, key : as for `find_subjects`.
    """
    reasons = {}
    for subject in sorted({*SUBJECTS[key]} - {*find_subjects(folder, releases, key)}):
        patterns = [pattern for paths in releases.values() for pattern in paths]
        if any(_begun(folder, pattern, key, subject) for pattern in [*patterns, *SUPERSEDED]):
            try:
                find_release(folder, releases, **{key: subject})
            except InputError as error:
                reasons[subject] = str(error)
    return reasons


def _begun(folder: str | Path, pattern: str, key: str, subject: str) -> bool:
    """Whether the first part of a path that names the subject exists."""
    before, name, after = pattern.partition(f"{{{key}}}")
    return bool(name) and Path(folder, before + subject + after.partition("/")[0]).exists()


def find_pairs(things_eeg: str | Path, nsd: str | Path) -> list[str]:
    """All pairs of a THINGS-EEG2 and an NSD subject whose data lie in the two folders."""
    return [
        f"{sub}_{subj}"
        for sub in find_subjects(things_eeg, THINGS_EEG, "sub")
        for subj in find_subjects(nsd, NSD, "subj")
    ]


def find_left_out(things_eeg: str | Path, nsd: str | Path) -> dict[str, str]:
    """The subjects whom `find_pairs` leaves out although something of theirs is there, and why."""
    return left_out(things_eeg, THINGS_EEG, "sub") | left_out(nsd, NSD, "subj")


def members(group: str) -> list[str]:
    """The NSD subjects of one side of a pair: ``subj02-subj05`` is ``subj02`` and ``subj05``."""
    return group.split("-")


def _look(
    folder: str | Path, releases: Mapping[str, Sequence[str]], subject: Mapping[str, str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The paths of each release, and those that are missing; a partial release has only the paths there."""
    files = {
        name: [str(Path(folder, pattern.format(**subject))) for pattern in patterns]
        for name, patterns in releases.items()
    }
    for name in PARTIAL.keys() & files.keys():
        there = [path for path in files[name] if Path(path).exists()]
        if any(Path(path).match(PARTIAL[name]) for path in there):
            files[name] = there
    return files, {name: [path for path in paths if not Path(path).exists()] for name, paths in files.items()}


def _outdated(folder: str | Path, subject: Mapping[str, str]) -> str:
    """What to say of outdated files of NSD beside the missing ones."""
    found = {
        name.format(**subject): reason
        for name, reason in (SUPERSEDED.items() if "subj" in subject else ())
        if Path(folder, name.format(**subject)).exists()
    }
    names = ", ".join(f"{name} ({reason})" for name, reason in found.items())
    return f"; {names} is outdated and not read" if found else ""
