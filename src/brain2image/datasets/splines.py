"""Where electrodes lie on a head, and what one of them would measure, by its neighbours."""

from collections.abc import Collection, Sequence

import mne
import numpy as np

# Positions of the names of the 10-05 system on a template head, as MNE calls it from 1.13 on and before.
TEN_FIVE = frozenset({"colin27_1005", "standard_1005"})


def template(names: Collection[str]) -> mne.channels.DigMontage:
    """Return the one of these montages that the installed MNE has."""
    return mne.channels.make_standard_montage(
        min(set(names).intersection(mne.channels.get_builtin_montages()))
    )


def interpolation_matrix(channels: Sequence[str], bads: Collection[str]) -> np.ndarray:
    """Return `spline_matrix` of channels that are named in the 10-05 system, on the template head."""
    return spline_matrix(template(TEN_FIVE), channels, bads, origin="auto")


def spline_matrix(
    montage: mne.channels.DigMontage,
    channels: Sequence[str],
    bads: Collection[str],
    *,
    origin: str | tuple[float, float, float],
) -> np.ndarray:
    """Return the matrix that interpolates channels and keeps the others: ``interpolated = matrix @ eeg``.

    By spherical splines (Perrin et al., 1989), by MNE; interpolation is linear, so the columns are what it
    makes of impulses.

    Parameters
    ----------
    montage : where the electrodes lie.
    channels : their names.
    bads : those of them that are interpolated.
    origin : middle of the head, m in the head frame, or ``auto``: that of the sphere that fits best.

    Returns
    -------
    (n_channels, n_channels) float32; columns of interpolated channels are 0.
    """
    info = mne.create_info(list(channels), 1.0, "eeg").set_montage(montage)
    info["bads"] = list(bads)
    impulses = np.diag([float(name not in bads) for name in channels])
    with mne.use_log_level("error"):
        return mne.EvokedArray(impulses, info).interpolate_bads(origin=origin).data.astype(np.float32)
