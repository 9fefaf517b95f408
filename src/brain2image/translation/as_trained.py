"""New EEG in the training's unit: converted, or whitened and clamped by its own trials."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from brain2image.core.disk import explained_disk_errors
from brain2image.core.errors import InputError
from brain2image.datasets.bad_channels import read_amplitudes
from brain2image.datasets.units import MICROVOLTS_PER_VOLT, RMS_RANGES
from brain2image.datasets.whitening import channel_scales, clip_trials, fit_whitening, mix_channels
from brain2image.translation.new_eeg import Source

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 128
# From the unit of the EEG to that of the training.
FACTORS = {("V", "uV"): MICROVOLTS_PER_VOLT, ("uV", "uV"): 1.0, ("whitened", "whitened"): 1.0}


def unit_factor(source: Source, unit: str) -> float:
    """Return the factor from a file's unit to that of the training."""
    if (source.unit, unit) not in FACTORS:
        why = (
            "whitened EEG has no unit, so that volts are no input for this model; whiten yours as the "
            "training's release does and say so, or use a run that was trained on raw EEG"
            if unit == "whitened"
            else "whitening cannot be undone; use the EEG before it, or a run trained on whitened EEG"
        )
        raise InputError(f"{source.name}: expected EEG in {unit}, as in training, got {source.unit}: {why}")
    return FACTORS[source.unit, unit]


def unit_remedy(rms: float, said: str, unit: str) -> str | None:
    """Say what to do where EEG of this root mean square, said to be in one unit, can only be in another."""
    for other, (low, high) in RMS_RANGES.items():
        if other != said and (other, unit) in FACTORS and low <= rms <= high:
            return f"the samples, {rms:.3g} {said} by the file, look like {other}: say so (--unit {other})"
    return None


class Recipe(NamedTuple):
    """What the training's EEG went through and the new EEG has not yet."""

    whiten: bool
    clip: float  # standard deviations, or 0

    @classmethod
    def of(cls, source: Source, training: Mapping[str, Any]) -> "Recipe":
        """Return what is left to do, given what ``config.json`` says of the training's EEG."""
        clip = float(training.get("clip", 0.0))
        is_to_whiten = training.get("whiten") == "session" and source.unit != "whitened"
        is_clipped = clip == source.clip and not is_to_whiten
        return cls(is_to_whiten, 0.0 if is_clipped else clip)


def as_in_training(
    blocks: Iterator[np.ndarray], recipe: Recipe, channels: Sequence[str], *, source: str
) -> Iterator[np.ndarray]:
    """Yield blocks whitened over the channels and clamped as the recipe says.

    Both look at all trials first. These lie in a temporary file meanwhile: the memory does not grow with
    their number, and a recording is filtered once.

    Parameters
    ----------
    blocks : (n_block, n_channels, n_times) float32, in microvolts where they are to be whitened.
    recipe : what is to be done.
    channels : their names.
    source : where the trials come from, for messages.

    Raises
    ------
    InputError
        When there are fewer trials than channels to whiten from.
    """
    if not any(recipe):
        yield from blocks
        return
    eeg = spool(blocks)
    everything = np.ones(len(eeg), bool)
    if recipe.whiten:
        whitening = fit_whitening(eeg, everything, channels, unit="uV", source=source)
        mix_channels(eeg, everything, whitening.matrix)
        text = "%s: whitened over the channels by its own %d trials, as each session of the training was"
        logger.info(text, source, len(eeg))
    if recipe.clip:
        rms, _ = read_amplitudes(eeg, everything)
        clipped = clip_trials(eeg, recipe.clip * channel_scales(rms))
        text = "%s: clamped %.2g %% of the samples at %g standard deviations, as in training"
        logger.info(text, source, 100 * clipped, recipe.clip)
    for start in range(0, len(eeg), BLOCK_TRIALS):
        yield np.array(eeg[start : start + BLOCK_TRIALS])


def spool(blocks: Iterator[np.ndarray]) -> np.memmap:
    """Write blocks into a nameless temporary file, and map it as one array that can be changed."""
    n_trials = 0
    with tempfile.TemporaryFile() as file, explained_disk_errors(f"{tempfile.gettempdir()}/trials"):
        for block in blocks:
            # written, not mapped: a full disk is an error here, and not the end of the process later
            file.write(np.ascontiguousarray(block, np.float32).data)
            n_trials += len(block)
        file.flush()
        return np.memmap(file, np.float32, "r+", shape=(n_trials, *block.shape[1:]))
