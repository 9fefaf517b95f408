"""Which channels there are, by name: those that the config chooses, and those that several caps share."""

from collections.abc import Sequence

from brain2image.constants.electrodes import ALL, ELECTRODE_SETS
from brain2image.core.errors import InputError


def find_channels(channels: str | Sequence[str], own: Sequence[str]) -> list[int]:
    """Return the rows of some channels of the EEG, in the order in which they are named.

    Parameters
    ----------
    channels : ``all``, the name of a set, or the names; ``model.channels``.
    own : names of the channels of the EEG.

    Raises
    ------
    InputError
        When the EEG lacks one of them.
    """
    if channels == ALL:
        return list(range(len(own)))
    names = ELECTRODE_SETS[channels] if isinstance(channels, str) else channels
    if missing := [name for name in names if name not in own]:
        asked = f"{channels}, " if isinstance(channels, str) else ""
        raise InputError(
            f"model.channels: expected channels of the EEG ({', '.join(own)}), got {asked}of "
            f"which it lacks {', '.join(missing)}; name others"
        )
    return [own.index(name) for name in names]


def shared_channels(caps: Sequence[Sequence[str]], *, interpolates: bool = False) -> list[str]:
    """List the channels that all caps have, or any has, in the order of the first.

    Parameters
    ----------
    caps : names of the channels of each.
    interpolates : whether channels that a cap lacks are interpolated.

    Raises
    ------
    InputError
        When none is left.
    """
    named = list(dict.fromkeys(name for cap in caps for name in cap))
    channels = named if interpolates else [name for name in named if all(name in cap for cap in caps)]
    if not channels:
        raise InputError(
            "expected channels that all people have who are learned from or tested, got none; their caps "
            "name them differently, so learn from each alone"
        )
    return channels
