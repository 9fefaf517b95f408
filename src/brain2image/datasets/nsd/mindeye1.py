"""NSD as MindEye1 released it: webdataset tars with one sample a picture (pscotti/naturalscenesdataset).

In ``webdataset_avg_new/{train,val,test}/*.tar`` a sample has the members ``coco73k.npy`` (0-based NSD id),
``jpg`` (picture), ``nsdgeneral.npy`` (betas, (3, n_voxels) float16), ``num_uniques.npy`` (how many of the
three rows are real: those of a picture seen once are equal, of one seen twice the third is the mean) and
``trial.npy`` (first trial). Test pictures are the shared 1,000. The format is only told in the authors' code
and in issues 33, 48 and 51 of https://github.com/MedARC-AI/fMRI-reconstruction-NSD.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import BinaryIO

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.nsd.checks import FIRST_SHARED, N_IMAGES, N_TRIALS, N_VOXELS
from brain2image.datasets.nsd.layout import SHARED
from brain2image.formats.files import read_json, write_parquet
from brain2image.formats.hdf5 import atomic_hdf5, write_trials
from brain2image.formats.tars import Member, find_samples, read_array

logger = logging.getLogger(__name__)

KINDS = ("coco73k.npy", "num_uniques.npy", "trial.npy", "jpg", "nsdgeneral.npy")
AVG_SPLIT_KIND = "wholebrain_3d.npy"
TAR = re.compile(r"(train|val|test)_(subj0[1-8])_\d+\.tar")
ROWS = 3  # of nsdgeneral.npy
# Samples of a subject with all 40 sessions.
N_SAMPLES = {"train": 8700, "val": 300, "test": 1000}


def repack_images(*tars: str | os.PathLike, out: str | os.PathLike) -> None:
    """Write the table of all pictures in the tars; of a picture that several subjects saw, one place.

    Parameters
    ----------
    tars : all tars of one or several subjects.
    out : Parquet table, sorted, with the columns image (int64, 0-based NSD id), tar (path below the folder of
        the release), offset and size (int64, bytes of the JPEG in the tar), shared1000 (bool) and part
        (``shared``, or the subject who saw it).
    """
    samples = read_samples(tars)
    samples["shared1000"] = samples["part"] == "test"
    mixed = samples.groupby("image")["shared1000"].nunique()
    if (mixed > 1).any():
        raise InputError(
            f"{samples['tar'].iloc[0]}: expected the test pictures of one subject to be no training pictures "
            f"of another, got {(mixed > 1).sum()} that are (first: {mixed.idxmax()}); download all tars again"
        )
    table = samples.drop_duplicates("image").sort_values("image")
    places = pd.DataFrame(table["jpg"].tolist(), columns=Member._fields, index=table.index)
    table = table.assign(tar=[str(PurePath(*tar.parts[-3:])) for tar in table["tar"]], **places)
    is_common = table["shared1000"] | table["image"].isin(samples["image"][samples["image"].duplicated()])
    table["part"] = np.where(is_common, SHARED, table["subject"])
    write_parquet(out, table[["image", "tar", "offset", "size", "shared1000", "part"]])


def repack_fmri(*tars: str | os.PathLike, subject: str, out: str | os.PathLike) -> None:
    """Write one subject's betas with the picture of each, in the order of the samples.

    Parameters
    ----------
    tars : all tars of the subject.
    subject : ``subj01`` to ``subj08``.
    out : HDF5 with ``betas`` (n_trials, n_voxels) float32, z-scored, and ``trials``: image (0-based NSD id),
        repetition (of this image, from 0) and session (-1: the release does not say).
    """
    samples = read_samples(tars)
    if set(samples["subject"]) != {subject}:
        raise InputError(f"{tars[0]}: expected tars of {subject}, got {', '.join(set(samples['subject']))}")
    with atomic_hdf5(out) as file:
        n_voxels = _write_betas(file, samples, subject)
        write_trials(file, trial_table(samples))
    logger.warning(
        "%s: MindEye2's ridge was fitted on MindEye2's betas (fp32_renorm), normalised in another way than "
        "MindEye1's; its authors do not describe this use",
        subject,
    )
    logger.info("%s: %d pictures, %d voxels", subject, len(samples), n_voxels)


def read_samples(tars: tuple[str | os.PathLike, ...]) -> pd.DataFrame:
    """List all samples of all tars, a row each, in their order; no picture and no beta is read.

    Returns
    -------
    Table of subject, part (train, val or test), tar (path), sample (name), image (0-based NSD id),
    n_repetitions (1 to 3), and where in the tar jpg and betas lie.

    Raises
    ------
    InputError
        When a tar is not one of webdataset_avg_new, samples lack a member, or a subject's tars do not hold
        each picture once, the first shared picture, and as many samples as its metadata file says.
    """
    samples = pd.DataFrame([row for tar in tars for row in _read_tar(Path(tar))])
    for subject, own in samples.groupby("subject"):
        _check_subject(own, subject)
    return samples


def _read_tar(path: Path) -> list[dict]:
    name = TAR.fullmatch(path.name)
    if not name:
        raise InputError(f"{path}: expected a name such as train_subj01_0.tar; keep the names of the release")
    rows = []
    found = find_samples(path, KINDS)
    with path.open("rb") as file:
        for sample, members in found.items():
            if AVG_SPLIT_KIND in members:
                raise InputError(
                    f"{path}: expected webdataset_avg_new, got {AVG_SPLIT_KIND} in {sample}: this is "
                    "webdataset_avg_split, which lacks the last 3 sessions; download webdataset_avg_new"
                )
            image, n_repetitions, _ = (
                _read_integer(file, members[kind], limits, source=f"{path}: {sample}.{kind}")
                for kind, limits in (
                    ("coco73k.npy", (0, N_IMAGES - 1)),
                    ("num_uniques.npy", (1, ROWS)),
                    ("trial.npy", (0, N_TRIALS[name[2]] - 1)),
                )
            )
            rows.append(
                {
                    "subject": name[2],
                    "part": name[1],
                    "tar": path,
                    "sample": sample,
                    "image": image,
                    "n_repetitions": n_repetitions,
                    "jpg": members["jpg"],
                    "betas": members["nsdgeneral.npy"],
                }
            )
    return rows


def _read_integer(file: BinaryIO, member: Member, limits: tuple[int, int], *, source: str) -> int:
    array = read_array(file, member, source=source)
    value = array.item() if array.size == 1 and array.dtype.kind in "iuf" else np.nan
    if not (limits[0] <= value <= limits[1] and value == int(value)):
        raise InputError(
            f"{source}: expected one integer from {limits[0]} to {limits[1]}, got {array.dtype} {array.shape}"
            f"{f' {value}' if array.size == 1 else ''}; download the tar again"
        )
    return int(value)


def _check_subject(samples: pd.DataFrame, subject: str) -> None:
    folder = samples["tar"].iloc[0].parents[1]
    twice = samples.loc[samples["image"].duplicated(), "image"]
    if len(twice):
        raise InputError(
            f"{folder}: expected each picture of {subject} once, got {len(twice)} twice "
            f"(first: {twice.iloc[0]}); download the tars of {subject} again"
        )
    first = samples.loc[samples["part"] == "test", "image"].min()
    if first != FIRST_SHARED:
        raise InputError(
            f"{folder}: expected the first test picture of {subject} at {FIRST_SHARED}, counted from 0, got "
            f"{first}{' (off by one: counted from 1?)' if abs(first - FIRST_SHARED) == 1 else ''}; "
            f"download the tars of {subject} again"
        )
    metadata = folder / f"metadata_{subject}.json"
    if metadata.is_file():
        counts = samples["part"].value_counts().to_dict()
        if _read_totals(metadata) != counts:
            raise InputError(
                f"{folder}: expected the samples of {metadata.name}, {_read_totals(metadata)}, got {counts}; "
                f"download the tars of {subject} again"
            )


def _read_totals(metadata: Path) -> object:
    content = read_json(metadata)
    if not isinstance(content, dict) or "totals" not in content:
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{metadata}: expected 'totals', got {found or 'nothing'}; download it again")
    return content["totals"]


def trial_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Make a table of one row a real repetition, int64: image, repetition from 0, session -1.

    Parameters
    ----------
    samples : image and n_repetitions of each sample.
    """
    image = samples["image"].repeat(samples["n_repetitions"]).reset_index(drop=True)
    return pd.DataFrame({"image": image, "repetition": image.groupby(image).cumcount(), "session": -1})


def _write_betas(file: h5py.File, samples: pd.DataFrame, subject: str) -> int:
    """Write the real rows of all samples one after the other; return the number of voxels."""
    betas, start = None, 0
    for source, rows in _read_betas(samples):
        n_rows, n_voxels = rows.shape
        if betas is None:
            _check_size(samples, n_voxels, subject, source=source)
            betas = file.create_dataset("betas", (samples["n_repetitions"].sum(), n_voxels), np.float32)
        if n_voxels != betas.shape[1]:
            raise InputError(
                f"{source}: expected {betas.shape[1]} voxels as in the first sample, got {n_voxels}; "
                "is it another subject's tar?"
            )
        betas[start : start + n_rows] = rows
        start += n_rows
    assert betas is not None  # as there are samples
    return betas.shape[1]


def _read_betas(samples: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and (n_repetitions, n_voxels) float16 of each sample, without the rows that only fill up."""
    for tar, rows in samples.groupby("tar", sort=False):
        with tar.open("rb") as file:
            for row in rows.itertuples():
                source = f"{tar}: {row.sample}.nsdgeneral.npy"
                yield (
                    source,
                    _checked_betas(read_array(file, row.betas, source=source), source)[: row.n_repetitions],
                )


def _checked_betas(array: np.ndarray, source: str) -> np.ndarray:
    if array.ndim != 2 or len(array) != ROWS or array.shape[1] == 0 or array.dtype != np.float16:
        raise InputError(
            f"{source}: expected float16 ({ROWS}, n_voxels), got {array.dtype} {array.shape}; "
            "download the tar again"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{source}: expected finite betas, got NaN or infinity; download the tar again")
    return array


def _check_size(samples: pd.DataFrame, n_voxels: int, subject: str, *, source: str) -> None:
    """Refuse a real subject without all its pictures and voxels; synthetic ones have fewer of both."""
    counts = samples["part"].value_counts().to_dict()
    if (counts == N_SAMPLES) != (n_voxels == N_VOXELS[subject]) or (
        n_voxels in set(N_VOXELS.values()) - {N_VOXELS[subject]}
    ):
        raise InputError(
            f"{source}: expected {N_SAMPLES} samples and {N_VOXELS[subject]} voxels of {subject}, got "
            f"{counts} and {n_voxels}; are all tars there, of webdataset_avg_new and of this subject?"
        )
