"""Several people who saw the same pictures: a training set each, made as `recovery_data` makes one.

Each person has a head, latencies, noise and a signal-to-noise ratio of their own (`synthetic.heads`); the
pictures, the pairs with their splits, the fMRI and the predicted targets are the same for all.
"""

from pathlib import Path

import numpy as np
from recovery_data import (
    NSD_SUBJECT,
    POSTERIOR,
    Relation,
    Setting,
    Tables,
    draw_world,
    record_trials,
    write_person,
    write_pictures,
)

from brain2image.datasets.whitening import fit_whitening, mix_channels
from brain2image.synthetic.heads import draw_head

N_PEOPLE = 6
N_EEG = 2000  # pictures; 1,700 of them may be learned from
N_FOLDS = 2  # of the pictures that choose the picture encoder; five take three times as long


def write_people(
    folder: Path,
    *,
    people: int = N_PEOPLE,
    snr: float,
    seed: int,
    relation: Relation = "not linear",
    n_eeg: int = N_EEG,
    whiten: bool = True,
) -> list[str]:
    """Write ``things-01_subj01.lmdb`` and so on, and beside them what `write_pictures` writes.

    Parameters
    ----------
    people : how many there are.
    snr : of a single trial of the median person, root mean squares.
    n_eeg : pictures that each of them saw four times; a multiple of ten, more than those of the pairs.
    whiten : over channels, by each person's own trials of pictures that are not tested; else in microvolts.

    Returns
    -------
    The brains: ``things-01_subj01`` and so on.
    """
    setting = Setting(relation, snr, seed)
    world = draw_world(setting, n_eeg=n_eeg)
    tables = write_pictures(setting, world, folder, n_folds=N_FOLDS)
    brains = [f"things-{number:02d}_{NSD_SUBJECT}" for number in range(1, people + 1)]
    for name in brains:
        eeg, images = record_person(setting, world.things, name)
        if whiten:
            _whiten(eeg, images, tables, name)
        unit = "whitened" if whiten else "uV"
        write_person(folder / f"{name}.lmdb", eeg, images, tables, unit=unit)
    return brains


def record_person(setting: Setting, latents: np.ndarray, brains: str) -> tuple[np.ndarray, np.ndarray]:
    """Record one person at their own signal-to-noise ratio, see `recovery_data.record_trials`."""
    subject = brains.partition("_")[0].replace("things", "sub")
    snr = setting.snr * draw_head(seed=setting.seed, subject=subject).snr_factor
    return record_trials(latents, snr=snr, seed=setting.seed, subject=subject)


def _whiten(eeg: np.ndarray, images: np.ndarray, tables: Tables, name: str) -> None:
    """Whiten all trials over channels, in place, by those of pictures that may be learned from."""
    is_learnable = np.isin(images, tables.learnable["image"])
    whitening = fit_whitening(eeg, is_learnable, POSTERIOR, unit="uV", source=name)
    mix_channels(eeg, np.ones(len(eeg), bool), whitening.matrix)
