"""New EEG whitened and clamped as the training's was, by its own trials, which need no labels for it."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from brain2image.core.disk import explained_disk_errors
from brain2image.datasets.bad_channels import read_amplitudes
from brain2image.datasets.whitening import channel_scales, clip_trials, fit_whitening, mix_channels
from brain2image.translation.new_eeg import Source

logger = logging.getLogger(__name__)

BLOCK_TRIALS = 128


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
    eeg = _spool(blocks)
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


def _spool(blocks: Iterator[np.ndarray]) -> np.memmap:
    """Write blocks into a nameless temporary file, and map it as one array that can be changed."""
    n_trials = 0
    with tempfile.TemporaryFile() as file, explained_disk_errors(f"{tempfile.gettempdir()}/trials"):
        for block in blocks:
            # written, not mapped: a full disk is an error here, and not the end of the process later
            file.write(np.ascontiguousarray(block, np.float32).data)
            n_trials += len(block)
        file.flush()
        return np.memmap(file, np.float32, "r+", shape=(n_trials, *block.shape[1:]))
