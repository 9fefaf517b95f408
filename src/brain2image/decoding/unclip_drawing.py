"""Pictures drawn from the tokens of the test pairs by MindEye2's unCLIP."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from brain2image.constants.predictors import MEASURED
from brain2image.core.devices import compute_device
from brain2image.core.memory import check_memory, file_bytes
from brain2image.decoding.drawn_files import MEAN, write_drawn
from brain2image.decoding.unclip import SIDE, load_unclip, sample_pictures
from brain2image.decoding.unclip_network import Unclip
from brain2image.evaluation.picture_networks import to_square
from brain2image.formats.hdf5 import atomic_hdf5, get_dataset, get_group, open_hdf5

logger = logging.getLogger(__name__)

WORKING = 8e9  # bytes beside the weights, of four pictures of 768 x 768


def draw_unclip(
    tokens: str | os.PathLike,
    *,
    unclip: str | Path,
    runs: Sequence[str],
    out: str | os.PathLike,
    steps: int,
    n_samples: int,
    seed: int,
) -> None:
    """Draw pictures from the tokens of each test pair by MindEye2's unCLIP, and keep them small.

    Parameters
    ----------
    tokens : what `decode_pairs.decode_pairs` or `prior_pairs.sample_pairs` wrote.
    unclip : what `unclip.extract_unclip` wrote.
    runs : those whose tokens are drawn, beside those of the measured fMRI.
    out : HDF5, see `drawn_files`: of each run (n_pairs, n_samples, 256, 256, 3) uint8, and of the training
        mean what is drawn of the mean embedding's tokens.
    steps, n_samples, seed : see `unclip.sample_pictures`; the noise of a test pair is the same in every
        run.

    Raises
    ------
    InputError
        As there; when diffusers is not installed, or the memory too small.
    """
    device = compute_device()
    # on a CPU all is float32
    needed = file_bytes(unclip) * (2 if device == "cpu" else 1) + WORKING
    remedy = "take a larger device, or set decoding.pictures to linear"
    check_memory(needed, device, what="the unCLIP", remedy=remedy)
    network = load_unclip(unclip)
    options = {"steps": steps, "n_samples": n_samples, "seed": seed, "side": SIDE}
    with open_hdf5(tokens) as file, atomic_hdf5(out) as drawn:
        group = get_group(file, "runs")
        datasets = {name: get_dataset(group, name) for name in (*runs, MEASURED)}
        write_drawn(drawn, MEAN, _draw(network, get_dataset(file, "centre"), 1, options))
        for name, dataset in datasets.items():
            logger.info("drawing %d pictures of %s", n_samples * len(dataset), name)
            write_drawn(drawn, name, _draw(network, dataset, len(dataset), options))


def _draw(network: Unclip, tokens: h5py.Dataset, n_trials: int, options: dict[str, int]) -> np.ndarray:
    """Draw the first trials, (n_trials, n_samples, 256, 256, 3) uint8."""
    blocks = sample_pictures(network, tokens[:n_trials].astype(np.float32), **options)
    return np.concatenate([shrink(block) for block in blocks])


def shrink(pictures: np.ndarray) -> np.ndarray:
    """Scale pictures to 256 by 256 pixels, as the metrics do first.

    Parameters
    ----------
    pictures : (n_trials, n_samples, side, side, 3) uint8.

    Returns
    -------
    (n_trials, n_samples, 256, 256, 3) uint8.
    """
    small = to_square(pictures.reshape(-1, *pictures.shape[2:]))
    return small.reshape(*pictures.shape[:2], *small.shape[1:])
