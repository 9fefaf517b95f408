"""Alljoined1 as released, a few pictures and seconds of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.io import savemat

from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.synthetic.alljoined_files import BIOSEMI_CAP, write_recording, write_table

SFREQ = 512
N_PICTURES, GAP = 6, 0.8  # of a block, and s from one to the next
LEAD, TAIL = 1.0, 2.4  # s before the first trigger of a block and after the last
BLOCK = round((LEAD + TAIL) * SFREQ) + (N_PICTURES - 1) * round(GAP * SFREQ)
# 2 Hz and no notch: a short filter suffices
OPTIONS = {"edge": 1.0, "highpass": 2.0, "lowpass": 75.0, "notch": []}
SHARED = np.arange(2950, 72950, 70)  # 1,000 pictures
DESIGN = "nsd_expdesign.mat"
FREQUENCY, AMPLITUDE = 10.0, 1e-5  # Hz, V


def paths(session):
    return f"raw/subj03_session{session}_eeg.fif", f"05_125/subj03_session{session}.h5"


def write_design(path, *, first=1, **change):
    """``first`` is 1 as in the release, or 0."""
    rest = np.setdiff1d(np.arange(73_000), SHARED)[:9000]
    lists = {"sharedix": SHARED[None] + first, "subjectim": np.tile([*SHARED, *rest], (8, 1)) + first}
    lists |= {"masterordering": np.arange(1, 30_001)[None]} | change
    savemat(path, {name: ids for name, ids in lists.items() if ids is not None}, do_compression=True)


def make_session(seed, *, n_blocks=1, offset=1e-3):
    """Volts, triggers and codes of one session: blocks of sines, each with an offset of its own.

    The sine of a channel has its phase, and begins anew in each block.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(BLOCK) / SFREQ
    phases = np.array([0.1 * CHANNELS.index(name) for name in BIOSEMI_CAP.channels])[:, None]
    sine = AMPLITUDE * np.sin(2 * np.pi * FREQUENCY * times + phases)
    blocks = [sine + offset * rng.uniform(0.2, 1, (64, 1)) for _ in range(n_blocks)]
    volts = np.concatenate(blocks, axis=1)
    volts += 1e-9 * rng.standard_normal(volts.shape)
    triggers = round(LEAD * SFREQ) + round(GAP * SFREQ) * np.arange(N_PICTURES)
    onsets = np.concatenate([block * BLOCK + triggers for block in range(n_blocks)])
    codes = np.concatenate([rng.permutation([1, 2, 3, 959, 960, 4]) for _ in range(n_blocks)])
    return SimpleNamespace(volts=volts, onsets=onsets, codes=codes, images=SHARED[codes - 1])


def write_session(root, number, session):
    fif, table = (root / path for path in paths(number))
    for path in (fif, table):
        path.parent.mkdir(exist_ok=True)
    write_recording(fif, session.volts, session.onsets, session.codes)
    write_table(table, session.images, session.onsets / SFREQ, subject=3, session=number)


def write_pictures(path):
    """The table of NSD's pictures: the shared ones, and one after each."""
    images = np.sort(np.concatenate([SHARED, SHARED + 1]))
    pd.DataFrame({"image": images, "shared1000": np.isin(images, SHARED)}).to_parquet(path)


def write_alljoined(root):
    write_design(root / DESIGN)
    write_pictures(root / "images.parquet")
    write_session(root, 1, make_session(0))
