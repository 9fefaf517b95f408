"""The EEG of one cap as another cap would have it, by the names of the channels."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain2image.core.errors import InputError

logger = logging.getLogger(__name__)


def channel_matrix(
    own: Sequence[str], wanted: Sequence[str], *, interpolates: bool, source: str | Path
) -> np.ndarray:
    """Return the matrix that turns EEG of some channels into EEG of others: ``eeg_wanted = matrix @ eeg``.

    Parameters
    ----------
    own, wanted : names of the channels.
    interpolates : whether those that are missing are interpolated by spherical splines from all that are
        there (`datasets.splines`); names must then be of the 10-05 system.
    source : whose channels they are, for the message.

    Returns
    -------
    (n_wanted, n_own) float32.

    Raises
    ------
    InputError
        When channels are missing and are not interpolated.
    """
    missing = [name for name in wanted if name not in own]
    if missing and not interpolates:
        raise InputError(
            f"{source}: expected the channels of the model, but {', '.join(missing)} are missing; set "
            "training.missing_channels to interpolate, or let the run learn with channels that all have"
        )
    matrix = np.zeros((len(wanted), len(own)), np.float32)
    for row, name in enumerate(wanted):
        if name in own:
            matrix[row, list(own).index(name)] = 1
    if missing:
        from brain2image.datasets.splines import interpolation_matrix  # it imports MNE, which few runs need

        splines = interpolation_matrix([*own, *missing], missing)
        matrix[[list(wanted).index(name) for name in missing]] = splines[len(own) :, : len(own)]
        logger.info("%s: interpolated %s", source, ", ".join(missing))
    if unused := [name for name in own if name not in wanted]:
        logger.info("%s: left out %s, which others lack", source, ", ".join(unused))
    return matrix
