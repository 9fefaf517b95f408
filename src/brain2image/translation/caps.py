"""Electrode caps: the system that channel names belong to, and where on the head the electrodes are."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import mne
import numpy as np

from brain2image.core.errors import InputError
from brain2image.datasets.splines import TEN_FIVE, spline_matrix, template

# The caps that can be named, and the one that has the 10-20 names in the same geometry: manufacturers draw
# theirs on a sphere whose equator runs through Fpz, T7 and Oz, the others were measured on a head.
SPHERE, HEAD = frozenset({"easycap-M1"}), TEN_FIVE
GEOMETRIES = {
    "biosemi": SPHERE,
    "easycap": SPHERE,
    "brainproducts": SPHERE,
    "EGI": HEAD,
    "GSN": HEAD,
    "mgh": HEAD,
}
BOX = tuple(f"{letter}{number}" for letter in "ABCDEFGH" for number in range(1, 33))  # of a BioSemi amplifier
BOX_CAPS = (
    "biosemi16",
    "biosemi32",
    "biosemi64",
)  # whose electrodes have 10-20 names, in the order of the box
RADIUS = 95.0  # mm, of a head
SCALP = 0.03  # m above ears and nasion, where a head is round; nets reach down to cheeks and neck
OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}  # of the 10-20 system before 1991
DECORATION = re.compile(r"^eeg[ _-]*|[ _-]*(ref|le|ar|a1|a2|m1|m2|avg)$|[. ]+$")
NUMBERED = re.compile(r"([a-z]+)(\d+)")
FOREIGN_SHARE = (
    0.2  # of the 10-20 names; so many others in their rows show that the rows are not those of 10-20
)


@cache
def cap_names() -> list[str]:
    """List the caps that `read_cap` knows, by MNE's names."""
    return [name for name in mne.channels.get_builtin_montages() if name.startswith(tuple(GEOMETRIES))]


@cache
def positions(names: frozenset[str]) -> dict[str, np.ndarray]:
    """Return each electrode's position (3,) in m in MNE's head frame, of that montage which MNE has."""
    montage = template(names)
    info = mne.create_info(montage.ch_names, 200, "eeg").set_montage(montage)
    return {channel["ch_name"]: channel["loc"][:3] for channel in info["chs"]}


def ten_five() -> dict[str, np.ndarray]:
    """Return the positions of all names of the 10-05 system."""
    return positions(TEN_FIVE)


def on_sphere(places: Mapping[str, np.ndarray], *, above: float = -np.inf) -> dict[str, np.ndarray]:
    """Return directions (3,) of places from the centre of the sphere that fits best.

    Parameters
    ----------
    places : (3,) each, m in the head frame.
    above : m; the sphere is fitted to what lies higher. With fewer than four places its centre is 0.
    """
    points = np.array(list(places.values()))
    fitted, centre = points[points[:, 2] > above], np.zeros(3)
    if len(fitted) > 3:
        # |p|² = 2 p c + (r² - |c|²) is linear in the centre c
        centre = np.linalg.lstsq(
            np.c_[2 * fitted, np.ones(len(fitted))], np.square(fitted).sum(1), rcond=None
        )[0][:3]
    vectors = points - centre
    return dict(zip(places, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))


def read_cap(name: str, found: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Place a file's channels that are electrodes of a cap, and the names of the 10-20 system, on one head.

    Parameters
    ----------
    name : of a montage of MNE.
    found : the file's channels; of a BioSemi cap with 10-20 names they may be the labels of the amplifier.

    Returns
    -------
    electrodes, targets : unit vectors (3,) from the middle of the head, by the file's and by the 10-20 names.

    Raises
    ------
    InputError
        When there is no such cap.
    """
    if name not in cap_names():
        raise InputError(f"montage: expected one of {', '.join(cap_names())}, got {name!r}")
    places = on_sphere(positions(frozenset({name})), above=SCALP)
    systems = [places, dict(zip(BOX, places.values(), strict=False))] if name in BOX_CAPS else [places]
    named = [
        {channel: system[plain_name(channel)] for channel in found if plain_name(channel) in system}
        for system in ({plain_name(label): place for label, place in system.items()} for system in systems)
    ]
    family = next(family for family in GEOMETRIES if name.startswith(family))
    return max(named, key=len), on_sphere(positions(GEOMETRIES[family]), above=SCALP)


def plain_name(name: str) -> str:
    """Strip a channel's name of case and of what formats and amplifiers add, as in ``EEG O1-REF``."""
    plain = DECORATION.sub("", DECORATION.sub("", name.casefold()))
    return plain or name.casefold()  # A1 and M2 are not added to anything


def other_system(names: Sequence[str]) -> str | None:
    """Say what shows that channels are named by another system than 10-20, however many names are there.

    Parameters
    ----------
    names : of the EEG channels.

    Returns
    -------
    What the names are like, and what to do; None where nothing shows.
    """
    found = {plain_name(name): name for name in names}
    known = ({name.casefold() for name in ten_five()} | set(OLD_NAMES)) & set(found)
    counts = {cap: len(labels & set(found)) for cap, labels in _systems().items()}
    n_labels = max(counts.values())
    if n_labels > max(len(known), len(found) / 2):
        # of the caps that have them all, a reference aside, those with the fewest other labels
        fit = {cap: n / len(_systems()[cap]) for cap, n in counts.items() if n >= 0.95 * n_labels}
        caps = [cap for cap in fit if fit[cap] == max(fit.values())]
        return (
            f"names like those of {' and '.join(caps)} ({_some(names)}); name the cap (--montage {caps[0]}) "
            "or the electrodes (--rename-table)"
        )
    rows = {match[1] for name in known if (match := NUMBERED.fullmatch(name))}
    beyond = [name for name in set(found) - known if (match := NUMBERED.fullmatch(name)) and match[1] in rows]
    if len(beyond) > FOREIGN_SHARE * len(known):
        listed = _some([name for name in names if plain_name(name) in beyond])
        return (
            f"{listed} beside {len(known)} of them, like the numbers of an amplifier or of depth electrodes; "
            "name the electrodes (--rename-table)"
        )
    return None


@cache
def _systems() -> dict[str, set[str]]:
    """Return the names of each cap that are not those of the 10-20 system, without case."""
    known = set(ten_five())
    systems = {cap: set(positions(frozenset({cap}))) for cap in cap_names()}
    systems = {cap: names for cap, names in systems.items() if len(names & known) < len(names) / 2}
    systems |= {cap: set(BOX[: int(cap.removeprefix("biosemi"))]) for cap in BOX_CAPS}
    return {cap: {plain_name(name) for name in names} for cap, names in systems.items()}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def nearest(
    electrodes: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]
) -> dict[str, tuple[str | None, float]]:
    """Find each target's nearest electrode and its distance along the head, mm; None where there is none."""
    if not electrodes:
        return dict.fromkeys(targets, (None, np.inf))
    names, cosines = (
        list(electrodes),
        np.array(list(targets.values())) @ np.array(list(electrodes.values())).T,
    )
    distances = (RADIUS * np.arccos(cosines.max(axis=1).clip(-1, 1))).tolist()
    return {
        target: (names[i], distance)
        for target, i, distance in zip(targets, cosines.argmax(axis=1), distances, strict=True)
    }


def splines(electrodes: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return weights (n_targets, n_electrodes) float32 of the spherical splines of `spline_matrix`."""
    places = [*electrodes.values(), *targets.values()]
    names = [str(number) for number in range(len(places))]
    scaled = {name: RADIUS / 1000 * place for name, place in zip(names, places, strict=True)}
    montage = mne.channels.make_dig_montage(scaled, coord_frame="head")
    matrix = spline_matrix(montage, names, names[len(electrodes) :], origin=(0.0, 0.0, 0.0))
    return matrix[len(electrodes) :, : len(electrodes)]
