"""A trained run, fitted to somebody new by EEG of pictures that they saw."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brain2image.core.atomic import atomic_path
from brain2image.core.devices import compute_device
from brain2image.core.errors import InputError
from brain2image.core.extras import require
from brain2image.formats.files import read_json
from brain2image.models.alignment import AlignmentModel
from brain2image.translation.personal import Seen, calibrate_model, check_calibration, write_calibrated
from brain2image.translation.prepared import EEGOptions, Prepared, event_means, prepare_eeg
from brain2image.translation.shown import embed_shown, find_encoder, list_shown


def calibrate(
    eeg: Any,
    run: str | os.PathLike,
    pictures: str | os.PathLike,
    out: str | os.PathLike,
    *,
    encoder: str | os.PathLike | None = None,
    clip: str | os.PathLike | None = None,
    preprocess: str | Mapping[str, Any] = "auto",
    person: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Fit a trained run to somebody new by EEG of pictures that they saw, and write it as a run of theirs.

    The pictures may be any: what their fMRI would be is predicted from them. `translate` and `load_model`
    take the new run folder as they take the old one. The trials are read some at a time; the mean of each
    picture's is kept.

    Parameters
    ----------
    eeg : as `translate` takes it, of one person.
    run : folder of the trained run, which must not know the person.
    pictures : a folder in which each picture is called as its event (``dog_01.jpg``), or a table (CSV, TSV,
        Parquet) with the columns event, picture (path, from the table on) and, where pictures belong
        together, concept.
    out : folder to write; it must be empty, or not be there.
    encoder : ``results/projection/{dataset}_{subj}.encoder.safetensors``; without it, that of the results
        which the run is part of.
    clip : weights of CLIP with which the encoder was fitted: a file or an open_clip tag; without it, the tag
        that the encoder names.
    preprocess : how pictures are prepared for these weights, as in the config's ``clip.preprocess``.
    person : name of whom the EEG is of; without it, that of the EEG's file.
    options : the other options that `translate` has for EEG, from ``unit`` to ``reference``.

    Returns
    -------
    What was found: ``person``, ``n_pictures``, ``n_trials``, ``fitted`` (in words), ``cosine`` of pictures
    that it was not fitted to with their targets, ``gain`` over the run as it was, and ``low`` and ``high``,
    the 95 % interval of that.

    Raises
    ------
    InputError
        Says in one line what does not fit, or which extra of the installation is missing.
    """
    require("open_clip", "calibrate")
    given, person = EEGOptions(**options), person or _name_of(eeg)
    _check_out(out)
    aligner, record = _load(run)
    picture_encoder = find_encoder(run, record, encoder)
    response = aligner.mean_response.numpy()
    prepared = prepare_eeg(eeg, run, config=record, response=response, options=given)
    shown = list_shown(pictures, prepared.trials["event"].unique(), is_choice=given.events is not None)
    check_calibration(aligner, person, shown["concept"].to_numpy())
    targets = embed_shown(shown, picture_encoder, clip=clip, preprocess=preprocess)
    seen = _average(prepared, person, targets, shown)
    calibrated, found = calibrate_model(aligner.to(compute_device()), seen)
    found |= {"eeg": prepared.name, "clip": picture_encoder.clip}
    with atomic_path(out) as scratch:
        scratch.mkdir()
        files = {"model": scratch / "model.safetensors", "config": scratch / "config.json"}
        write_calibrated(calibrated, found, record, **files)
    return found


def _name_of(eeg: Any) -> str:
    if isinstance(eeg, str | os.PathLike):
        return Path(eeg).stem
    raise InputError("calibrate: expected the person's name beside EEG that is no file, got none; name them")


def _check_out(out: str | os.PathLike) -> None:
    path = Path(out)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path}: expected a new folder, got one with files in it, or a file; name another")


def _load(run: str | os.PathLike) -> tuple[AlignmentModel, dict[str, Any]]:
    """Read a run that can be calibrated, and its ``config.json``."""
    path = Path(run) / "config.json"
    record = read_json(path) if path.exists() else {}
    if isinstance(record, dict) and (record.keys() & {"baseline", "calibration"}):
        what = "a baseline" if "baseline" in record else f"one of {record['people_known'][0]}"
        raise InputError(
            f"{run}: expected a network that was not calibrated yet, got {what}; take another run"
        )
    return AlignmentModel.load(run), record


def _average(prepared: Prepared, person: str, targets: np.ndarray, shown: pd.DataFrame) -> Seen:
    """Average the EEG of each picture, whose events are in the order in which they first came."""
    trials, blocks = event_means(prepared.trials, prepared.blocks)
    eeg, n_trials = np.concatenate(list(blocks)), trials["n_trials"].to_numpy()
    assert trials["event"].tolist() == shown["event"].tolist()
    response = np.average(eeg, axis=0, weights=n_trials).astype(np.float32)
    return Seen(person, eeg, targets, shown["concept"].to_numpy(), response, int(n_trials.sum()))
