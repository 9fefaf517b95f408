"""Whether the responses in new EEG come as late after the event as those that the model was trained on."""

import logging
from typing import NamedTuple

import numpy as np

from brain2image.translation.rates import SFREQ

logger = logging.getLogger(__name__)

N_GROUPS = 8  # of trials, one after the other; a latency must be found in each without it
LEAST_TRIALS = 5 * N_GROUPS
LONGEST = 20  # samples at 200 Hz, 100 ms: half of what is between the pictures of fast streams (200 ms)
LEAST_LATENCY = 8.0  # ms, half a frame at 60 Hz; people differ by less
LEAST_SIMILARITY = 0.5  # cosine; that of noise, or of another rhythm of pictures, lies below
LEAST_T = 3.0  # mean gain of the groups over its standard error


class Latency(NamedTuple):
    """How late the mean response is, and what speaks for it."""

    milliseconds: float  # later than in training
    similarity: float  # to the training's, there
    unmoved: float  # and at no latency
    is_clear: bool  # whether every group of trials says so


class LatencyCheck:
    """Sums of trials, from which the latency of their mean response is estimated.

    Parameters
    ----------
    training : (n_channels, n_times) float32, mean response of the training, at 200 Hz.
    n_trials : how many will come.
    """

    def __init__(self, training: np.ndarray, n_trials: int):
        self.training, self.n_trials, self._n_added = training, n_trials, 0
        self._training = _without_reference(training)
        self._sums = np.zeros((N_GROUPS, *training.shape))

    def add(self, eeg: np.ndarray) -> None:
        """Add the next trials, (n_block, n_channels, n_times) in the training's unit."""
        numbers = np.arange(self._n_added, self._n_added + len(eeg))
        groups = numbers * N_GROUPS // self.n_trials
        for group in np.unique(groups):
            self._sums[group] += eeg[groups == group].sum(axis=0, dtype=np.float64)
        self._n_added += len(eeg)

    def estimate(self) -> Latency:
        """Return the latency at which the mean response is most similar to the training's.

        The similarity is the cosine over channels and times, without the means over channels (so that the
        reference does not count) and over times. The latency is clear where it is found again without any
        one group of trials, and where that group, too, is more similar there than at no latency.
        """
        total = self._sums.sum(axis=0)
        curve, best = self._curve(total)
        own = np.stack([self._curve(group)[0] for group in self._sums])
        others = np.array([self._curve(total - group)[1] for group in self._sums])
        gains = own[np.arange(N_GROUPS), others] - own[:, LONGEST]
        error = gains.std(ddof=1) / np.sqrt(N_GROUPS)
        milliseconds = 1000 / SFREQ * (best - LONGEST + _vertex(curve, best))
        is_clear = (
            curve[best] >= LEAST_SIMILARITY
            and gains.mean() > LEAST_T * error
            and np.abs(others - best).max() <= 1
            and abs(milliseconds) >= LEAST_LATENCY
        )
        return Latency(milliseconds, float(curve[best]), float(curve[LONGEST]), bool(is_clear))

    def say(self, *, shift: float, source: str) -> None:
        """Log what was found: a warning where the latency is clear, with the option that makes up for it.

        Parameters
        ----------
        shift : ms by which the trials were shifted already.
        source : the EEG, for the message.
        """
        if not self.training.any():
            text = (
                "%s: the run does not hold the mean response of its training, so that the latency cannot be "
                "compared; train it again for that"
            )
            logger.info(text, source)
            return
        if self.n_trials < LEAST_TRIALS:
            text = "%s: %d trials are too few to compare their latency with the training's"
            logger.info(text, source, self.n_trials)
            return
        found = self.estimate()
        if found.is_clear:
            text = (
                "%s: the mean response comes %.0f ms %s than in training (similarity %.2f, unmoved %.2f); if "
                "the display or the trigger is the cause, set the shift to %.0f ms (--shift %.0f)"
            )
            order = "later" if found.milliseconds > 0 else "earlier"
            wanted = shift + found.milliseconds
            values = (abs(found.milliseconds), order, found.similarity, found.unmoved, wanted, wanted)
            logger.warning(text, source, *values)
        elif found.unmoved >= LEAST_SIMILARITY and abs(found.milliseconds) < LEAST_LATENCY:
            text = "%s: the mean response comes when it did in training (similarity %.2f)"
            logger.info(text, source, found.unmoved)
        else:
            text = "%s: %d trials do not tell whether they are late (similarity to training's response %.2f)"
            logger.info(text, source, self.n_trials, found.similarity)

    def _curve(self, response: np.ndarray) -> tuple[np.ndarray, int]:
        """Compute the similarity at latencies -LONGEST to LONGEST, (2 LONGEST + 1,), and where it peaks."""
        training, response = self._training, _without_reference(response)
        n_times = response.shape[1]
        curve = [
            _cosine(training[:, max(-lag, 0) : n_times - lag], response[:, max(lag, 0) : n_times + lag])
            for lag in range(-LONGEST, LONGEST + 1)
        ]
        return np.array(curve), int(np.argmax(curve))


def _without_reference(response: np.ndarray) -> np.ndarray:
    """Re-reference a response (n_channels, n_times) to the average, where it has channels enough for one."""
    return response - response.mean(axis=0) if len(response) > 2 else response


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
    length = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / length) if length > 0 else 0.0


def _vertex(curve: np.ndarray, best: int) -> float:
    """Find where a parabola through the highest value and its neighbours peaks, -0.5 to 0.5 samples off."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, at, after = curve[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
