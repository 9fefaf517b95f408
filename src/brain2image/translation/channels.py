"""A file's channels in the model's order, by name or by position."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.units import flat_channels
from brain2image.translation import caps
from brain2image.translation.names import CapOptions, check_names, usable_rows
from brain2image.translation.new_eeg import Source

logger = logging.getLogger(__name__)

# Up to this distance an electrode misses a dipole's potential at a channel's place by less than splines do,
# which smooth (400 dipoles, caps of 64 to 256).
SAME = 7.0  # mm
NEAR = 20.0  # mm; an electrode so near stands for a channel; neighbours of the 10-10 system are 30 mm apart


class Mixing:
    """The model's channels, made of a file's block by block.

    Attributes
    ----------
    rows : of the file, to be read.
    """

    def __init__(self, layout: "Layout", options: CapOptions):
        """Make the weights for blocks without a flat channel.

        Parameters
        ----------
        layout : where the channels are.
        options : whether flat channels are interpolated.
        """
        self.rows = list(layout.rows.values())
        self._layout, self._options = layout, options
        self._weights: dict[frozenset[str], np.ndarray | None]
        self._weights = {frozenset(): layout.weigh((), n_least=options.min_channels)}

    def __call__(self, eeg: np.ndarray) -> np.ndarray:
        """Map rows that were read, (n_trials, n_rows, n_times), to (n_trials, n_channels, n_times) float32.

        Raises
        ------
        InputError
            When channels are flat in most trials and not to be interpolated.
        """
        names, is_flat = list(self._layout.rows), flat_channels(eeg)
        zeros = np.flatnonzero(~eeg.any(axis=(0, 2)))
        if len(zeros) == 1 and self._layout.is_reference(names[zeros[0]]):
            is_flat[zeros] = False
        dead = frozenset(name for name, flat in zip(names, is_flat, strict=True) if flat)
        if dead not in self._weights:
            self._weights[dead] = self._without(dead)
        weights = self._weights[dead]
        return eeg if weights is None else np.matmul(weights, eeg)

    def _without(self, dead: Collection[str]) -> np.ndarray | None:
        layout, options = self._layout, self._options
        if lost := ", ".join(name for name in layout.rows if name in dead and name not in layout.flat):
            if not (options.interpolate or options.montage):
                raise InputError(
                    f"{layout.source}: expected channels that vary, as in training, got flat ones: {lost}; "
                    "have them interpolated (--interpolate), or, of the reference electrode, name another "
                    "reference (--reference)"
                )
            logger.warning("%s: flat channels are left out: %s", layout.source, lost)
        return layout.weigh(dead, n_least=options.min_channels)


class Layout(NamedTuple):
    """Where a file's channels and the model's are."""

    source: str
    rows: dict[str, int]  # of the file, to be read, by the name of the channel
    channels: Sequence[str]  # the model's
    same: Mapping[str, str]  # the row that is a channel of the model
    electrodes: Mapping[str, np.ndarray]  # direction (3,) of a row
    targets: Mapping[str, np.ndarray]  # direction (3,) of a channel of the model
    flat: Collection[str] = ()  # channels that were flat in training, and may be here
    rereferenced: bool = False  # whether the EEG is measured against another reference afterwards
    reference: str | None = None  # against which it was recorded, where the file says so

    def is_reference(self, name: str) -> bool:
        """Tell whether a channel of zeros may be what the others were measured against, and no broken one."""
        return self.rereferenced or name.casefold() == (self.reference or "").casefold()

    def weigh(self, dead: Collection[str], *, n_least: int | None) -> np.ndarray | None:
        """Weigh the rows in the model's channels: (n_channels, n_rows) float32.

        Parameters
        ----------
        dead : rows from which nothing is interpolated.
        n_least : channels that must have an electrode near; None for half of them.

        Returns
        -------
        None where the rows are the channels.
        """
        lost = set(dead) - set(self.flat)
        missing = [name for name in self.channels if name not in self.same or self.same[name] in lost]
        if not missing and list(self.rows) == list(self.channels):
            return None
        names = list(self.rows)
        weights = np.zeros((len(self.channels), len(names)), np.float32)
        for row, name in enumerate(self.channels):
            if name not in missing:
                weights[row, names.index(self.same[name])] = 1
        if missing:
            columns = [i for i, name in enumerate(names) if name in self.electrodes and name not in dead]
            electrodes = {names[i]: self.electrodes[names[i]] for i in columns}
            targets = self._targets(missing)
            self._check_near(electrodes, targets, n_least=n_least)
            rows = [self.channels.index(name) for name in missing]
            weights[np.ix_(rows, columns)] = caps.splines(electrodes, targets)
        return weights

    def _targets(self, missing: Sequence[str]) -> dict[str, np.ndarray]:
        if without := [name for name in missing if name not in self.targets]:
            raise InputError(
                f"{self.source}: expected channels of the 10-05 system to interpolate, got "
                f"{', '.join(without)}; leave interpolation out"
            )
        return {name: self.targets[name] for name in missing}

    def _check_near(
        self, electrodes: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], *, n_least: int | None
    ) -> None:
        """Raise InputError unless enough of the model's channels have an electrode near; log how near."""
        n_channels, n_same = len(self.channels), len(self.channels) - len(targets)
        n_least = max(1, n_channels // 2 if n_least is None else n_least)
        distances = {name: distance for name, (_, distance) in caps.nearest(electrodes, targets).items()}
        n_near = n_same + sum(distance <= NEAR for distance in distances.values())
        if n_near < n_least:
            raise InputError(
                f"{self.source}: expected electrodes within {NEAR:g} mm of at least {n_least} of the "
                f"{n_channels} channels of the training, got them of {n_near}; record more, name the cap "
                "(--montage) or the electrodes (--rename), or accept fewer (--min-channels)"
            )
        logger.warning(
            "%s: %d of %d channels are interpolated (distance of the nearest electrode): %s",
            *(self.source, len(targets), n_channels),
            ", ".join(f"{name} ({distance:.0f} mm)" for name, distance in distances.items()),
        )


def arrange_channels(
    source: Source,
    channels: Sequence[str],
    options: CapOptions,
    *,
    flat: Collection[str] = (),
    rereferenced: bool = False,
) -> Mixing:
    """Find the model's channels in a file.

    Parameters
    ----------
    source : the file.
    channels : the model's, in its order.
    options : how to find them.
    flat : channels that were flat in training.
    rereferenced : whether the EEG is measured against another reference afterwards, so that one channel may
        be zero.

    Raises
    ------
    InputError
        Names the channels that are missing and not to be interpolated, have no position, or have no electrode
        near. One that is there under another name is neither guessed nor interpolated.
    """
    if options.min_channels is not None and not (options.interpolate or options.montage):
        raise InputError("min_channels: expected interpolate or montage beside it; without, all are needed")
    rows, unused = usable_rows(source, channels, options)
    if options.montage is not None:
        layout = _by_position(source, rows, channels, options.montage)
    else:
        layout = _by_name(source, rows, channels, unused, interpolate=options.interpolate)
        layout = layout._replace(flat=flat)
    if ignored := [name for row, name in enumerate(source.channels) if row not in layout.rows.values()]:
        logger.info("%s: channels that are not used: %s", source.name, ", ".join(ignored))
    return Mixing(layout._replace(rereferenced=rereferenced, reference=source.reference), options)


def _by_position(source: Source, rows: Mapping[str, int], channels: Sequence[str], montage: str) -> Layout:
    electrodes, targets = caps.read_cap(montage, list(rows))
    rows = {name: rows[name] for name in electrodes}
    placed = {name: targets[name] for name in channels if name in targets}
    found = caps.nearest(electrodes, placed).items()
    near = {name: (electrode, mm) for name, (electrode, mm) in found if electrode and mm <= SAME}
    listed = ", ".join(f"{name} = {electrode} ({mm:.0f} mm)" for name, (electrode, mm) in near.items())
    logger.info("%s: channels that are an electrode of %s: %s", source.name, montage, listed or "none")
    same = {name: electrode for name, (electrode, _) in near.items()}
    return Layout(source.name, rows, channels, same, electrodes, targets)


def _by_name(
    source: Source,
    rows: Mapping[str, int],
    channels: Sequence[str],
    unused: Mapping[str, str],
    *,
    interpolate: bool,
) -> Layout:
    missing = [name for name in channels if name not in rows]
    if not missing and not interpolate:
        rows, same = {name: rows[name] for name in channels}, {name: name for name in channels}
        return Layout(source.name, rows, channels, same, electrodes={}, targets={})
    if missing:
        check_names(source, channels, missing, unused, interpolate=interpolate)
    known = caps.ten_five()
    same = {name: name for name in channels if name in rows}
    others = [name for name in rows if missing and name in known and name not in channels]
    places = caps.on_sphere({name: known[name] for name in [*channels, *others] if name in known})
    rows = {name: rows[name] for name in [*same, *others]}
    return Layout(source.name, rows, channels, same, places, places)
