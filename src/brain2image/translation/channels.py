"""A file's channels in the model's order, by name."""

import logging
import re
from collections.abc import Sequence
from typing import NamedTuple

import mne
import numpy as np

from brain2image.errors import InputError
from brain2image.translation.sources import Source

logger = logging.getLogger(__name__)

# Positions of the names of the 10-05 system on a template head, as MNE calls it from 1.13 on and before.
MONTAGES = {"colin27_1005", "standard_1005"}
OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}  # of the 10-20 system before 1991
DECORATION = re.compile(r"^eeg[ _-]*|[ _-]*(ref|le|ar|a1|a2|m1|m2|avg)$|[. ]+$")


class Mixing(NamedTuple):
    """How the model's channels are made of a file's."""

    rows: list[int]  # of the file, to be read
    matrix: np.ndarray | None  # (n_channels, n_rows) float32; None where they are the model's channels

    def __call__(self, eeg: np.ndarray) -> np.ndarray:
        """(n_trials, n_channels, n_times) float32 of the rows that were read, (n_trials, n_rows, n_times)."""
        return eeg if self.matrix is None else np.matmul(self.matrix, eeg)


def arrange_channels(source: Source, channels: Sequence[str], *, interpolate: bool) -> Mixing:
    """Find the model's channels in a file.

    Parameters
    ----------
    source : the file.
    channels : the model's, in its order.
    interpolate : whether those that are missing or marked as bad are interpolated from the others, by
        spherical splines (Perrin et al., 1989) between template positions.

    Raises
    ------
    InputError
        Names the channels that are missing and not to be interpolated, or have no position. One that is there
        under another name is neither guessed nor interpolated.
    """
    good = [name for name in source.channels if name not in source.bads]
    missing = [name for name in channels if name not in good]
    if not missing:
        return Mixing([source.channels.index(name) for name in channels], None)
    _check_names(source, channels, missing, interpolate=interpolate)
    template = montage().ch_names
    used = [name for name in good if name in template]
    without = [name for name in missing if name not in template]
    if without or len(used) < 2:
        raise InputError(
            f"{source.name}: expected channels of the 10-05 system to interpolate, got "
            f"{', '.join(without) or 'none in the file'}; leave interpolation out"
        )
    logger.warning(
        "%s: %d of %d channels are interpolated: %s",
        *(source.name, len(missing), len(channels), ", ".join(missing)),
    )
    return Mixing([source.channels.index(name) for name in used], _spline_matrix(used, channels, missing))


def likely_name(wanted: str, found: Sequence[str]) -> str | None:
    """The name among ``found`` under which a channel may hide: another case, decoration, or the old name."""
    plain = {name: DECORATION.sub("", DECORATION.sub("", name.casefold())) for name in found}
    return next(
        (name for name in found if OLD_NAMES.get(plain[name], plain[name]) == wanted.casefold()), None
    )


def montage() -> mne.channels.DigMontage:
    """Positions of all names of the 10-05 system."""
    return mne.channels.make_standard_montage(min(MONTAGES.intersection(mne.channels.get_builtin_montages())))


def _check_names(
    source: Source, channels: Sequence[str], missing: Sequence[str], *, interpolate: bool
) -> None:
    others = [name for name in source.channels if name not in channels]
    notes = {name: "marked as bad" for name in missing if name in source.bads}
    aliases = {name: alias for name in missing if name not in notes and (alias := likely_name(name, others))}
    if interpolate and not aliases:
        return
    notes |= {name: f"is it {alias!r}?" for name, alias in aliases.items()}
    listed = ", ".join(f"{name} ({notes[name]})" if name in notes else name for name in missing)
    rename = "rename the channels in the file, or name all in its order (--channels)"
    remedy = rename if aliases else "record them, or ask for their interpolation (--interpolate)"
    raise InputError(
        f"{source.name}: expected the {len(channels)} channels of the training, got {len(source.channels)} "
        f"without {listed}; {remedy}"
    )


def _spline_matrix(used: Sequence[str], channels: Sequence[str], missing: Sequence[str]) -> np.ndarray:
    """(n_channels, n_used) float32: as interpolation is linear, the columns are interpolated impulses."""
    info = mne.create_info([*used, *missing], 200, "eeg")
    info.set_montage(montage())
    info["bads"] = list(missing)
    impulses = np.concatenate([np.eye(len(used)), np.zeros((len(missing), len(used)))])
    with mne.use_log_level("error"):
        values = mne.EvokedArray(impulses, info).interpolate_bads(origin="auto").data
    names = [*used, *missing]
    return values[[names.index(name) for name in channels]].astype(np.float32)
