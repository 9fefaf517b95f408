"""Write one synthetic Alljoined1 subject as released: recordings, tables of epochs, and NSD's design."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import mne
import numpy as np
import pandas as pd
from scipy.io import loadmat, savemat

from brain2image.core.atomic import atomic_path
from brain2image.formats.hdf5 import atomic_hdf5
from brain2image.formats.tables import REMEDY, read_npz
from brain2image.formats.unpickling import read_npy
from brain2image.synthetic.eeg import Evoked, background, draw_evoked, sum_responses
from brain2image.synthetic.heads import Cap, Head, draw_head
from brain2image.synthetic.latents import N_NSD_IMAGES, generator

SFREQ = 512  # Hz
MAINS = 60.0  # Hz
DELAY = 0.1  # s from the trigger to the picture
N_CODES = 960  # positions of the list of pictures that have an event code
N_SHARED, N_SUBJECTS, N_OWN = 1000, 8, 10_000
N_BLOCKS, N_SHOWN = 2, 2  # of a session; so often each block shows each picture
SOA, JITTER = 0.78, 0.05  # s from trigger to trigger, as in the real recordings, and at most so much longer
LEAD, TAIL = 2.5, 3.5  # s before the first and after the last trigger of a block
ODDBALLS = 0.1  # of the pictures are shown again, which has no event
REJECTED = 0.05  # of the trials are not in the table of epochs
JOINT = 1e-3  # V, by which electrode offsets differ from block to block
COCO_OFFSET = 100_000  # made-up COCO ids are NSD ids and so much more

# Row order of BioSemi's files; they are recorded against CMS, whose place is about that of PPO1h.
_CHANNELS = """
Fp1 AF7 AF3 F1 F3 F5 F7 FT7 FC5 FC3 FC1 C1 C3 C5 T7 TP7 CP5 CP3 CP1 P1 P3 P5 P7 P9 PO7 PO3 O1 Iz Oz POz Pz
CPz Fpz Fp2 AF8 AF4 AFz Fz F2 F4 F6 F8 FT8 FC6 FC4 FC2 FCz Cz C2 C4 C6 T8 TP8 CP6 CP4 CP2 P2 P4 P6 P8 P10 PO8
PO4 O2
"""
BIOSEMI_CAP = Cap(tuple(_CHANNELS.split()), "PPO1h")


class Block(NamedTuple):
    """What is shown from one start of the amplifier to its stop."""

    triggers: np.ndarray  # (n_trials,) int64, samples
    rows: np.ndarray  # (n_trials,) int64, of the pictures
    has_event: np.ndarray  # (n_trials,) bool; a picture that is shown again has none
    n_times: int


def simulate_expdesign(
    simulate: Mapping[str, Any], *, latents: str | Path, shared1000: str | Path, design: str | Path
) -> None:
    """Write nsd_expdesign.mat, whose shared 1,000 pictures are the simulated ones and others nobody sees.

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    latents, shared1000 : what `images.simulate_images` wrote.
    design : MATLAB 5 file with the lists of the release; ids count from 1.
    """
    rng = generator(simulate["seed"], "nsd expdesign")
    seen = read_npz(latents, what="planted arrays", names=["nsd_images"])["nsd_images"]
    shared = np.flatnonzero(read_npy(shared1000, source=shared1000, remedy=REMEDY))
    others = np.setdiff1d(np.arange(shared.min(), N_NSD_IMAGES), seen)
    padded = np.sort([*shared, *rng.choice(others, N_SHARED - len(shared), replace=False)])
    rest = np.setdiff1d(np.arange(N_NSD_IMAGES), padded)
    own = [rng.choice(rest, N_OWN - N_SHARED, replace=False) for _ in range(N_SUBJECTS)]
    lists = {
        "sharedix": padded[None] + 1.0,
        "subjectim": np.array([[*padded, *ids] for ids in own]) + 1.0,
        "masterordering": rng.integers(1, N_OWN + 1, (1, 3 * N_OWN)).astype(float),
    }
    with atomic_path(design) as scratch, scratch.open("wb") as file:
        savemat(file, lists, do_compression=True)


def simulate_alljoined(
    simulate: Mapping[str, Any],
    person: str,
    *,
    latents: str | Path,
    design: str | Path,
    recordings: Sequence[str | Path],
    tables: Sequence[str | Path],
) -> None:
    """Simulate the two sessions of one subject of Alljoined1.

    Parameters
    ----------
    simulate : the fields of `config.SimulateConfig`.
    person : ``alljoined-01`` and so on.
    latents : what `images.simulate_images` planted.
    design : what `simulate_expdesign` wrote; of its first 960 pictures those that were painted are shown.
    recordings : the two FIF files to write: 64 channels and ``Status``, as MNE saves a raw file.
    tables : the two HDF5 files to write: `write_table`.
    """
    planted = read_npz(latents, what="planted arrays", names=["nsd", "nsd_images"])
    listed = loadmat(design, variable_names=["sharedix"])["sharedix"][0, :N_CODES].astype(np.int64) - 1
    codes = 1 + np.flatnonzero(np.isin(listed, planted["nsd_images"]))
    images = listed[codes - 1]
    shown = planted["nsd"][np.searchsorted(planted["nsd_images"], images)]
    seed = simulate["seed"]
    head = draw_head(seed=seed, subject=person, cap=BIOSEMI_CAP)
    snr = simulate["eeg_snr"] * head.snr_factor
    evoked = draw_evoked(simulate["n_latents"], snr=snr, seed=seed, subject=person, sfreq=SFREQ, head=head)
    for session, (recording, table) in enumerate(zip(recordings, tables, strict=True), 1):
        rng = generator(seed, "recording", person, str(session))
        blocks = [draw_block(len(codes), rng=rng) for _ in range(N_BLOCKS)]
        volts = np.concatenate([record(block, shown, evoked, head, rng=rng) for block in blocks], axis=1)
        starts = np.cumsum([0, *(block.n_times for block in blocks[:-1])])
        onsets = np.concatenate(
            [start + b.triggers[b.has_event] for start, b in zip(starts, blocks, strict=True)]
        )
        rows = np.concatenate([block.rows[block.has_event] for block in blocks])
        write_recording(recording, volts, onsets, codes[rows])
        rejected = rng.random(len(onsets)) < REJECTED
        times = onsets[~rejected] / SFREQ
        write_table(table, images[rows][~rejected], times, subject=int(person[-2:]), session=session)


def draw_block(n_images: int, *, rng: np.random.Generator) -> Block:
    """Draw the order of a block's pictures, when each is shown, and which are shown once more."""
    order = np.concatenate([rng.permutation(n_images) for _ in range(N_SHOWN)])
    times = 1 + (rng.random(len(order)) < ODDBALLS)
    has_event = np.concatenate([[True] if n == 1 else [True, False] for n in times])
    gaps = SOA + JITTER * rng.random(len(has_event))
    triggers = np.round(SFREQ * (LEAD + np.cumsum(gaps) - gaps[0])).astype(np.int64)
    return Block(triggers, np.repeat(order, times), has_event, int(triggers[-1] + TAIL * SFREQ))


def record(
    block: Block, latents: np.ndarray, evoked: Evoked, head: Head, *, rng: np.random.Generator
) -> np.ndarray:
    """Simulate one block, (64, n_times) float64 V; each picture comes 0.1 s after its trigger.

    Parameters
    ----------
    latents : (n_images, n_latents).
    """
    onsets = block.triggers + round(DELAY * SFREQ)
    amplitudes = evoked.amplitudes(latents[block.rows])
    responses = evoked.topographies @ sum_responses(evoked, onsets, amplitudes, n_times=block.n_times)
    noise = background(block.n_times, head, rng=rng, sfreq=SFREQ, mains=MAINS)
    return responses + noise + rng.normal(scale=JOINT, size=(len(noise), 1))


def write_recording(
    path: str | Path,
    volts: np.ndarray,
    onsets: np.ndarray,
    codes: np.ndarray,
    *,
    channels: Sequence[str] = BIOSEMI_CAP.channels,
) -> None:
    """Write a recording as the authors did: single precision, event codes of one sample in ``Status``."""
    stim = np.zeros((1, volts.shape[1]))
    stim[0, onsets] = codes
    info = mne.create_info([*channels, "Status"], SFREQ, ["eeg"] * len(channels) + ["stim"])
    with mne.use_log_level("error"):
        raw = mne.io.RawArray(np.concatenate([volts, stim]), info)
        with atomic_path(path) as scratch:
            # MNE wants to know by its name what a file is
            named = scratch.with_name(f"{scratch.name}_eeg.fif")
            raw.save(named, overwrite=True)
            named.rename(scratch)


def write_table(
    path: str | Path,
    images: np.ndarray,
    times: np.ndarray,
    *,
    subject: int,
    session: int,
    compression: Mapping[str, Any] | None = None,
) -> None:
    """Write a table of epochs as pandas' ``DataFrame.to_hdf`` does in its format ``fixed``.

    Columns of one type are one array, ``block0_values`` and so on, beside the array of their names. The
    epochs, which nobody reads, are a pickle in a row of bytes; they are one sample long here.

    Parameters
    ----------
    images : (n_trials,) int64, 0-based NSD ids.
    times : (n_trials,) s, of the triggers.
    compression : options of h5py for the arrays of numbers; the release's is Blosc.
    """
    n_trials = len(images)
    table = pd.DataFrame(
        {
            "subject_id": subject,
            "session": session,
            "block": 1 + np.arange(n_trials) * N_BLOCKS // max(n_trials, 1),
            "trial": 1 + np.arange(n_trials),
            "73k_id": images,
            "coco_id": images + COCO_OFFSET,
            "curr_time": times,
        }
    )
    whole = [name for name in table if name != "curr_time"]
    epochs = np.empty((n_trials, 1), object)
    epochs[:, 0] = list(np.zeros((n_trials, len(BIOSEMI_CAP.channels), 1), np.float32))
    names = [*whole[:], "eeg", "curr_time"]
    blocks: dict[str, np.ndarray] = {
        "axis0": np.array(names, "S"),
        "axis1": np.arange(n_trials),
        "block0_items": np.array(whole, "S"),
        "block0_values": table[whole].to_numpy(np.int64),
        "block1_items": np.array(["curr_time"], "S"),
        "block1_values": table[["curr_time"]].to_numpy(),
        "block2_items": np.array(["eeg"], "S"),
    }
    with atomic_hdf5(path) as file:
        group = file.create_group("df")
        group.attrs.update({"pandas_type": "frame", "ndim": 2, "nblocks": 3, "encoding": "UTF-8"})
        for name, values in blocks.items():
            group.create_dataset(name, data=values, **(compression or {}))
        bytes_type = h5py.vlen_dtype(np.uint8)
        group.create_dataset("block2_values", (1,), bytes_type)[0] = np.frombuffer(
            pickle.dumps(epochs, protocol=4), np.uint8
        )
