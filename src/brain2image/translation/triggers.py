"""The codes of a trigger channel, whatever it rests at and however long it holds them."""

import logging
import os
from typing import NamedTuple

import mne
import numpy as np

from brain2image.formats.eeg_files import readable

logger = logging.getLogger(__name__)

PREFERRED = ("STI101", "STI 014")  # where MNE's readers put the sum of several channels
SCALES = (1.0, 1e3, 1e6)  # readers take codes for volts, of which files hold thousandths and millionths
WHOLE = 0.25  # how far a code may lie from a whole number: files of 16 bits round what they scale
NO_CODE = np.iinfo(np.int64).min  # stands for values that are no whole number
BIOSEMI = 0xFFFF  # its channel, Status, holds codes in 16 bits and tells of the amplifier in those above
STATUS_BITS = 17  # from here on, bits tell of the amplifier where they are held
PORT_BITS = 8  # bits from here on that are on throughout are open inputs
RESTING = {255, 65280, 65535, -1, -256}  # what a parallel port rests at, in 8 and 16 bits
REST_SHARE = 0.4  # of the channel's levels in time's order: pulses return to rest every other time


class Levels(NamedTuple):
    """A channel as the levels that it takes one after the other."""

    starts: np.ndarray  # (n_levels,) int64, first sample of each
    lengths: np.ndarray  # (n_levels,) int64, samples
    codes: np.ndarray  # (n_levels,) int64


def read_triggers(raw: mne.io.BaseRaw, *, source: str | os.PathLike) -> list[tuple[str, int]]:
    """Return code and sample, from the recording's first on, of everything in its trigger channel."""
    rows = mne.pick_types(raw.info, meg=False, stim=True).tolist()
    rows.sort(key=lambda row: raw.ch_names[row] not in PREFERRED)  # keeps the others' order
    found = {}
    for row in rows:
        name = raw.ch_names[row]
        with readable(source):
            values = raw.get_data([row])[0]
        if events := find_codes(values, name=name, source=source):
            found[name] = events
    if len(found) > 1:
        chosen, *others = found
        text = "%s: events are those of the channel %s; %s, which have others, are not read"
        logger.warning(text, source, chosen, ", ".join(others))
    return next(iter(found.values()), [])


def find_codes(values: np.ndarray, *, name: str, source: str | os.PathLike) -> list[tuple[str, int]]:
    """Return code and sample of every event of a trigger channel.

    An event is where the channel takes another level than that at which it rests: at the next picture, too,
    where codes are held until then. It rests at 0, and where it does not return to that, see `resting_level`.
    A level of one sample beside a longer one is the change between two.

    Parameters
    ----------
    values : (n_samples,) float64.
    name, source : channel and file, for messages.
    """
    where = f"{source}: trigger channel {name}"
    levels = _without_status_bits(_merge(_whole(values, where)), name)
    levels, rest = _without_open_inputs(levels, resting_level(levels), where)
    if rest:
        n_rests = int((levels.codes == rest).sum())
        logger.info("%s rests at %d, which is no event (%d times)", where, rest, n_rests)
    levels = _without_transitions(levels, rest, where)
    is_event = (levels.codes != rest) & (levels.codes != 0) & (levels.starts > 0)
    if n_odd := int((levels.codes[is_event] == NO_CODE).sum()):
        logger.warning("%s: left out %d events whose code is no whole number", where, n_odd)
    is_event &= levels.codes != NO_CODE
    if levels.codes[0] not in (0, rest, NO_CODE):
        logger.info("%s holds %d from the first sample on, which is no event", where, levels.codes[0])
    codes, starts = levels.codes[is_event].tolist(), levels.starts[is_event].tolist()
    return [(str(code), start) for code, start in zip(codes, starts, strict=True)]


def resting_level(levels: Levels) -> int:
    """Return the level at which a trigger channel rests between events.

    Another one than 0 is taken at least two times out of five, and is what ports rest at, or lasts longer
    than twice all codes together: where two codes are held in turn, neither may be lost.
    """
    codes, counts = np.unique(levels.codes, return_counts=True)
    often = codes[(counts >= REST_SHARE * counts.sum()) & (codes != NO_CODE)].tolist()
    if 0 in often or not often:
        return 0
    lasts = {code: int(levels.lengths[levels.codes == code].sum()) for code in often}
    known = {code: length for code, length in lasts.items() if code in RESTING} or lasts
    rest = max(known, key=known.__getitem__)
    others = int(levels.lengths[(levels.codes != 0) & (levels.codes != rest)].sum())
    return rest if rest in RESTING or lasts[rest] > 2 * others else 0


def _whole(values: np.ndarray, where: str) -> np.ndarray:
    """Return (n_samples,) int64: whole numbers, and NO_CODE in place of what is none."""
    largest = np.max(np.abs(values), initial=0, where=np.isfinite(values))
    for scale in SCALES:
        whole = np.rint(values * scale)
        is_whole = np.abs(values * scale - whole) <= WHOLE  # NaN is not
        if scale == 1 and not 0 < largest < 0.5:
            break
        if scale != 1 and largest * scale > 0.5 and is_whole.all():
            logger.info("%s: its codes are %g times the values", where, scale)
            break
    else:
        logger.warning("%s holds no whole numbers and no codes, but values up to %g", where, largest)
        return np.zeros(len(values), np.int64)
    return np.where(is_whole, whole, NO_CODE).astype(np.int64)


def _merge(codes: np.ndarray, levels: Levels | None = None) -> Levels:
    """Find levels of samples; or of levels that took other codes, of which neighbours may now be one."""
    n_samples = len(codes) if levels is None else int(levels.lengths.sum())
    first = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    starts = first if levels is None else levels.starts[first]
    return Levels(starts, np.diff(starts, append=n_samples), codes[first])


def _without_status_bits(levels: Levels, name: str) -> Levels:
    """Take from levels the bits above the codes, which tell of the amplifier."""
    codes = levels.codes
    if name.casefold() == "status":
        return _merge(np.where(codes == NO_CODE, codes, codes & BIOSEMI), levels)
    high = np.where(codes > 0, codes >> STATUS_BITS << STATUS_BITS, 0)
    for status in np.unique(high[high > 0]):
        is_on = high == status
        # held while nothing is shown, and no code of its own
        if 2 * levels.lengths[codes == status].sum() > levels.lengths[is_on].sum():
            codes = np.where(is_on, codes - status, codes)
    return _merge(codes, levels)


def _without_open_inputs(levels: Levels, rest: int, where: str) -> tuple[Levels, int]:
    """Take from levels, and return, the upper bits of the port that are on throughout."""
    is_code = levels.codes != NO_CODE
    if -(BIOSEMI + 1) // 2 <= rest < 0:  # 16 bits that were read with a sign
        levels, rest = _merge(np.where(is_code, levels.codes & BIOSEMI, NO_CODE), levels), rest & BIOSEMI
        is_code = levels.codes != NO_CODE
    stuck = rest >> PORT_BITS << PORT_BITS
    is_on = is_code & (levels.codes & stuck == stuck)
    # before the port was opened it may be 0
    if not stuck or not (is_on | ~is_code | (levels.codes == 0)).all():
        return levels, rest
    logger.info("%s: %d is on throughout and left out, so that %d is called 1", where, stuck, stuck + 1)
    return _merge(np.where(is_on, levels.codes - stuck, levels.codes), levels), rest - stuck


def _without_transitions(levels: Levels, rest: int, where: str) -> Levels:
    """Drop levels of one sample through which the channel went from one to a longer other one."""
    is_code = (levels.codes != rest) & (levels.codes != 0)
    is_short = is_code & (levels.lengths == 1)
    is_long = np.concatenate([[False], is_code & ~is_short & (levels.codes != NO_CODE), [False]])
    before, after = is_short & is_long[:-2], is_short & is_long[2:]
    if not (before | after).any():
        return levels
    logger.info("%s: %d levels of one sample are changes between two", where, int((before | after).sum()))
    following = np.append(levels.codes[1:], rest)
    resting = np.where(before, rest, levels.codes)
    return _merge(np.where(after, following, resting), levels)
