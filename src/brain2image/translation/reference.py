"""The electrode against which EEG is measured, in new EEG and in training."""

import logging
from collections.abc import Sequence

import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.splines import interpolation_matrix
from brain2image.translation.channels import Mixing
from brain2image.translation.new_eeg import Source

logger = logging.getLogger(__name__)

AVERAGE = "average"
# Root mean square of the mean over channels, over that of a channel. EEG against an electrode has half or
# more, against the average of these channels and a few others nearly nothing.
AVERAGED = 0.05


class Rereferenced:
    """The model's channels, measured against others.

    Attributes
    ----------
    rows : of the file, to be read.
    """

    def __init__(self, mixing: Mixing, source: Source, reference: Sequence[str]):
        """Find the reference.

        Parameters
        ----------
        mixing : makes the model's channels of the file's.
        source : the file.
        reference : ``average``, the mean of the model's channels; or names of the file's channels, whose mean
            is subtracted.

        Raises
        ------
        InputError
            When the file has no such channel, or marks it as bad.
        """
        self._mixing, self._columns, self.rows = mixing, [], list(mixing.rows)
        if list(reference) == [AVERAGE]:
            return
        good = [name for name in source.channels if name not in source.bads]
        missing = [name for name in reference if name not in good]
        if missing:
            raise InputError(
                f"{source.name}: expected good channels as reference, got {', '.join(missing)}, which the "
                f"file lacks or marks as bad; name others, or {AVERAGE}"
            )
        references = [source.channels.index(name) for name in reference]
        self.rows += [row for row in dict.fromkeys(references) if row not in mixing.rows]
        self._columns = [self.rows.index(row) for row in references]

    def __call__(self, eeg: np.ndarray) -> np.ndarray:
        """Return (n_trials, n_channels, n_times) float32 of the rows that were read."""
        mixed = self._mixing(eeg[:, : len(self._mixing.rows)])
        against = eeg[:, self._columns] if self._columns else mixed
        return mixed - against.mean(axis=1, keepdims=True)


class Interpolated:
    """The model's channels, those that training interpolated made from the others: the model knows no other.

    Attributes
    ----------
    rows : of the file, to be read.
    """

    def __init__(
        self, mixing: Mixing | Rereferenced, channels: Sequence[str], bads: Sequence[str], *, source: str
    ):
        self.rows, self._mixing, self._matrix = mixing.rows, mixing, interpolation_matrix(channels, bads)
        logger.warning("%s: %s are interpolated, as in training", source, ", ".join(bads))

    def __call__(self, eeg: np.ndarray) -> np.ndarray:
        """Return (n_trials, n_channels, n_times) float32 of the rows that were read."""
        return np.matmul(self._matrix, self._mixing(eeg))


def compare_reference(source: Source, trained: str | None, reference: Sequence[str] | None) -> None:
    """Log how the reference differs from the training's, as far as it is known.

    Parameters
    ----------
    source : the file.
    trained : reference of the training's EEG; None where its run does not say so.
    reference : to which the file is referenced anew; None for what it was recorded against.
    """
    own = " and ".join(reference) if reference else source.reference
    if trained is None or trained == "unknown":
        logger.info(
            "%s: the run does not name the reference of its training, so that it cannot be compared",
            source.name,
        )
    elif own is None and trained in source.channels and not _is_flat(source, trained):
        _warn(source, f"not {trained}, which has EEG of its own", trained)
    elif own is None:
        text = "%s: nothing says what it is referenced to; training's EEG is against %s"
        logger.info(text, source.name, trained)
    elif own.casefold() != trained.casefold():
        _warn(source, own, trained)


def warn_of_average(eeg: np.ndarray, source: Source, trained: str | None) -> None:
    """Warn where trials (n_trials, n_channels, 200) are against the average, and the training's were not.

    Parameters
    ----------
    eeg : the model's channels, as they were recorded.
    source, trained : as for `compare_reference`; nothing is said where both references are known.
    """
    if trained in (None, "unknown", AVERAGE) or source.reference is not None or eeg.shape[1] < 3:
        return
    rms = np.sqrt(np.mean(np.square(eeg, dtype=np.float64)))
    if np.sqrt(np.mean(np.square(eeg.mean(axis=1, dtype=np.float64)))) < AVERAGED * rms:
        _warn(source, AVERAGE, trained)


def _is_flat(source: Source, name: str) -> bool:
    block = next(source.blocks([source.channels.index(name)]))
    return not np.ptp(block) > 0


def _warn(source: Source, own: str, trained: str) -> None:
    remedy = f"reference (--reference {trained})" if trained in source.channels else "MNE's set_eeg_reference"
    text = "%s: its reference is %s, and %s in training, which costs hits; use %s"
    logger.warning(text, source.name, own, trained, remedy)
