"""Write the trials of one NSD subject as MindEye1 released them: webdataset tars, one sample a picture."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from brain2image.core.atomic import atomic_path
from brain2image.formats.files import write_json

N_SHARDS = {"train": 18, "val": 1, "test": 2}
VAL_SHARE = 300 / 9000  # of the pictures that are not shared
N_ROWS = 3  # of nsdgeneral.npy


def write_mindeye1(
    folder: str | Path,
    subject: str,
    *,
    indices: np.ndarray,
    betas: np.ndarray,
    shared: np.ndarray,
    picture: Callable[[int], Image.Image],
    rng: np.random.Generator,
) -> None:
    """Write ``webdataset_avg_new/{train,val,test}/*.tar`` and the subject's metadata file.

    Shared pictures are the test set, the others are divided at random; there must be enough of each to fill
    18, 1 and 2 tars.

    Parameters
    ----------
    folder : where webdataset_avg_new/ is to lie.
    subject : ``subj01`` and so on.
    indices : (n_trials,) int64, 0-based NSD id of the picture of each trial; each seen 1 to 3 times.
    betas : (n_trials, n_voxels) float32, z-scored; stored as float16.
    shared : (73000,) bool.
    picture : gives the RGB picture, 224 x 224, of an NSD id.
    """
    root = Path(folder, "webdataset_avg_new")
    parts = _divide(np.unique(indices), shared, rng)
    for part, images in parts.items():
        numbers = rng.permutation(len(images))
        for shard, chosen in enumerate(np.array_split(np.arange(len(images)), N_SHARDS[part])):
            with (
                atomic_path(root / part / f"{part}_{subject}_{shard}.tar") as scratch,
                tarfile.open(scratch, "w") as tar,
            ):
                for place in chosen:
                    for kind, content in _members(images[place], indices, betas, picture):
                        member = tarfile.TarInfo(f"sample{numbers[place]:09d}.{kind}")
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))
    totals = {part: len(images) for part, images in parts.items()}
    write_json(root / f"metadata_{subject}.json", {"totals": totals})


def _divide(images: np.ndarray, shared: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Divide pictures among the parts in random order."""
    test, others = rng.permutation(images[shared[images]]), rng.permutation(images[~shared[images]])
    n_val = max(1, round(VAL_SHARE * len(others)))
    return {"train": others[n_val:], "val": others[:n_val], "test": test}


def _members(
    image: int, indices: np.ndarray, betas: np.ndarray, picture: Callable[[int], Image.Image]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the five members of a picture's sample."""
    trials = np.flatnonzero(indices == image)
    jpeg = io.BytesIO()
    picture(int(image)).save(jpeg, format="JPEG", quality=95)
    yield "coco73k.npy", _npy(np.array([image], np.int64))
    yield "jpg", jpeg.getvalue()
    yield "nsdgeneral.npy", _npy(_padded(betas[trials]).astype(np.float16))
    yield "num_uniques.npy", _npy(np.array([len(trials)], np.int64))
    yield "trial.npy", _npy(np.array([trials[0]], np.int64))


def _padded(rows: np.ndarray) -> np.ndarray:
    """Repeat two or three rows as three of the same mean: the gap is filled with their mean."""
    return np.concatenate([rows, np.repeat(rows.mean(axis=0, keepdims=True), N_ROWS - len(rows), axis=0)])


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()
