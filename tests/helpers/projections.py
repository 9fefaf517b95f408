"""Projected trials of one person, as the workflow writes them."""

import h5py
import numpy as np
import pandas as pd

from brain2image.formats.hdf5 import write_trials

SOURCE = {"checkpoint": "last.pth", "sha256": "ab" * 32}


def write_projection(path, embedding, images, **source):
    trials = pd.DataFrame({"image": images, "session": np.arange(len(images)) // 2})
    trials.insert(1, "repetition", trials.groupby("image").cumcount())
    with h5py.File(path, "w") as file:
        file["embedding"] = embedding
        write_trials(file, trials, SOURCE | source)
    return path
