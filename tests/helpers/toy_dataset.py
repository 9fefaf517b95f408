"""A data set of one's own in one file: its pictures are JPEGs in a folder, its EEG is one array a person."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from brain2image.datasets.base import EEGDataset


class Toy(EEGDataset):
    """Two people, eight channels."""

    name = title = picture_title = "toy"
    folders = ("toy_eeg", "toy_pictures")
    people = ("toy-01", "toy-02")
    releases = {"arrays": ["{person}.npy"]}  # noqa: RUF012
    picture_reader = eeg_reader = __file__

    def find_images(self, data, people, *, must_exist):
        """The pictures are there whoever saw them."""
        source = super().find_images(data, people, must_exist=must_exist)
        return source._replace(files=[data["toy_pictures"]], reader=self.picture_reader)


DATASET = Toy()


def repack_images(folder, *, out):
    """Write the table of all pictures; their concepts are the names of their folders."""
    paths = sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.jpg"))
    pd.DataFrame(
        {
            "image": 100 + np.arange(len(paths)),  # ids need not be rows
            "path": paths,
            "concept": [path.split("/")[-2] for path in paths],
            "partition": "train",
            "part": "all",
        }
    ).to_parquet(out)


def read_images(table, root):
    """Read pictures of the table."""
    return [Image.open(Path(root, path)).convert("RGB") for path in table["path"]]


def repack_eeg(files, images, *, out, n_threads):
    """Write two trials of each picture but the last one."""
    image = pd.read_parquet(images)["image"].to_numpy()[:-1]
    eeg = np.load(files[0]).astype(np.float32)
    with h5py.File(out, "w") as file:
        file["eeg"] = np.concatenate([eeg[: len(image)], eeg[: len(image)] * 0.9])
        trials = file.create_group("trials")
        trials["image"] = np.tile(image, 2)
        trials["repetition"] = np.repeat([0, 1], len(image))
        trials["session"] = trials["onset"] = np.full(2 * len(image), -1)
        trials.attrs["columns"] = ["image", "repetition", "session", "onset"]
        channels = ["Fz", "Cz", "Pz", "Oz", "O1", "O2", "PO7", "PO8"]
        attributes = {"unit": "uV", "sfreq": 200.0, "t0": 0.0, "channels": channels, "release": "arrays"}
        file.attrs.update(attributes)
