"""Data of which the best possible prediction is known, for `recovery.py`: one LMDB a setting."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.datasets.signals import cut_epochs, filter_eeg
from brain2image.formats.hdf5 import write_trials
from brain2image.pairs.clustering import cluster_pairs
from brain2image.synthetic.eeg import CHANNELS, SFREQ, draw_evoked
from brain2image.synthetic.fmri import draw_betas, draw_ridge, draw_voxels
from brain2image.synthetic.latents import KINSHIP, generator, things_latents
from brain2image.synthetic.raw_files import record
from brain2image.training_set.lmdb_store import write_lmdb

SUBJECT, NSD_SUBJECT = "sub-01", "subj01"
N_LATENTS, N_VOXELS, N_FEATURES, N_CLIP = 12, 400, 256, 64
N_TRIALS, N_REPETITIONS, IMAGES_PER_CONCEPT = 4, 3, 5
N_TEST = 200
VAL_SHARE = 1 / 8  # of the training pairs, as 80/10/10 splits have it
N_CLUSTERS = 5
CLIP_NOISE = 0.27  # the latents are read back from CLIP features with an R2 of 0.93
# The occipital and parietal electrodes that UBP and NeuroBridge take.
_POSTERIOR = "P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"
POSTERIOR = _POSTERIOR.split()
RATE = 200  # Hz of the epochs
SEQUENCE, SEQUENCES_PER_PART = 20, 40  # pictures, and sequences of one uninterrupted recording


class Setting(NamedTuple):
    """What one data set is made from."""

    snr: float  # of a single EEG trial, root mean squares
    n_pairs: int  # training pairs
    nonlinear: bool  # whether the fMRI also answers to the latents' magnitudes
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        relation = "nonlinear" if self.nonlinear else "linear"
        return f"snr{self.snr:g}_{self.n_pairs}_{relation}_{self.seed}"


def magnitudes(latents: np.ndarray) -> np.ndarray:
    """(|z| - E|z|) / sd(|z|) of standard normal z: unit variance, and no linear relation with z."""
    return (np.abs(latents) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)


def fmri_latents(latents: np.ndarray, *, nonlinear: bool) -> np.ndarray:
    """What the voxels answer to: the latents, and beside each its magnitude where the relation is not linear.

    Parameters
    ----------
    latents : (n_images, n_latents) float64, what the EEG answers to, linearly.

    Returns
    -------
    (n_images, n_latents) or, with ``nonlinear``, (n_images, 2 * n_latents); half of the variance is linear.
    """
    if not nonlinear:
        return latents
    return np.stack([latents, magnitudes(latents)], axis=2).reshape(len(latents), -1)


def write_setting(setting: Setting, folder: Path) -> None:
    """Write ``data.lmdb`` and ``oracle.npz`` of a setting.

    The oracle holds ``concept`` and ``clip`` of every THINGS picture, and ``expected``, its embedding without
    noise.
    """
    n_val = round(setting.n_pairs * VAL_SHARE)
    n_images = setting.n_pairs + n_val + N_TEST
    n_concepts = -(-n_images // IMAGES_PER_CONCEPT)
    seed = setting.seed
    things = things_latents(n_concepts, IMAGES_PER_CONCEPT, N_LATENTS, partition="training", seed=seed)
    things = things[:n_images]
    rng = generator(seed, "partners")
    nsd = KINSHIP * things + np.sqrt(1 - KINSHIP**2) * rng.normal(size=things.shape)
    folder.mkdir(parents=True, exist_ok=True)
    _write_eeg(folder / "eeg.h5", things, setting)
    expected = _write_fmri(folder / "fmri.h5", things, nsd, setting)
    basis, _ = np.linalg.qr(rng.normal(size=(N_CLIP, N_LATENTS)))
    clip, fmri_clip = (
        (latents + CLIP_NOISE * rng.normal(size=things.shape)) @ basis.T for latents in (things, nsd)
    )
    concept = np.arange(n_images) // IMAGES_PER_CONCEPT
    with atomic_path(folder / "oracle.npz") as scratch, scratch.open("wb") as file:
        np.savez(file, concept=concept, clip=clip.astype(np.float32), expected=expected.astype(np.float32))
    split = np.repeat(["train", "val", "test"], [setting.n_pairs, n_val, N_TEST])
    pairs = pd.DataFrame(
        {"eeg_image": range(n_images), "fmri_image": range(n_images), "similarity": 1.0, "split": split}
    )
    pairs["concept"] = concept.astype(str)
    training = (pairs["split"] == "train").to_numpy()
    pairs["cluster"] = cluster_pairs(clip, fmri_clip, training, n_clusters=N_CLUSTERS, seed=0)
    write_lmdb(folder / "data.lmdb", eeg=folder / "eeg.h5", projection=folder / "fmri.h5", pairs=pairs)
    for name in ("eeg.h5", "fmri.h5"):
        (folder / name).unlink()


def _write_eeg(path: Path, latents: np.ndarray, setting: Setting) -> None:
    """Recordings of sequences of pictures, each picture four times, filtered and cut as raw data are."""
    rng = generator(setting.seed, "recording")
    evoked = draw_evoked(N_LATENTS, snr=setting.snr, seed=setting.seed, subject=SUBJECT)
    n_shown = SEQUENCE * SEQUENCES_PER_PART
    codes = np.concatenate([rng.permutation(len(latents)) + 1 for _ in range(N_TRIALS)])
    rows = [CHANNELS.index(name) for name in POSTERIOR]
    epochs, images = [], []
    for start in range(0, len(codes), n_shown):
        shown = codes[start : start + n_shown]
        shown = np.resize(shown, (-(-len(shown) // SEQUENCE), SEQUENCE))  # the last sequence is filled up
        raw = record(shown, latents, evoked, rng=rng)
        onsets = np.flatnonzero(raw[-1])[: len(codes) - start]
        eeg = filter_eeg(1e6 * raw[rows], SFREQ, highpass=0.3, lowpass=75.0, notch=50.0)
        epochs.append(cut_epochs(eeg, onsets, n_times=RATE, step=SFREQ // RATE))
        images.append(raw[-1, onsets].astype(int) - 1)
    with h5py.File(path, "w") as file:
        file["eeg"] = np.concatenate(epochs)
        attributes = {"unit": "uV", "sfreq": float(RATE), "t0": 0.0, "channels": POSTERIOR}
        write_trials(file, _trials(np.concatenate(images)), attributes)


def _write_fmri(path: Path, things: np.ndarray, nsd: np.ndarray, setting: Setting) -> np.ndarray:
    """Embeddings of three repetitions of every partner; returns the THINGS pictures' own, without noise."""
    shown, seen = (fmri_latents(latents, nonlinear=setting.nonlinear) for latents in (nsd, things))
    voxels = draw_voxels(shown.shape[1], N_VOXELS, seed=setting.seed, subject=NSD_SUBJECT)
    weight, bias = draw_ridge(voxels, N_FEATURES, seed=setting.seed, subject=NSD_SUBJECT)
    images = np.repeat(np.arange(len(nsd)), N_REPETITIONS)
    betas = draw_betas(shown[images], voxels, rng=generator(setting.seed, "betas"))
    with h5py.File(path, "w") as file:
        file["embedding"] = (betas @ weight.T + bias).astype(np.float32)
        write_trials(file, _trials(images), {"checkpoint": "synthetic", "sha256": "0" * 64})
    return seen @ voxels.tuning @ weight.T + bias


def _trials(images: np.ndarray) -> pd.DataFrame:
    repetition = pd.Series(images).groupby(images).cumcount().to_numpy()
    return pd.DataFrame({"image": images, "repetition": repetition, "session": 0})
