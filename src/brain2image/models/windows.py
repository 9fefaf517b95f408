"""EEG as means over short windows, all that linear models need of it."""

import numpy as np
from einops import rearrange


class Windows:
    """Means over windows of time, and the way of weights from windows back to samples.

    Evoked responses change over tens of milliseconds, so that means over 20 ms keep what a linear model can
    use, have less noise, and leave few enough inputs for a primal solution.

    Parameters
    ----------
    n_times : samples of a trial.
    sfreq : Hz.
    window : s; 0, or less than two samples, leaves every sample.
    """

    def __init__(self, n_times: int, sfreq: float, window: float):
        self.starts = np.arange(0, n_times, max(1, round(window * sfreq)))
        self.lengths = np.diff(self.starts, append=n_times).astype(np.float32)

    def average(self, eeg: np.ndarray) -> np.ndarray:
        """Average the samples of each window; the last one may be shorter.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_times) float32.

        Returns
        -------
        (n_trials, n_channels * n_windows) float32
        """
        means = np.add.reduceat(eeg, self.starts, axis=2) / self.lengths
        return rearrange(means, "trials channels windows -> trials (channels windows)")

    def smooth(self, eeg: np.ndarray) -> np.ndarray:
        """Replace every sample by the mean of its window, (n_trials, n_channels, n_times) float32."""
        means = np.add.reduceat(eeg, self.starts, axis=2) / self.lengths
        return np.repeat(means, self.lengths.astype(int), axis=2)

    def repeat(self, values: np.ndarray) -> np.ndarray:
        """Give every sample the value of its window.

        Parameters
        ----------
        values : (n_channels * n_windows, ...).

        Returns
        -------
        (n_channels * n_times, ...)
        """
        windows = rearrange(
            values, "(channels windows) ... -> windows channels ...", windows=len(self.starts)
        )
        repeated = np.repeat(windows, self.lengths.astype(int), axis=0)
        return rearrange(repeated, "times channels ... -> (channels times) ...")

    def spread(self, weights: np.ndarray) -> np.ndarray:
        """Turn weights of windows into those of samples that give the same product.

        Parameters
        ----------
        weights : (n_channels * n_windows, n_outputs).

        Returns
        -------
        (n_channels * n_times, n_outputs)
        """
        n_channels = len(weights) // len(self.starts)
        return self.repeat(weights / np.tile(self.lengths, n_channels)[:, None])
