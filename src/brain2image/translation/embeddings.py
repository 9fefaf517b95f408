"""Translation: the trained model on new EEG, some trials at a time."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brain2image.translation.hearing import UNKNOWN, choose_person, listen
from brain2image.translation.loading import Predict, load_model
from brain2image.translation.outputs import check_suffix, write_blocks
from brain2image.translation.prepared import EEGOptions, event_means, prepare_eeg
from brain2image.translation.retrieval import Gallery, read_gallery


class Translation(NamedTuple):
    """Predicted embeddings and what they belong to.

    Attributes
    ----------
    trials : event and sample; of averages event and n_trials.
    embedding : (n_trials, n_features) float32, in the units of the measured embeddings.
    fmri_image : (n_trials, top_k) int64, nearest picture first; None without a gallery.
    similarity : (n_trials, top_k) float32; None without a gallery.
    """

    trials: pd.DataFrame
    embedding: np.ndarray
    fmri_image: np.ndarray | None = None
    similarity: np.ndarray | None = None


def translate(
    eeg: Any,
    run: str | os.PathLike,
    *,
    unit: str | None = None,
    channels: Sequence[str] | None = None,
    sfreq: float | None = None,
    events: Sequence[str] | None = None,
    event_column: str | None = None,
    shift: float = 0.0,
    line_freq: float | None = None,
    rename: Mapping[str, str] | None = None,
    rename_table: str | os.PathLike | None = None,
    montage: str | None = None,
    interpolate: bool = False,
    min_channels: int | None = None,
    reference: str | Sequence[str] | None = None,
    person: str | None = None,
    average: bool = False,
    gallery: str | os.PathLike | None = None,
    top_k: int = 5,
) -> Translation:
    """Predict the fMRI embeddings of new EEG.

    The EEG is prepared as in training: channels in its order, 200 Hz, 0 to 1 s after the event; microvolts,
    or whitened by its own trials where the training's sessions were. Recordings are filtered as a whole;
    epochs and arrays are taken as they are.

    Parameters
    ----------
    eeg : MNE Epochs or Raw, or a file that MNE reads (BrainVision, EDF, FIF, BIDS, ...; of epochs,
        ``*epo.fif``); an array or ``.npy`` file (n_trials, n_channels, n_times) that begins at the event; or
        an ``eeg.h5`` of this workflow.
    run : folder of the trained run.
    unit : ``V``, ``uV`` or ``whitened``; without it what MNE reads is in volts.
    channels : names of all channels, in their order; an array needs them, a file's own are replaced.
    sfreq : Hz, of an array.
    events : take the trials of these alone.
    event_column : of the BIDS ``events.tsv``, the column that names the events.
    shift : ms from the event to the picture, where the display or the trigger is late.
    line_freq : Hz, power line of a recording that does not say so.
    rename : old to new name of channels.
    rename_table : the same as a file of two columns, TSV or CSV.
    montage : cap whose electrodes the channels are, as MNE calls it; all channels of the training are then
        interpolated from them, by position.
    interpolate : make up for missing, bad and flat channels by spherical splines.
    min_channels : of the training's channels, so many must have an electrode within 20 mm when channels are
        interpolated; without it, half of them.
    reference : ``average`` or names of channels, to which the EEG is referenced anew.
    person : whose EEG it is, by a name that the run knows. Without it, a calibrated run takes the person whom
        it was fitted to, and a run of several people somebody new, whose EEG is heard less its own mean.
    average : one embedding an event, from the mean EEG of its trials.
    gallery : ``results/projection/{subj}.h5`` of the run's NSD subject, to look up the nearest pictures.
    top_k : how many.

    Raises
    ------
    InputError
        Says in one line what does not fit the run.
    """
    options = EEGOptions(
        unit=unit,
        channels=channels,
        sfreq=sfreq,
        events=events,
        event_column=event_column,
        shift=shift,
        line_freq=line_freq,
        rename=rename,
        rename_table=rename_table,
        montage=montage,
        interpolate=interpolate,
        min_channels=min_channels,
        reference=reference,
    )
    trials, blocks, _ = _start(
        eeg, run, options, person=person, average=average, gallery=gallery, top_k=top_k
    )
    rows = list(blocks)
    return Translation(trials, **{name: np.concatenate([block[name] for block in rows]) for name in rows[0]})


def write_translation(out: str | os.PathLike, eeg: Any, run: str | os.PathLike, **options: Any) -> None:
    """Write what `translate` returns, block by block: the memory does not grow with the number of trials.

    Parameters
    ----------
    out : ``.h5`` or ``.parquet``, see `translation.outputs`.
    eeg, run, options : those of `translate`, with its defaults.

    Raises
    ------
    InputError
        As `translate` does, and when ``out`` ends in something else.
    """
    check_suffix(out)
    options = (translate.__kwdefaults__ or {}) | options
    given = EEGOptions(**{field.name: options.pop(field.name) for field in fields(EEGOptions)})
    trials, blocks, attributes = _start(eeg, run, given, **options)
    write_blocks(out, trials, blocks, attributes)


Blocks = Iterator[dict[str, np.ndarray]]


def _start(
    eeg: Any,
    run: str | os.PathLike,
    options: EEGOptions,
    *,
    person: str | None,
    average: bool,
    gallery: str | os.PathLike | None,
    top_k: int,
) -> tuple[pd.DataFrame, Blocks, dict[str, str]]:
    """Return the table of the trials, the blocks of their embeddings, and what a file says of both."""
    model = load_model(run)
    person = choose_person(model, person, run=run)
    prepared = prepare_eeg(eeg, run, config=model.config, response=model.mean_response, options=options)
    fmri, pictures = model.config.get("fmri", {}), None
    if gallery is not None:
        sha256 = fmri.get("sha256", "")
        pictures = read_gallery(gallery, centre=model.target_mean, sha256=sha256, top_k=top_k)
    trials, (blocks, predict) = prepared.trials, listen(model, prepared, person)
    if average:
        trials, blocks = event_means(trials, blocks)
    attributes = {"eeg": prepared.name, "run": str(run), **{name: str(value) for name, value in fmri.items()}}
    attributes |= {"person": person or UNKNOWN} if model.people else {}
    attributes |= {"shift": f"{options.shift:g} ms"} if options.shift else {}
    attributes |= {"reference": " ".join(options.references)} if options.references else {}
    return trials, _predict(predict, blocks, pictures, top_k=top_k), attributes


def _predict(
    predict: Predict, blocks: Iterator[np.ndarray], pictures: Gallery | None, *, top_k: int
) -> Blocks:
    for eeg in blocks:
        embedding = predict(eeg)
        block = {"embedding": embedding}
        if pictures is not None:
            block["fmri_image"], block["similarity"] = pictures.nearest(embedding, top_k=top_k)
        yield block
