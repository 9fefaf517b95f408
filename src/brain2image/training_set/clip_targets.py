"""A training set whose targets are the CLIP features of the pictures that the EEG's people saw."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.pairs.clip_embeddings import Embeddings
from brain2image.training_set.lmdb_store import LMDBReader


class ClipTargets(LMDBReader):
    """A reader whose embeddings are no fMRI's: the EEG is held against what papers on EEG and pictures use.

    Each picture is its own partner, ``fmri`` and ``predicted`` are both its projected CLIP features, and all
    else is as `reader` has it.

    Parameters
    ----------
    reader : of one person, or of several who saw one set of pictures.
    pictures : CLIP's embeddings of these pictures.
    files : where these are stored; they join ``paths``, on all of which a training depends.

    Raises
    ------
    InputError
        When a picture has no features, or the people saw different sets.
    """

    def __init__(self, reader: LMDBReader, pictures: Embeddings, files: Sequence[str | Path] = ()):
        self._reader = reader
        self.path, self.people = reader.path, reader.people
        self.paths = [*reader.paths, *map(Path, files)]
        self.pictures, self.eeg_index = reader.pictures, reader.eeg_index
        self.pairs = reader.pairs.assign(fmri_image=reader.pairs["eeg_image"], similarity=1.0)
        tested = np.unique(reader.pictures.loc[reader.pictures["split"] == "test", "image"])
        # those that may be learned from come first, as trials are numbered from 0 on
        learnable = np.setdiff1d(reader.pictures["image"], tested)
        images = np.append(learnable, tested)
        if unknown := np.setdiff1d(images, pictures.image).tolist():
            raise InputError(
                f"{pictures.source}: expected features of all {len(images)} pictures that are learned from, "
                f"{len(unknown)} have none (first: {unknown[0]}); a run with training.targets clip learns "
                "from people of one data set"
            )
        self._features = pictures.of(images).astype(np.float32)
        self.fmri_index = pd.DataFrame({"trial": np.arange(len(images)), "image": images, "repetition": 0})
        self.predicted_index = self.fmri_index.drop(columns="repetition").head(len(learnable))
        self.meta = {
            **{key: value for key, value in reader.meta.items() if key != "predicted_attributes"},
            "n_features": self._features.shape[1],
            "fmri_attributes": {"clip": pictures.clip},
        }

    def read(self, name: str, trials: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read trials of ``eeg``, or features of pictures, see `LMDBReader.read`."""
        if name == "eeg":
            return self._reader.read(name, trials)
        return self._features[np.asarray(trials, np.int64)]
