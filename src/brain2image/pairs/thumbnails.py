"""Small copies of the pictures that validation asks for, for who looks on while a network learns."""

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from brain2image.datasets.picture_sets import PictureSet

SIDES = ("eeg_image", "fmri_image")
WIDTH, QUALITY = 80, 85  # pixels, and of the JPEG: some 3 kB each
READ_PICTURES = 64  # read at once, as they are large


def shrink_pictures(pairs: pd.DataFrame, sets: Sequence[PictureSet]) -> pd.DataFrame:
    """Shrink both pictures of each validation pair, each picture once.

    Parameters
    ----------
    pairs : columns eeg_image, fmri_image, split.
    sets : the pictures of the EEG and of the fMRI.

    Returns
    -------
    A row a picture: ``side``, the column of ``pairs`` that names it; ``image``, its id there; ``jpeg``, the
    file of a square of ``WIDTH`` pixels.
    """
    shown = pairs[pairs["split"] == "val"]
    tables = [
        pd.DataFrame({"side": side, "image": images, "jpeg": list(_shrink(images, own))})
        for side, own in zip(SIDES, sets, strict=True)
        for images in [np.unique(shown[side])]
    ]
    return pd.concat(tables, ignore_index=True)


def _shrink(images: np.ndarray, own: PictureSet) -> Iterator[bytes]:
    for start in range(0, len(images), READ_PICTURES):
        for image in own.read(images[start : start + READ_PICTURES]):
            file = io.BytesIO()
            image.resize((WIDTH, WIDTH)).save(file, "JPEG", quality=QUALITY)
            yield file.getvalue()
