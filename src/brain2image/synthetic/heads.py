"""Heads of synthetic people: where sources and electrodes lie, and how loud, strong and late the EEG is."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import mne
import numpy as np
from einops import rearrange
from scipy.spatial.transform import Rotation

from brain2image.datasets.splines import TEN_FIVE, template
from brain2image.synthetic.latents import generator

# Row order of THINGS-EEG2's raw files; Fz, their reference, is not among them.
_CHANNELS = """
Fp1 F3 F7 FT9 FC5 FC1 C3 T7 TP9 CP5 CP1 Pz P3 P7 O1 Oz O2 P4 P8 TP10 CP6 CP2 Cz C4 T8 FT10 FC6 FC2 F4 F8 Fp2
AF7 AF3 AFz F1 F5 FT7 FC3 FCz C1 C5 TP7 CP3 P1 P5 PO7 PO3 POz PO4 PO8 P6 P2 CPz CP4 TP8 C6 C2 FC4 FT8 F6 F2
AF4 AF8
"""
CHANNELS = _CHANNELS.split()


class Cap(NamedTuple):
    """Electrodes by their names in the 10-05 system, and the one that they are recorded against."""

    channels: tuple[str, ...]
    reference: str


THINGS_CAP = Cap(tuple(CHANNELS), "Fz")

NOISE_RMS = 10e-6  # V, of brain and sensor noise between 0.3 and 75 Hz, mean over channels, in the median
N_NOISE_SOURCES = 24  # directions of the leadfield; further ones carry under 1 % of its power

# How people differ, standard deviations. None is further from the median than `FARTHEST` of them.
CAP_TURN = 0.05  # rad about each axis, by which the whole cap is turned: 5 mm on the scalp
ELECTRODE_SHIFT = 0.005  # m along each axis, of each electrode by itself
NOISE_SPREAD = 0.25  # of the logarithm of the noise's amplitude
SNR_SPREAD = 0.15  # of the logarithm of the response's amplitude over that of the noise
DELAY_SPREAD = 0.010  # s, by which all responses are late
PACE_SPREAD = 0.03  # of the logarithm of the factor by which they are drawn out
FARTHEST = 1.5


@dataclass(frozen=True)
class Head:
    """One person: dipoles in a sphere as electrodes on it see them, and what else differs between people.

    Attributes
    ----------
    leadfield : (n_channels, n_dipoles, 3) float64, potential against the cap's reference of a unit dipole
        along each axis.
    positions : (n_dipoles, 3) float64, m, head coordinates (right, front, up); the same in all
        heads of one cap.
    noise_fields : (n_channels, 24) float64, principal fields of dipoles everywhere, rows' mean power 1.
    noise_rms : V, of brain and sensor noise between 0.3 and 75 Hz, mean over channels.
    snr_factor : by which a response is larger, against the noise, than that of the median person.
    delay, pace : what happens in the median person t seconds after the onset happens here at pace t + delay.
    """

    leadfield: np.ndarray
    positions: np.ndarray
    noise_fields: np.ndarray
    noise_rms: float
    snr_factor: float
    delay: float
    pace: float


@cache
def draw_head(*, seed: int, subject: str, cap: Cap = THINGS_CAP) -> Head:
    """Draw the head of a subject: a sphere, dipoles every 20 mm, electrodes near their 10-05 places."""
    rng = generator(seed, "head", subject)
    noise, snr, delay, pace = np.clip(rng.normal(size=4), -FARTHEST, FARTHEST).tolist()
    leadfield, positions = _compute_leadfield(rng, cap)
    return Head(
        leadfield=leadfield,
        positions=positions,
        noise_fields=_principal_fields(leadfield),
        noise_rms=float(NOISE_RMS * np.exp(NOISE_SPREAD * noise)),
        snr_factor=float(np.exp(SNR_SPREAD * snr)),
        delay=DELAY_SPREAD * delay,
        pace=float(np.exp(PACE_SPREAD * pace)),
    )


def _compute_leadfield(rng: np.random.Generator, cap: Cap) -> tuple[np.ndarray, np.ndarray]:
    """Compute leadfield and positions of a `Head` whose cap sits a little off; MNE computes the fields."""
    info = mne.create_info([*cap.channels, cap.reference], 1.0, "eeg").set_montage(template(TEN_FIVE))
    with mne.use_log_level("error"):
        # of the template's electrodes, so that sphere and grid are those of every other head
        sphere = mne.make_sphere_model("auto", "auto", info)
        sources = mne.setup_volume_source_space(sphere=sphere, pos=20.0)
        _move_electrodes(info, sphere["r0"], rng)
        forward = mne.make_forward_solution(info, trans=None, src=sources, bem=sphere, meg=False)
    leadfield = rearrange(forward["sol"]["data"], "channels (dipoles axes) -> channels dipoles axes", axes=3)
    return leadfield[:-1] - leadfield[-1], forward["source_rr"]


def _move_electrodes(info: mne.Info, centre: np.ndarray, rng: np.random.Generator) -> None:
    """Turn the cap and shift each electrode, in place; all keep their distance from the centre, (3,) m."""
    turn = Rotation.from_rotvec(rng.normal(scale=CAP_TURN, size=3))
    for channel in info["chs"]:
        place = channel["loc"][:3] - centre
        moved = turn.apply(place) + rng.normal(scale=ELECTRODE_SHIFT, size=3)
        channel["loc"][:3] = centre + moved * np.linalg.norm(place) / np.linalg.norm(moved)


def _principal_fields(leadfield: np.ndarray) -> np.ndarray:
    """Compute (n_channels, 24) principal fields of all dipoles of a leadfield, rows' mean power 1."""
    fields, gains, _ = np.linalg.svd(leadfield.reshape(len(leadfield), -1), full_matrices=False)
    mixing = (fields * gains)[:, :N_NOISE_SOURCES]
    return mixing / np.sqrt(np.mean(np.sum(mixing**2, axis=1)))
