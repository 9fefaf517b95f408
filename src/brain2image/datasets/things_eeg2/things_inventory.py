"""What lies in the folders of THINGS-EEG2: headers are read, no more."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.things_eeg2.preprocessed import read_epochs, recognise
from brain2image.datasets.things_eeg2.raw import read_header
from brain2image.datasets.things_eeg2.things_eeg2 import DATASET
from brain2image.datasets.things_eeg2.things_images import image_table


def describe_pictures(data: Mapping[str, str]) -> str:
    """Count the pictures of both partitions."""
    counts = _pictures(data)["partition"].value_counts()
    return f"{counts['train']:,} training and {counts['test']:,} test pictures"


def describe_person(data: Mapping[str, str], person: str) -> str:
    """Say which release of a person is there, and what its files hold."""
    release, _, files = DATASET.find_release(data, person, must_exist=True)
    found = _recordings(files) if release == "raw" else ", ".join(_epochs(release, files, data))
    return f"{release}: {found}"


def _pictures(data: Mapping[str, str]) -> pd.DataFrame:
    return image_table(*map(Path, DATASET.find_images(data, (), must_exist=True).files))


def _recordings(files: Sequence[str]) -> str:
    minutes = sum(read_header(file).shape[1] for file in files) / 60_000
    n_files = len(DATASET.releases["raw"])
    n_missing = n_files - len(files)
    missing = f", {n_missing} of the {n_files} recordings are missing" if n_missing else ""
    return f"{len(files)} recordings, {minutes:.0f} minutes, 63 channels at 1000 Hz, volts{missing}"


def _epochs(release: str, files: Sequence[str], data: Mapping[str, str]) -> Iterator[str]:
    table = _pictures(data)
    names = table["path"].str.split("/").str[-2:].str.join("/")
    for partition, file in zip(("train", "test"), files, strict=False):
        if (found := recognise(file)) != release:
            raise InputError(
                f"{file}: expected a file of the {release} release, which this name belongs to, got one of "
                f"{found}; keep the releases in separate folders, under their own names"
            )
        pictures = names[table["partition"] == partition].tolist()
        eeg = read_epochs(file, pictures=pictures, info=next(iter(files[2:]), None)).eeg
        yield f"{eeg.shape[0]:,} x {eeg.shape[1]} {partition} trials, {np.dtype(eeg.dtype)}"
