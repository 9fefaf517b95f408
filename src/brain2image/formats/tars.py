"""Webdataset tars: where the members of each sample lie, and the small arrays among them."""

import io
import os
import tarfile
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np

from brain2image.core.errors import InputError, reason
from brain2image.core.regular import check_regular
from brain2image.formats.unpickling import read_npy

# What tarfile raises on a damaged file, its own errors and those of the numbers in it.
DAMAGE = (tarfile.TarError, OSError, ValueError, LookupError, ArithmeticError, EOFError, MemoryError)


class Member(NamedTuple):
    """Where a file's bytes lie in a tar."""

    offset: int
    size: int


def find_samples(path: str | os.PathLike, kinds: Collection[str]) -> dict[str, dict[str, Member]]:
    """Find where the members of each sample lie in a webdataset tar; only headers are read.

    A member's name up to the first dot is its sample's, the rest is its kind. The order of members means
    nothing.

    Parameters
    ----------
    path : an uncompressed tar.
    kinds : what every sample must have, for example ``behav.npy``.

    Returns
    -------
    The members by kind of each sample.

    Raises
    ------
    InputError
        When the tar is cut short or none, or holds something else than plain files below its own folder, each
        of one size and without holes, a member twice, a sample without one of ``kinds``, or no sample.
    """
    check_regular(path, remedy="download it again")
    samples: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = _safe_name(member, path)
                if member.isdir():
                    continue
                stem, _, kind = name.name.partition(".")
                members = samples.setdefault(str(name.parent / stem), {})
                if kind in members:
                    raise InputError(f"{path}: expected one {kind} in {stem}, got two; download it again")
                members[kind] = Member(member.offset_data, member.size)
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{path}: cannot read this tar ({reason(error)}); download it again") from None
    if not samples:
        raise InputError(f"{path}: expected samples with {' and '.join(kinds)}, got none; download it again")
    for sample, members in samples.items():
        if missing := [kind for kind in kinds if kind not in members]:
            raise InputError(
                f"{path}: expected {', '.join(missing)} in every sample, got {sample} with "
                f"{', '.join(members)}; download it again"
            )
    return samples


def _safe_name(member: tarfile.TarInfo, path: str | os.PathLike) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise InputError(
            f"{path}: expected plain files below the tar's own folder, got {member.name!r}; "
            "this is not the release's tar"
        )
    # a sparse file's bytes stand elsewhere than its size says, and so do those of a size that is given twice
    if member.issparse() or member.size < 0 or any("size" in key.lower() for key in member.pax_headers):
        raise InputError(
            f"{path}: expected plain files, got {member.name!r} with holes or a size of its own; this is not "
            "the release's tar"
        )
    return name


def read_member(file: BinaryIO, member: Member, *, source: str) -> bytes:
    """Read the bytes of a member of an open tar.

    Parameters
    ----------
    file : the tar, opened for reading bytes.
    member : where they lie.
    source : tar and sample, for messages.
    """
    file.seek(member.offset)
    content = file.read(member.size)
    if len(content) != member.size:
        raise InputError(
            f"{source}: expected {member.size} bytes, got {len(content)}; download the tar again"
        )
    return content


def read_array(file: BinaryIO, member: Member, *, source: str) -> np.ndarray:
    """Read the array of an ``.npy`` member of an open tar; one with pickled objects is an InputError."""
    content = read_member(file, member, source=source)
    return read_npy(io.BytesIO(content), source=source, remedy="download the tar again")
