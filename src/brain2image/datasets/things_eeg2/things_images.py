"""The pictures of THINGS-EEG2: one table of all of them, in the order of the event codes."""

import os
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular
from brain2image.formats.files import write_parquet
from brain2image.formats.pictures import Pictures, decode
from brain2image.formats.unpickling import load_arrays

# Column `partition` of the table -> prefix of the lists' names in image_metadata.npy.
METADATA_PREFIXES = {"train": "train_img", "test": "test_img"}


def repack_images(
    training_images: str | os.PathLike,
    test_images: str | os.PathLike,
    metadata: str | os.PathLike,
    *,
    out: str | os.PathLike,
) -> None:
    """Write the table of all pictures, see `image_table`, with the column ``part``, as Parquet.

    A picture that was cut short is found here, not after hours of CLIP: one without a JPEG's two ends is
    decoded, which is an InputError where it fails.
    """
    table, root = image_table(training_images, test_images, metadata), Path(training_images).parent
    for path in table["path"]:
        check_regular(root / path, remedy="unpack the image archive again")
        if not _has_both_ends(root / path):
            read_image(root / path)
    write_parquet(out, table.assign(part="all"))  # everybody saw all of them


def image_table(
    training_images: str | os.PathLike, test_images: str | os.PathLike, metadata: str | os.PathLike
) -> pd.DataFrame:
    """List all pictures, training before test, each sorted by folder and then by file.

    This is the order of the event codes: training picture ``i`` has the code ``i + 1`` in a training file,
    test picture ``n_train + i`` the code ``i + 1`` in a test file. ``image_metadata.npy`` holds the authors'
    own lists, and every entry must agree with the folders.

    Parameters
    ----------
    training_images, test_images : folders of ``NNNNN_concept/file.jpg``, side by side (OSF y63gw); some
        releases call the first ``train_images``.
    metadata : image_metadata.npy (OSF qkgtf).

    Returns
    -------
    Table of image (int64, from 0), path (POSIX, relative to the folder that holds ``training_images``),
    concept (folder name without its number) and partition (train or test).

    Raises
    ------
    InputError
        Names the first picture on which the folders and ``metadata`` disagree.
    """
    lists = load_arrays(metadata)
    table = pd.concat(
        [
            _partition_table(Path(folder), listed_files(lists, partition, metadata), partition, metadata)
            for folder, partition in ((training_images, "train"), (test_images, "test"))
        ],
        ignore_index=True,
    )
    table.insert(0, "image", range(len(table)))
    return table


def read_images(table: pd.DataFrame, root: str | os.PathLike) -> Pictures:
    """Open the pictures of a table as RGB, in its row order.

    Parameters
    ----------
    table : the table of `repack_images`, or some rows of it.
    root : the folder that holds the folders of training and test pictures.
    """
    return Pictures(table[["path"]], lambda row: read_image(Path(root, row.path)))


def read_image(path: str | os.PathLike) -> Image.Image:
    """Read one picture as RGB; an unreadable one is an InputError with its path."""
    check_regular(path, remedy="check the image folder in the config")
    return decode(path, source=path, remedy="unpack the image archive again")


def _has_both_ends(path: Path) -> bool:
    """Tell whether a file begins and ends as a JPEG does; a whole one may have something after its end."""
    with open(path, "rb") as file:
        start, size = file.read(2), file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2))
        return (start, file.read()) == (b"\xff\xd8", b"\xff\xd9")


def listed_files(lists: Any, partition: str, metadata: str | os.PathLike) -> list[str]:
    """Return the ``folder/file`` names that image_metadata.npy lists for ``train`` or ``test``."""
    prefix = METADATA_PREFIXES[partition]
    keys = [f"{prefix}_concepts", f"{prefix}_files"]
    found = lists if isinstance(lists, dict) else {}
    if not all(isinstance(found.get(key), list) for key in keys):
        kinds = [f"{name} ({type(value).__name__})" for name, value in found.items()]
        raise InputError(
            f"{metadata}: expected a dict with the lists {' and '.join(keys)}, got "
            f"{', '.join(kinds) or type(lists).__name__}; "
            "download image_metadata.npy again (OSF qkgtf)"
        )
    concepts, files = (lists[key] for key in keys)
    if len(concepts) != len(files):
        raise InputError(
            f"{metadata}: expected {keys[0]} and {keys[1]} of one length, got {len(concepts)} and "
            f"{len(files)}; download image_metadata.npy again (OSF qkgtf)"
        )
    return [f"{concept}/{file}" for concept, file in zip(concepts, files, strict=True)]


def _partition_table(
    folder: Path, listed: list[str], partition: str, metadata: str | os.PathLike
) -> pd.DataFrame:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; unpack the picture archives there (OSF y63gw)")
    files = sorted(
        # macOS archives carry hidden "._name.jpg" twins that are no pictures
        (path.parent.name, path.name)
        for path in folder.glob("*/*.jpg")
        if not path.name.startswith(".")
    )
    for position, (expected, found) in enumerate(zip_longest(listed, map("/".join, files))):
        if expected != found:
            raise InputError(
                f"{folder}: expected {expected or 'no more pictures'} as its picture {position} in sorted "
                f"order ({len(listed)} in {metadata}), got {found or 'no more pictures'} "
                f"({len(files)} on disk); unpack the picture archives again, with no file added or renamed"
            )
    return pd.DataFrame(
        {
            "path": [f"{folder.name}/{concept}/{file}" for concept, file in files],
            # the number is counted anew in each partition: it is no name of a concept
            "concept": [concept.split("_", 1)[-1] for concept, _ in files],
            "partition": partition,
        }
    )
