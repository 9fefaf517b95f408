"""What lies in the folders of the config, and what each file turns out to be: headers are read, no more."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd.betas import check_betas
from brain2image.datasets.nsd.checks import N_TRIALS, read_indices, read_shared1000
from brain2image.datasets.releases import NSD, THINGS_EEG, find_release, members
from brain2image.datasets.things_eeg2.preprocessed import read_epochs, recognise
from brain2image.datasets.things_eeg2.raw import read_header
from brain2image.datasets.things_eeg2.things_images import TRAINING_FOLDERS, image_table
from brain2image.formats.hdf5 import open_dataset
from brain2image.weights.sources import check_file, is_remote


class Finding(NamedTuple):
    """One line of the inventory: what was looked for, whether it can be used, and what was found instead."""

    what: str
    is_usable: bool
    found: str


def take_inventory(
    data: Mapping[str, str],
    weights: Mapping[str, str],
    *,
    pairs: Sequence[str],
    left_out: Mapping[str, str],
    fetched: Mapping[str, str],
) -> list[Finding]:
    """Look at everything that a config needs.

    Parameters
    ----------
    data : the folders ``things_images``, ``things_eeg`` and ``nsd``.
    weights : the sources ``clip``, ``cbramod`` and ``mindeye2``.
    pairs : pairs of brains, for example ``things-01_subj01``.
    left_out : subjects whom ``pairs: all`` leaves out, and why.
    fetched : where the workflow puts what it downloads, for the weights that it downloads.
    """
    subs = sorted({pair.split("_")[0] for pair in pairs})
    subjs = sorted({subj for pair in pairs for subj in members(pair.split("_")[1])})
    checks: dict[str, Callable[[], str]] = {
        "THINGS pictures": partial(_things_images, data["things_images"]),
        **{f"THINGS-EEG2 {sub}": partial(_things_eeg, sub, data) for sub in subs},
        **{f"NSD {subj}": partial(_nsd, subj, data["nsd"]) for subj in subjs},
        "CLIP weights": partial(_weights, weights["clip"], fetched.get("clip")),
        "CBraMod weights": partial(_weights, weights["cbramod"], fetched.get("cbramod")),
        **{
            f"MindEye2 ridge of {subj}": partial(
                _weights, weights["mindeye2"].format(subj=subj), fetched.get("mindeye2", "").format(subj=subj)
            )
            for subj in subjs
        },
    }
    missing = [Finding(f"{subject}, left out", False, reason) for subject, reason in left_out.items()]
    return [*(_finding(what, check) for what, check in checks.items()), *missing]


def _finding(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except InputError as error:
        return Finding(what, False, str(error))


def _things_images(folder: str) -> str:
    counts = _pictures(folder)["partition"].value_counts()
    return f"{counts['train']:,} training and {counts['test']:,} test pictures"


def _pictures(folder: str) -> pd.DataFrame:
    root = Path(folder)
    training = next((name for name in TRAINING_FOLDERS if (root / name).exists()), TRAINING_FOLDERS[0])
    return image_table(root / training, root / "test_images", root / "image_metadata.npy")


def _things_eeg(sub: str, data: Mapping[str, str]) -> str:
    release, files = find_release(data["things_eeg"], THINGS_EEG, sub=sub)
    describe = _recordings if release == "raw" else _epochs
    return f"{release}: {', '.join(describe(release, files, data['things_images']))} ({_size(files)})"


def _recordings(_: str, files: Sequence[str], __: str) -> Iterator[str]:
    minutes = sum(read_header(file).shape[1] for file in files) / 60_000
    n_missing = len(THINGS_EEG["raw"]) - len(files)
    missing = f", {n_missing} of the {len(THINGS_EEG['raw'])} recordings are missing" if n_missing else ""
    yield f"{len(files)} recordings, {minutes:.0f} minutes, 63 channels at 1000 Hz, volts{missing}"


def _epochs(release: str, files: Sequence[str], things_images: str) -> Iterator[str]:
    table = _pictures(things_images)
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


def _nsd(subj: str, folder: str) -> str:
    release, files = find_release(folder, NSD, subj=subj)
    return f"{release}: {_NSD[release](subj, files)} ({_size(files)})"


def _mindeye2(subj: str, files: Sequence[str]) -> str:
    betas, _, indices, shared1000, _ = files
    with open_dataset(betas, "betas") as dataset:
        check_betas(dataset, subj, betas)
        n_trials, n_voxels = dataset.shape
    n_images = len(np.unique(read_indices(indices, subj)))
    read_shared1000(shared1000)
    return f"{n_trials:,} of {N_TRIALS[subj]:,} trials, {n_voxels:,} voxels, {n_images:,} pictures"


def _mindeye1(_: str, files: Sequence[str]) -> str:
    samples = mindeye1.read_samples(tuple(files))
    return f"{len(samples):,} pictures, {samples['n_repetitions'].sum():,} trials"


_NSD = {"mindeye2": _mindeye2, "mindeye1": _mindeye1}


def _weights(source: str, fetched: str | None) -> str:
    if not fetched:
        check_file(source)
        return f"{source} ({_size([source])})"
    if Path(fetched).exists():
        return f"fetched from {source}"
    kind = source if is_remote(source) else f"open_clip's {source}"
    return f"to be fetched from {kind}: snakemake fetch_weights"


def _size(paths: Sequence[str]) -> str:
    files = [file for path in map(Path, paths) for file in (path.rglob("*") if path.is_dir() else [path])]
    return f"{sum(file.stat().st_size for file in files if file.is_file()) / 1e9:.2f} GB"
