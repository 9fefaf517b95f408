"""The pictures whose measured fMRI is nearest to an embedding."""

import os
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import open_trials, read_attributes, read_rows

BLOCK_TRIALS = 1024  # 17 MB of 4096 features


class Gallery(NamedTuple):
    """Pictures, and the directions of their fMRI."""

    images: np.ndarray  # (n_images,) int64, NSD's numbers
    directions: np.ndarray  # (n_images, n_features) float32, centred, of unit length
    centre: np.ndarray  # (n_features,) float32, mean embedding of the training pairs

    def nearest(self, embeddings: np.ndarray, *, top_k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest pictures by cosine after centring, as the evaluation compares.

        Parameters
        ----------
        embeddings : (n_trials, n_features) float32.
        top_k : number of pictures, n_images at most.

        Returns
        -------
        images : (n_trials, top_k) int64, the nearest first.
        similarities : (n_trials, top_k) float32.
        """
        similarity = _directions(embeddings - self.centre) @ self.directions.T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :top_k]
        return self.images[order], np.take_along_axis(similarity, order, axis=1)


def read_gallery(path: str | os.PathLike, *, centre: np.ndarray, sha256: str, top_k: int) -> Gallery:
    """Read the mean embedding of every picture.

    Parameters
    ----------
    path : ``results/projection/{subj}.h5``.
    centre : (n_features,) float32, mean embedding of the training pairs.
    sha256 : of the MindEye2 checkpoint in whose space the model predicts.
    top_k : pictures that will be asked for.

    Raises
    ------
    InputError
        When the file is damaged, of another checkpoint, or holds too few pictures.
    """
    with open_trials(path, "embedding", ("n_trials", "n_features")) as (dataset, trials):
        attributes = read_attributes(dataset.file, ("checkpoint", "sha256"))
        if attributes["sha256"] != sha256 or dataset.shape[1] != len(centre):
            raise InputError(
                f"{path}: expected {len(centre)} features of the checkpoint of the training (sha256 "
                f"{sha256[:8]}), got {dataset.shape[1]} of {attributes['checkpoint']} (sha256 "
                f"{attributes['sha256'][:8]}): spaces of different checkpoints are unrelated; use the "
                "projection that the run was trained on"
            )
        images, means = _image_means(dataset, trials)
    if not 1 <= top_k <= len(images):
        raise InputError(f"{path}: expected top_k from 1 to {len(images)}, its pictures, got {top_k}")
    return Gallery(images, _directions(means - centre), centre)


def _image_means(dataset: h5py.Dataset, trials: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Average over trials: numbers (n_images,), embeddings (n_images, n_features) float32 of all pictures."""
    images, position, counts = np.unique(trials["image"], return_inverse=True, return_counts=True)
    sums = np.zeros((len(images), dataset.shape[1]), np.float32)
    for start in range(0, len(dataset), BLOCK_TRIALS):
        block = read_rows(dataset, slice(start, start + BLOCK_TRIALS))
        np.add.at(sums, position[start : start + len(block)], block)
    return images, sums / counts[:, None].astype(np.float32)


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (n, n_features) to unit length; a zero vector stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
