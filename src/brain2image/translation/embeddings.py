"""Translation: the trained model on new EEG, some trials at a time."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from brain2image.core.errors import InputError
from brain2image.datasets.units import check_rms
from brain2image.translation.as_trained import Recipe, as_in_training, unit_factor, unit_remedy
from brain2image.translation.channels import Mixing, arrange_channels
from brain2image.translation.latency import LatencyCheck
from brain2image.translation.loading import Predict, load_model
from brain2image.translation.names import CapOptions
from brain2image.translation.new_eeg import Cutting, Source
from brain2image.translation.opening import open_eeg
from brain2image.translation.outputs import check_suffix, write_blocks
from brain2image.translation.reference import Interpolated, Rereferenced, compare_reference, warn_of_average
from brain2image.translation.retrieval import Gallery, read_gallery

logger = logging.getLogger(__name__)

FILTERS = ("highpass", "lowpass", "notch")
STEP = 0.005  # s, a sample of the model, by which a baseline may differ
BLOCK_MEANS = 128  # events whose mean is predicted at once


class Translation(NamedTuple):
    """Predicted embeddings and what they belong to."""

    trials: pd.DataFrame  # event and sample; of averages event and n_trials
    embedding: np.ndarray  # (n_trials, n_features) float32, in the units of the measured embeddings
    fmri_image: np.ndarray | None = None  # (n_trials, top_k) int64, nearest picture first
    similarity: np.ndarray | None = None  # (n_trials, top_k) float32


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
    average : one embedding an event, from the mean EEG of its trials.
    gallery : ``results/projection/{subj}.h5`` of the run's NSD subject, to look up the nearest pictures.
    top_k : how many.

    Raises
    ------
    InputError
        Says in one line what does not fit the run.
    """
    trials, blocks, _ = _start(
        eeg,
        run,
        layout={"unit": unit, "channels": channels, "sfreq": sfreq},
        cap=CapOptions(interpolate, min_channels, montage, rename, rename_table),
        cutting=Cutting(events, event_column, shift, line_freq),
        reference=reference,
        average=average,
        gallery=gallery,
        top_k=top_k,
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
    layout = {name: options.pop(name) for name in ("unit", "channels", "sfreq")}
    cap = CapOptions(**{name: options.pop(name) for name in CapOptions._fields})
    cutting = Cutting(*(options.pop(name) for name in ("events", "event_column", "shift", "line_freq")))
    trials, blocks, attributes = _start(eeg, run, layout=layout, cap=cap, cutting=cutting, **options)
    write_blocks(out, trials, blocks, attributes)


Blocks = Iterator[dict[str, np.ndarray]]


def _start(
    eeg: Any,
    run: str | os.PathLike,
    *,
    layout: Mapping[str, Any],
    cap: CapOptions,
    cutting: Cutting,
    reference: str | Sequence[str] | None,
    average: bool,
    gallery: str | os.PathLike | None,
    top_k: int,
) -> tuple[pd.DataFrame, Blocks, dict[str, str]]:
    """Return the table of the trials, the blocks of their embeddings, and what a file says of both."""
    config, predict, centre, response = load_model(run)
    training, fmri = _training_eeg(config["eeg"], run), config.get("fmri", {})
    filters = {name: training[name] for name in FILTERS if name in training}
    filters |= {"notch": np.atleast_1d(filters["notch"]).tolist()} if filters else {}
    reference = [reference] if isinstance(reference, str) else reference
    source = open_eeg(eeg, **layout, cutting=replace(cutting, filters=filters))
    recipe = Recipe.of(source, training)
    unit = "uV" if recipe.whiten else training["unit"]
    factor = unit_factor(source, unit)
    _check_baseline(source, training.get("baseline", 0.0))
    mixing: Mixing | Rereferenced | Interpolated
    mixing = arrange_channels(
        source, training["channels"], cap, flat=training.get("flat", ()), rereferenced=reference is not None
    )
    compare_reference(source, training.get("reference"), reference)
    if reference is not None:
        mixing = Rereferenced(mixing, source, reference)
    # channels are interpolated before they are whitened: what is whitened by session has been through it
    is_done = training.get("whiten") == "session" and source.unit == "whitened"
    if not is_done and (bads := training.get("interpolated")):
        mixing = Interpolated(mixing, training["channels"], bads, source=source.name)
    source = source.usable(mixing.rows)
    pictures = None
    if gallery is not None:
        pictures = read_gallery(gallery, centre=centre, sha256=fmri.get("sha256", ""), top_k=top_k)
    trials, prepared = source.trials, _prepare(source, mixing, factor, unit=unit)
    if reference is None and unit != "whitened":
        prepared = _check_average(prepared, source, training.get("reference"))
    prepared = as_in_training(prepared, recipe, training["channels"], source=source.name)
    prepared = _check_latency(prepared, source, response, shift=cutting.shift)
    if average:
        trials, prepared = _average(trials, prepared)
    attributes = {"eeg": source.name, "run": str(run), **{name: str(value) for name, value in fmri.items()}}
    attributes |= {"shift": f"{cutting.shift:g} ms"} if cutting.shift else {}
    attributes |= {"reference": " ".join(reference)} if reference else {}
    return trials, _predict(predict, prepared, pictures, top_k=top_k), attributes


def _training_eeg(eeg: Any, run: str | os.PathLike) -> Mapping[str, Any]:
    if not isinstance(eeg, dict) or not {"unit", "channels"} <= set(eeg):
        raise InputError(f"{run}: expected unit and channels of the EEG in config.json; train the run again")
    return eeg


def _check_baseline(source: Source, wanted: float) -> None:
    """Refuse EEG without the training's baseline, ``wanted`` s; say where only the EEG has one."""
    start, stop = source.baseline or (0.0, 0.0)
    if wanted and not (math.isclose(start, -wanted, abs_tol=STEP) and -STEP <= stop <= 0):
        raise InputError(
            f"{source.name}: expected EEG from which the mean of the {wanted:g} s before each event was "
            f"subtracted, as in training (eeg.baseline), got {source.baseline or 'none'}; filter the "
            f"recording as in training and cut epochs with baseline=(-{wanted:g}, 0)"
        )
    if source.baseline and not wanted:
        text = "%s: a baseline (%g to %g s) was subtracted from the EEG, none in training"
        logger.warning(text, source.name, start, stop)


def _prepare(
    source: Source, mixing: Mixing | Interpolated | Rereferenced, factor: float, *, unit: str
) -> Iterator[np.ndarray]:
    """Yield blocks (n_trials, n_channels, 200) float32 as the model takes them, checked."""
    console = Console(stderr=True)
    powers = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("translating", total=len(source.trials))
        for block in source.blocks(mixing.rows):
            eeg = mixing(block) * np.float32(factor)
            powers.extend(np.mean(np.square(eeg, dtype=np.float64), axis=(1, 2)))
            if not np.isfinite(powers).all():
                number = int(np.flatnonzero(~np.isfinite(powers))[0])
                raise InputError(
                    f"{source.name}: expected finite EEG, got NaN or infinity in trial {number}; leave it out"
                )
            # The median passes over trials with artefacts.
            rms = float(np.sqrt(np.median(powers)))
            check_rms(rms, unit, source=source.name, remedy=unit_remedy(rms / factor, source.unit, unit))
            yield eeg
            progress.advance(task, len(eeg))


def _check_average(blocks: Iterator[np.ndarray], source: Source, trained: str | None) -> Iterator[np.ndarray]:
    """Pass the blocks on, after a look at the first for an average reference that training did not have."""
    for number, block in enumerate(blocks):
        if number == 0:
            warn_of_average(block, source, trained)
        yield block


def _check_latency(
    blocks: Iterator[np.ndarray], source: Source, training: np.ndarray, *, shift: float
) -> Iterator[np.ndarray]:
    """Pass the blocks on, and say at the end how late their mean response is against the training's."""
    check = LatencyCheck(training, len(source.trials))
    for block in blocks:
        check.add(block)
        yield block
    check.say(shift=shift, source=source.name)


def _average(trials: pd.DataFrame, blocks: Iterator[np.ndarray]) -> tuple[pd.DataFrame, Iterator[np.ndarray]]:
    """Average the EEG of each event's trials: one row an event, in the order in which they came first."""
    numbers, events = pd.factorize(trials["event"])
    counts = np.bincount(numbers)

    def means() -> Iterator[np.ndarray]:
        sums, start = None, 0
        for block in blocks:
            sums = np.zeros((len(events), *block.shape[1:]), np.float64) if sums is None else sums
            np.add.at(sums, numbers[start : start + len(block)], block)
            start += len(block)
        assert sums is not None  # as there are trials
        for first in range(0, len(events), BLOCK_MEANS):
            rows = slice(first, first + BLOCK_MEANS)
            yield (sums[rows] / counts[rows, None, None]).astype(np.float32)

    return pd.DataFrame({"event": events, "n_trials": counts}), means()


def _predict(
    predict: Predict, blocks: Iterator[np.ndarray], pictures: Gallery | None, *, top_k: int
) -> Blocks:
    for eeg in blocks:
        embedding = predict(eeg)
        block = {"embedding": embedding}
        if pictures is not None:
            block["fmri_image"], block["similarity"] = pictures.nearest(embedding, top_k=top_k)
        yield block
