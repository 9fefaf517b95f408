"""Data of which the best possible prediction is known, for `recovery.py`: the files of one setting.

EEG of many pictures, fMRI of fewer, and a few pairs of them that look alike, as with THINGS-EEG2 and NSD.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
import pandas as pd

from brain2image.datasets.signals import cut_epochs, filter_eeg
from brain2image.formats.hdf5 import write_trials
from brain2image.pairs.clip_embeddings import Embeddings, read_embeddings, write_embeddings
from brain2image.pairs.clustering import cluster_pairs
from brain2image.pairs.training_pictures import choose_training_pictures
from brain2image.projection.picture_encoder import write_predicted
from brain2image.projection.picture_fitting import fit_picture_encoder
from brain2image.synthetic.eeg import draw_evoked
from brain2image.synthetic.fmri import Voxels, draw_betas, draw_ridge, draw_voxels
from brain2image.synthetic.heads import CHANNELS, draw_head
from brain2image.synthetic.latents import KINSHIP, generator, nsd_latents, things_latents
from brain2image.synthetic.raw_files import record
from brain2image.training_set.lmdb_build import write_lmdb

Relation = Literal["linear", "not linear", "rich"]
SUBJECT, NSD_SUBJECT = "sub-01", "subj01"
N_LATENTS, N_VOXELS, N_FEATURES, N_CLIP = 12, 400, 256, 64
N_TRIALS, N_REPETITIONS, IMAGES_PER_CONCEPT = 4, 3, 10
N_EEG, N_NSD, N_TRAIN, N_VAL, N_TEST = 4000, 2400, 400, 50, 250  # pictures, pictures, pairs
N_CLUSTERS = 5
CLIP_NOISE = 0.27  # the latents are read back from CLIP features with an R2 of 0.93
CLIP = "synthetic"
# The occipital and parietal electrodes that UBP and NeuroBridge take.
_POSTERIOR = "P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"
POSTERIOR = _POSTERIOR.split()
RATE = 200  # Hz
SEQUENCE, SEQUENCES_PER_PART = 20, 40  # pictures, and sequences of one uninterrupted recording


class Setting(NamedTuple):
    """What one data set is made from."""

    relation: (
        Relation  # of the EEG to the embedding: to the latents, to their magnitudes too, known to CLIP too
    )
    snr: float  # of a single EEG trial, root mean squares
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.relation.replace(' ', '_')}_snr{self.snr:g}_{self.seed}"


class World(NamedTuple):
    """What the pictures of a setting show, and what answers to them."""

    things: np.ndarray  # (n_eeg, N_LATENTS) float64, what the EEG answers to, linearly
    nsd: np.ndarray  # (N_NSD, N_LATENTS); row i < N_PAIRS is the partner of THINGS picture i
    things_clip: np.ndarray  # (n_eeg, N_CLIP) float32
    nsd_clip: np.ndarray  # (N_NSD, N_CLIP) float32


class Tables(NamedTuple):
    """Which pictures there are, and what may be learned from them."""

    pairs: pd.DataFrame  # eeg_image, fmri_image, similarity, concept, cluster, split
    pictures: pd.DataFrame  # image, partition, concept of all EEG pictures
    learnable: pd.DataFrame  # image, concept, cluster of those that may be learned from


def magnitudes(latents: np.ndarray) -> np.ndarray:
    """Return (|z| - E|z|) / sd(|z|) of standard normal z: unit variance, and no linear relation with z."""
    return (np.abs(latents) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)


def with_magnitudes(latents: np.ndarray) -> np.ndarray:
    """Put beside each latent its magnitude, (n_images, 2 * n_latents)."""
    return np.stack([latents, magnitudes(latents)], axis=2).reshape(len(latents), -1)


def fmri_latents(latents: np.ndarray, relation: Relation) -> np.ndarray:
    """Return what the voxels answer to; half of the variance is linear in the latents where not all is."""
    return latents if relation == "linear" else with_magnitudes(latents)


def draw_world(setting: Setting, *, n_eeg: int = N_EEG) -> World:
    """Draw the pictures of both sets; those of the pairs have the partner that looks like them."""
    seed, rng = setting.seed, generator(setting.seed, "partners")
    things = things_latents(
        n_eeg // IMAGES_PER_CONCEPT, IMAGES_PER_CONCEPT, N_LATENTS, partition="training", seed=seed
    )
    n_pairs = N_TRAIN + N_VAL + N_TEST
    partners = KINSHIP * things[:n_pairs] + np.sqrt(1 - KINSHIP**2) * rng.normal(size=(n_pairs, N_LATENTS))
    nsd = np.concatenate([partners, nsd_latents(things[n_pairs:], N_NSD - n_pairs, seed=seed)])
    seen = [with_magnitudes(part) if setting.relation == "rich" else part for part in (things, nsd)]
    basis, _ = np.linalg.qr(rng.normal(size=(N_CLIP, seen[0].shape[1])))
    clip = [(part + CLIP_NOISE * rng.normal(size=part.shape)) @ basis.T for part in seen]
    return World(things, nsd, *(part.astype(np.float32) for part in clip))


def list_pairs(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the pairs with splits, whole concepts in each, and the table of the EEG's pictures."""
    pictures = pd.DataFrame({"image": range(len(world.things)), "partition": "train"})
    pictures["concept"] = [f"{image // IMAGES_PER_CONCEPT:05d}" for image in pictures["image"]]
    n_pairs = N_TRAIN + N_VAL + N_TEST
    pairs = pd.DataFrame({"eeg_image": range(n_pairs), "fmri_image": range(n_pairs), "similarity": 1.0})
    pairs["concept"] = pictures["concept"][:n_pairs]
    pairs["split"] = np.repeat(["train", "val", "test"], [N_TRAIN, N_VAL, N_TEST])
    return pairs, pictures


def write_setting(setting: Setting, folder: Path) -> None:
    """Write ``data.lmdb``, ``projection.h5``, ``pairs.parquet`` and the CLIP features of a setting."""
    world = draw_world(setting)
    tables = write_pictures(setting, world, folder)
    eeg, images = record_trials(world.things, snr=setting.snr, seed=setting.seed, subject=SUBJECT)
    write_person(folder / "data.lmdb", eeg, images, tables)


def write_pictures(setting: Setting, world: World, folder: Path, *, n_folds: int = 5) -> Tables:
    """Write what the EEG has no part in.

    These are the CLIP features (``things.npz``, ``nsd.npz``), ``pairs.parquet``, ``projection.h5`` and
    ``predicted.h5``, by ridge or kernel ridge, whichever predicts unseen pictures better in ``n_folds``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, features in (("things", world.things_clip), ("nsd", world.nsd_clip)):
        write_embeddings(folder / f"{name}.npz", np.arange(len(features)), features, clip=CLIP)
    eeg, fmri = read_clip(folder)
    pairs, pictures = list_pairs(world)
    learnable = choose_training_pictures(pictures, pairs, eeg, fmri)
    pairs, learnable = cluster_pairs(pairs, learnable, eeg, fmri, n_clusters=N_CLUSTERS, seed=0)
    pairs.to_parquet(folder / "pairs.parquet")
    _write_fmri(folder / "projection.h5", world.nsd, setting)
    encoder, _ = fit_picture_encoder(
        eeg,
        fmri,
        pairs,
        projection=folder / "projection.h5",
        layers=["projected"],
        methods=["ridge", "kernel_ridge"],
        n_folds=n_folds,
        seed=0,
    )
    write_predicted(folder / "predicted.h5", encoder, eeg)
    return Tables(pairs, pictures, learnable)


def write_person(
    lmdb: Path, eeg: np.ndarray, images: np.ndarray, tables: Tables, *, unit: str = "uV"
) -> None:
    """Write the training set of one person beside the files of `write_pictures`.

    Parameters
    ----------
    eeg : (n_trials, 17, 200) float32, in ``unit``.
    images : (n_trials,), the picture of each trial.
    """
    path = lmdb.with_suffix(".h5")
    with h5py.File(path, "w") as file:
        file["eeg"] = eeg
        attributes = {"unit": unit, "sfreq": float(RATE), "t0": 0.0, "channels": POSTERIOR}
        write_trials(file, _trials(images).assign(onset=-1), attributes)
    write_lmdb(
        lmdb,
        eeg=path,
        projection=lmdb.parent / "projection.h5",
        pairs=tables.pairs,
        eeg_pictures=tables.pictures,
        predicted=lmdb.parent / "predicted.h5",
        learnable=tables.learnable,
    )
    path.unlink()


def read_clip(folder: Path) -> tuple[Embeddings, Embeddings]:
    """Read the CLIP features of the EEG's and of the fMRI's pictures."""
    eeg, fmri = (read_embeddings([folder / f"{name}.npz"]) for name in ("things", "nsd"))
    return eeg, fmri


def record_trials(
    latents: np.ndarray, *, snr: float, seed: int, subject: str
) -> tuple[np.ndarray, np.ndarray]:
    """Record sequences of pictures, each picture four times, filtered and cut as raw data are.

    Parameters
    ----------
    latents : (n_images, n_latents), what the pictures show.
    snr : of this subject's single trials.

    Returns
    -------
    eeg : (n_trials, 17, 200) float32, uV.
    images : (n_trials,) int64, the picture of each trial.
    """
    rng = generator(seed, "recording", subject)
    # no other electrode is looked at
    rows = [CHANNELS.index(name) for name in POSTERIOR]
    evoked = draw_evoked(latents.shape[1], snr=snr, seed=seed, subject=subject, sfreq=RATE)
    evoked = replace(evoked, topographies=evoked.topographies[rows])
    head = draw_head(seed=seed, subject=subject)
    head = replace(head, noise_fields=head.noise_fields[rows])
    n_shown = SEQUENCE * SEQUENCES_PER_PART
    codes = np.concatenate([rng.permutation(len(latents)) + 1 for _ in range(N_TRIALS)])
    epochs, images = [], []
    for start in range(0, len(codes), n_shown):
        shown = codes[start : start + n_shown]
        shown = np.resize(shown, (-(-len(shown) // SEQUENCE), SEQUENCE))  # the last sequence is filled up
        raw = record(shown, latents, evoked, head, rng=rng, sfreq=RATE)
        onsets = np.flatnonzero(raw[-1])[: len(codes) - start]
        eeg = filter_eeg(1e6 * raw[:-1], RATE, highpass=0.3, lowpass=75.0, notch=50.0)
        epochs.append(cut_epochs(eeg, onsets, n_times=RATE, step=1))
        images.append(raw[-1, onsets].astype(int) - 1)
    return np.concatenate(epochs), np.concatenate(images)


def _write_fmri(path: Path, nsd: np.ndarray, setting: Setting) -> None:
    """Write the embeddings of three repetitions of every picture of the fMRI."""
    shown = fmri_latents(nsd, setting.relation)
    voxels, weight, bias = draw_answer(setting, shown.shape[1])
    images = np.repeat(np.arange(len(nsd)), N_REPETITIONS)
    betas = draw_betas(shown[images], voxels, rng=generator(setting.seed, "betas"))
    with h5py.File(path, "w") as file:
        file["embedding"] = (betas @ weight.T + bias).astype(np.float32)
        write_trials(file, _trials(images), {"checkpoint": "synthetic", "sha256": "0" * 64})


def draw_answer(setting: Setting, n_latents: int) -> tuple[Voxels, np.ndarray, np.ndarray]:
    """Draw the voxels and the ridge's weight and bias."""
    voxels = draw_voxels(n_latents, N_VOXELS, seed=setting.seed, subject=NSD_SUBJECT)
    return voxels, *draw_ridge(voxels, N_FEATURES, seed=setting.seed, subject=NSD_SUBJECT)


def _trials(images: np.ndarray) -> pd.DataFrame:
    repetition = pd.Series(images).groupby(images).cumcount().to_numpy()
    return pd.DataFrame({"image": images, "repetition": repetition, "session": 0})
