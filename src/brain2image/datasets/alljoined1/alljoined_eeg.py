"""Alljoined1's trials: epochs of one second at 200 Hz from the onset of the picture on.

Pictures appear 0.1 s after their triggers: the authors shift their epochs by as much ("Manually move trigger
back 100ms", 1_preprocessing/eeg2/preprocessing_utils.py of Alljoined/alljoined-dataset1). The released epochs
went through ICA, rejection and an average reference; the raw recordings, against the common mode sense of the
BioSemi (CMS), are read here, and nothing is re-referenced.
"""

import logging
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brain2image.core.errors import InputError
from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.datasets.alljoined1.biosemi import (
    N_CODES,
    RAW_SFREQ,
    SESSIONS,
    Recording,
    find_parts,
    read_recording,
    recording_place,
    split_places,
)
from brain2image.datasets.alljoined1.shown_pictures import (
    UNKNOWN,
    Design,
    WrongPicturesError,
    check_shared,
    name_pictures,
    read_design,
    read_table,
)
from brain2image.datasets.bad_channels import check_bads, read_amplitudes
from brain2image.datasets.left_out import COLUMNS, COUNTS
from brain2image.datasets.signals import cut_resampled, resampling_margin
from brain2image.datasets.splines import interpolation_matrix
from brain2image.datasets.trial_files import (
    N_TIMES,
    SFREQ,
    append_parts,
    create_eeg,
    finish_trials,
    named_lines,
)
from brain2image.datasets.units import check_rms
from brain2image.datasets.whitening import mix_channels
from brain2image.formats import tables
from brain2image.formats.hdf5 import atomic_hdf5

logger = logging.getLogger(__name__)

MAINS = 60.0  # Hz, where it was recorded
TRIGGER_DELAY = 0.1  # s from the trigger to the picture; 51 samples, a fifth of one less
DOWN = RAW_SFREQ // math.gcd(SFREQ, RAW_SFREQ)  # 64, from 512 Hz
UP = SFREQ // math.gcd(SFREQ, RAW_SFREQ)  # 25, to 200 Hz
REFERENCE = "CMS"


def repack_eeg(
    files: Sequence[str | os.PathLike],
    images: str | os.PathLike,
    *,
    out: str | os.PathLike,
    n_threads: int = 1,
    edge: float = 2.0,
    max_lost: float = 0.05,
    baseline: float = 0.0,
    bads: Sequence[str] | None = (),
    whiten: str = "none",
    clip: float = 0.0,
    weigh_trials: bool = False,
    **filters: Any,
) -> None:
    """Write one subject's trials in the order shown.

    A recording that is missing or broken is passed over with a line in the log and a row in ``recordings``;
    it is an error only where none is left. In memory is one recording at a time (0.9 GB), and one part of it.

    Parameters
    ----------
    files : subj01_session1_eeg.fif and so on; subj01_session1.h5 or nsd_expdesign.mat, or both.
    images : the table of NSD's pictures, `nsd_images.repack_images`.
    out : HDF5 as `things_eeg.repack_eeg` writes it, with ``eeg`` (n_trials, 64, 200). ``image`` is the
        0-based NSD id, ``onset`` the sample of the picture, not of the trigger, at ``raw_sfreq`` (512 Hz);
        trigger_delay (s) is one more attribute. Of ``recordings``, each picture is a sequence of its own.
    n_threads : is not used.
    edge : s; trials that reach closer to an end of an uninterrupted part are left out.
    max_lost : share of a recording's events that may have no picture; more make it a broken one.
    whiten : ``session`` whitens the trials of each session by all of them, as there is no partition of
        pictures to test; no label enters, but what is tested later has a part in it.
    baseline, bads, clip, weigh_trials : as for THINGS-EEG2, amplitudes being those of all trials.
    filters : highpass, lowpass and notch (``mains``, 60 Hz here, or a list), Hz.

    Raises
    ------
    InputError
        When no recording can be used, or trials would get wrong pictures.
    """
    check_bads(bads or (), CHANNELS)
    recordings, epochs, design_file = split_places(files)
    design = read_design(design_file) if design_file else None
    pictures = tables.read_table(images, ["image", "shared1000"])
    recipe = {"edge": edge, "baseline": baseline, **filters}
    recipe["notch"] = named_lines(recipe["notch"], mains=MAINS)
    with atomic_hdf5(out) as file:
        create_eeg(file, len(CHANNELS))
        trials, counts, facts = _append_sessions(
            file["eeg"], recordings, epochs, design=design, pictures=pictures, max_lost=max_lost, **recipe
        )
        file["recordings"] = counts.to_records(index=False)
        if whiten == "session":
            logger.info("whitening is transductive: by all trials of a session, without their labels")
        layout = {"channels": list(CHANNELS), "raw_sfreq": float(RAW_SFREQ), "reference": REFERENCE}
        layout |= {"mains": MAINS, "trigger_delay": TRIGGER_DELAY, "release": "raw", "whiten": whiten}
        finish_trials(
            file,
            trials,
            recipe | layout | facts,
            fitted=np.ones(len(trials), bool),
            bads=bads,
            clip=clip,
            weigh=weigh_trials,
            source=out,
        )


def _append_sessions(
    eeg: h5py.Dataset,
    recordings: dict[int, str],
    epochs: dict[int, str],
    *,
    design: Design | None,
    **options: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Append the trials of all sessions; return image, session and onset of each, losses, and facts.

    The facts are ``soa``, s from picture to picture, and ``interpolated``, channels that a recording lacked.
    """
    found, counts, problems = [], [], []
    for session in SESSIONS:
        count = dict.fromkeys(COUNTS, 0) | {"session": session - 1, "is_test": 0}
        counts.append(count)
        if session not in recordings:
            logger.warning("session %d has no recording: its trials are missing", session)
            continue
        path, n_before = recordings[session], len(eeg)
        try:
            table, own, facts = _append_session(eeg, path, epochs.get(session), design=design, **options)
        except WrongPicturesError:
            raise
        except InputError as error:
            logger.warning("session %d is left out: %s", session, error)
            problems.append(str(error))
            eeg.resize(n_before, axis=0)
            continue
        count |= own | {"is_there": 1, "trials": len(table)}
        found.append((table.assign(session=session - 1), facts))
    if not found:
        raise InputError("; ".join(problems) or "Alljoined1: expected a recording, got none; download one")
    missing = {name for _, facts in found for name in facts["missing"]}
    facts = {
        "soa": float(np.median([facts["soa"] for _, facts in found])),
        "interpolated": [name for name in CHANNELS if name in missing],
    }
    return (
        pd.concat([table for table, _ in found], ignore_index=True),
        pd.DataFrame(counts)[COLUMNS].astype(np.int64),
        facts,
    )


def _append_session(
    eeg: h5py.Dataset,
    path: str,
    epochs: str | None,
    *,
    design: Design | None,
    pictures: pd.DataFrame,
    max_lost: float,
    **recipe: Any,
) -> tuple[pd.DataFrame, dict[str, int], dict[str, Any]]:
    """Append the trials of one session; return image and onset of each, counts of losses, and facts."""
    subject, session = recording_place(path)
    recording = read_recording(path)
    shown = name_pictures(
        recording,
        design=design.shown(subject, session) if design else None,
        table=read_table(epochs, subject=subject, session=session) if epochs else None,
        source=epochs or path,
    )
    is_code = (recording.codes >= 1) & (recording.codes <= N_CODES)
    image = np.where(is_code, shown[np.where(is_code, recording.codes, 0)], UNKNOWN)
    is_known = image != UNKNOWN
    is_known[is_known] = check_shared(image[is_known], pictures, source=path)
    n_unknown = int(len(image) - is_known.sum())
    if n_unknown > max_lost * len(image):
        raise InputError(
            f"{path}: expected at most {100 * max_lost:g} % of its events to have no picture (eeg.max_lost), "
            f"got {n_unknown} of {len(image)}; download it again, or another table of its pictures"
        )
    trials, facts = _append_trials(eeg, recording, image, is_known, source=path, **recipe)
    losses = {"sequences": int(is_known.sum()), "unknown_code": n_unknown}
    losses["near_edge"] = losses["sequences"] - len(trials)
    logger.info("%s: %d trials", path, len(trials))
    lost = {"whose picture is not known": n_unknown, "near an end of a part": losses["near_edge"]}
    for text, n_lost in lost.items():
        if n_lost:
            logger.warning("%s: left out %d trials %s", path, n_lost, text)
    return trials, losses, facts


def _append_trials(
    eeg: h5py.Dataset,
    recording: Recording,
    image: np.ndarray,
    is_known: np.ndarray,
    *,
    source: str,
    **recipe: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Append the trials of a recording whose picture is known; return image and onset of each, and facts."""
    n_before, delay = len(eeg), round(TRIGGER_DELAY * RAW_SFREQ)
    onsets = recording.onsets[is_known] + delay
    parts = find_parts(recording.data, recording.onsets)
    lines = " and ".join(f"{line:g}" for line in recipe["notch"]) or "no"
    text = "%s: pictures %g s after their triggers (%d samples), mains of %g Hz, notch at %s Hz; %d parts"
    logger.info(text, source, TRIGGER_DELAY, delay, MAINS, lines, len(parts))
    kept = append_parts(
        eeg,
        lambda start, stop: recording.data[:, start:stop].copy(),
        parts,
        onsets,
        sfreq=RAW_SFREQ,
        cut=partial(cut_resampled, n_times=N_TIMES, up=UP, down=DOWN),
        margin=resampling_margin(UP, DOWN),
        **recipe,
    )
    if not len(kept):
        raise InputError(
            f"{source}: expected trials {recipe['edge']:g} s or more (eeg.edge) from the ends of their part, "
            "got none; download it again"
        )
    _mend(eeg, np.arange(len(eeg)) >= n_before, recording.missing, source=source)
    trials = pd.DataFrame({"image": image[is_known][kept], "onset": onsets[kept]})
    gap = float(np.median(np.diff(recording.onsets))) if len(recording.onsets) > 1 else np.nan
    return trials, {"soa": gap / RAW_SFREQ, "missing": recording.missing}


def _mend(eeg: h5py.Dataset, own: np.ndarray, missing: Sequence[str], *, source: str) -> None:
    """Check the amplitudes of a session's trials, and interpolate the channels that its recording lacks."""
    rms, _ = read_amplitudes(eeg, own)
    present = [row for row, name in enumerate(CHANNELS) if name not in missing]
    check_rms(float(np.median(rms[:, present])), "uV", source=source)
    if missing:
        text = "%s: channels %s are missing, interpolated from the others"
        logger.warning(text, source, ", ".join(missing))
        mix_channels(eeg, own, interpolation_matrix(CHANNELS, missing))
