"""Whose data a config reads: brains that are listed are checked, all others are looked for."""

from collections.abc import Mapping, Sequence
from itertools import product

from brain2image.config.messages import unknown_folder
from brain2image.constants.brain_names import divide_brains, members
from brain2image.core.errors import InputError
from brain2image.datasets.base import Dataset, EEGDataset


def check_folders(datasets: Mapping[str, Dataset], folders: Mapping[str, str]) -> None:
    """Refuse keys of the config's block ``data`` that no data set reads."""
    known = [key for dataset in datasets.values() for key in (*dataset.folders, *dataset.further)]
    for key in folders:
        if key not in known:
            raise InputError(unknown_folder(key, known))


def find_brains(
    datasets: Mapping[str, Dataset], folders: Mapping[str, str], *, fmri: str
) -> tuple[list[str], dict[str, str]]:
    """Find all brains whose data are there.

    Parameters
    ----------
    datasets : all data sets by name.
    folders : the config's block ``data``.
    fmri : name of the data set of the fMRI.

    Returns
    -------
    brains : everybody's EEG with everybody's fMRI, sorted.
    left_out : people of whom something, but no whole release, is there, with what each lacks.

    Raises
    ------
    InputError
        When there is nobody's EEG, or nobody's fMRI.
    """
    people: list[str] = []
    left_out: dict[str, str] = {}
    problems: list[str] = []
    for dataset in _with_folders(datasets, folders).values():
        try:
            people += dataset.find_people(folders)
            left_out |= dataset.find_left_out(folders)
        except InputError as error:
            problems.append(str(error))
    if not people:
        raise InputError("; ".join(problems))
    subjects = datasets[fmri].find_people(folders)
    left_out |= datasets[fmri].find_left_out(folders)
    return sorted(f"{person}_{subject}" for person, subject in product(people, subjects)), left_out


def check_brains(
    brains: Sequence[str],
    datasets: Mapping[str, Dataset],
    folders: Mapping[str, str],
    *,
    fmri: str,
    key: str = "brains",
) -> None:
    """Refuse people whom no data set has, or whose data set has no folder; see `find_brains`.

    ``key`` is that of the config, for the message.
    """
    eeg = _with_folders(datasets, folders)
    for person, subjects in map(divide_brains, brains):
        name = person.rpartition("-")[0]
        if name not in eeg:
            raise InputError(
                f"config: {key}: expected a person of {' or '.join(sorted(eeg))}, got {person!r}; add its "
                "data set to `datasets` and its folders to `data`"
            )
        own = [(subject, datasets[fmri]) for subject in members(subjects)]
        for who, dataset in [(person, eeg[name]), *own]:
            if who not in dataset.people:
                raise InputError(
                    f"config: {key}: expected a person of {dataset.title} ({dataset.people[0]} to "
                    f"{dataset.people[-1]}), got {who!r}"
                )


def _with_folders(datasets: Mapping[str, Dataset], folders: Mapping[str, str]) -> dict[str, EEGDataset]:
    """Return the data sets of EEG for all of whose folders the config has a path."""
    eeg = {name: dataset for name, dataset in datasets.items() if isinstance(dataset, EEGDataset)}
    return {name: dataset for name, dataset in eeg.items() if set(dataset.folders) <= set(folders)}
