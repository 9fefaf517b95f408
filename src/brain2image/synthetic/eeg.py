"""Synthetic EEG: sources in a sphere that answer pictures, in brain noise, drift and line noise."""

from dataclasses import dataclass
from functools import cache

import mne
import numpy as np
from einops import rearrange
from scipy.fft import irfft, next_fast_len, rfftfreq

from brain2image.datasets.splines import TEN_FIVE, template
from brain2image.synthetic.latents import generator

# Row order of THINGS-EEG2's raw files; Fz, the online reference, is not among them.
_CHANNELS = """
Fp1 F3 F7 FT9 FC5 FC1 C3 T7 TP9 CP5 CP1 Pz P3 P7 O1 Oz O2 P4 P8 TP10 CP6 CP2 Cz C4 T8 FT10 FC6 FC2 F4 F8 Fp2
AF7 AF3 AFz F1 F5 FT7 FC3 FCz C1 C5 TP7 CP3 P1 P5 PO7 PO3 POz PO4 PO8 P6 P2 CPz CP4 TP8 C6 C2 FC4 FT8 F6 F2
AF4 AF8
"""
CHANNELS = _CHANNELS.split()
REFERENCE = "Fz"
SFREQ = 1000  # Hz
RESPONSE_LENGTH = 1.0  # s

NOISE_RMS = 10e-6  # V, of brain and sensor noise between 0.3 and 75 Hz, mean over channels
BAND = (0.3, 75.0)  # Hz
ALPHA = (10.0, 1.0, 0.5)  # Hz centre, Hz width, height of its power over 1/f
SENSOR_SHARE = 0.05  # of the noise variance in the band
N_NOISE_SOURCES = 24  # directions of the leadfield; further ones carry under 1 % of its power
LINE_RMS = 2e-6  # V at 50 Hz
DRIFT = 1e-6  # V per square root of a second
OFFSET = 50e-6  # V, electrode offset of one recording

PEAKS = ((0.08, 0.20), (0.18, 0.35))  # s, range of the early and of the late peak of each latent
WIDTHS = (0.015, 0.050)  # s
COMMON_SHARE = 0.2  # of the response's variance that is the same for every picture
SUBJECT_SHARE = 0.2  # of a topography's variance that is the subject's own


@dataclass(frozen=True)
class Head:
    """Leadfield of dipoles in a sphere.

    Attributes
    ----------
    leadfield : (63, n_dipoles, 3) float64, potential against Fz of a unit dipole along each axis.
    positions : (n_dipoles, 3) float64, m, head coordinates (right, front, up).
    """

    leadfield: np.ndarray
    positions: np.ndarray


@cache
def head_model() -> Head:
    """Compute the sphere model of a template head with the 10-05 montage, dipoles on a grid of 20 mm."""
    info = mne.create_info([*CHANNELS, REFERENCE], SFREQ, "eeg")
    info.set_montage(template(TEN_FIVE))
    with mne.use_log_level("error"):
        sphere = mne.make_sphere_model("auto", "auto", info)
        sources = mne.setup_volume_source_space(sphere=sphere, pos=20.0)
        forward = mne.make_forward_solution(info, trans=None, src=sources, bem=sphere, meg=False)
    leadfield = rearrange(forward["sol"]["data"], "channels (dipoles axes) -> channels dipoles axes", axes=3)
    return Head(leadfield[:-1] - leadfield[-1], forward["source_rr"])


@dataclass(frozen=True)
class Evoked:
    """How the scalp answers a picture: an early and a late component for every picture, and for each latent.

    Attributes
    ----------
    topographies : (63, n_components) float64, V; component 2 k and 2 k + 1 belong to latent k - 1, the first
        two to every picture.
    kernels : (n_components, 1000) float64, time courses of unit peak from the onset on, at 1000 Hz.
    """

    topographies: np.ndarray
    kernels: np.ndarray

    def amplitudes(self, latents: np.ndarray) -> np.ndarray:
        """Compute each component's amplitude, (n_images, n_components), for latents (n_images, n_latents)."""
        return np.repeat(np.insert(latents, 0, 1.0, axis=1), len(PEAKS), axis=1)

    def response(self, latents: np.ndarray) -> np.ndarray:
        """Compute (n_images, 63, 1000) float64, V: the response to pictures with these latents, no noise."""
        return np.einsum(
            "ik,ck,kt->ict", self.amplitudes(latents), self.topographies, self.kernels, optimize=True
        )


def draw_evoked(n_latents: int, *, snr: float, seed: int, subject: str) -> Evoked:
    """Draw the sources and latencies of one subject's evoked responses.

    Over channels and 0-1 s, the root mean square of the response to pictures of unit latent variance is snr
    times that of the noise between 0.3 and 75 Hz, which is 10 uV.
    """
    shared, own = generator(seed, "evoked"), generator(seed, "evoked", subject)
    n_components = len(PEAKS) * (1 + n_latents)
    topographies = np.sqrt(1 - SUBJECT_SHARE) * _topographies(n_components, rng=shared)
    topographies += np.sqrt(SUBJECT_SHARE) * _topographies(n_components, rng=own)

    time = np.arange(int(RESPONSE_LENGTH * SFREQ)) / SFREQ
    peaks = np.stack([shared.uniform(low, high, size=1 + n_latents) for low, high in PEAKS], axis=1)
    widths = shared.uniform(*WIDTHS, size=(n_components, 1))
    kernels = np.exp(-0.5 * ((time - peaks.reshape(-1, 1)) / widths) ** 2)

    # Power of each driver, its early and late component together: the constant first, then the latents.
    pairs = (1 + n_latents, len(PEAKS))
    waves = np.einsum(
        "clp,lpt->lct", topographies.reshape(-1, *pairs), kernels.reshape(*pairs, -1), optimize=True
    )
    power = np.mean(waves**2, axis=(1, 2))
    scale = np.sqrt(
        np.append(COMMON_SHARE / power[0], np.full(n_latents, 1 - COMMON_SHARE) / power[1:].sum())
    )
    return Evoked(topographies * np.repeat(snr * NOISE_RMS * scale, len(PEAKS)), kernels)


def _topographies(n_components: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw (63, n_components) fields of unit root mean square, of single dipoles in the back of the head."""
    head = head_model()
    posterior = np.flatnonzero((head.positions[:, 1] < -0.01) & (head.positions[:, 2] > -0.02))
    chosen = rng.choice(posterior, size=n_components)
    directions = rng.normal(size=(n_components, 3))
    fields = np.einsum("cka,ka->ck", head.leadfield[:, chosen], directions)
    return fields / np.sqrt(np.mean(fields**2, axis=0))


def background(n_times: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw everything in a recording but the responses: brain noise, sensor noise, line, drift and offset.

    Brain noise (1/f and alpha) comes from independent dipoles everywhere in the sphere, so channels are
    correlated as the leadfield says. It and the white sensor noise have, between 0.3 and 75 Hz, a root mean
    square of 10 uV over channels.

    Returns
    -------
    (63, n_times) float64, V, against Fz, at 1000 Hz.
    """
    brain = _brain_mixing() @ _band_limited_noise(N_NOISE_SOURCES, n_times, rng=rng)
    # The reference electrode's own noise is in every channel.
    sensors = rng.standard_normal((len(CHANNELS) + 1, n_times), dtype=np.float32)
    white_in_band = (BAND[1] - BAND[0]) / (SFREQ / 2)
    sensor_rms = NOISE_RMS * np.sqrt(SENSOR_SHARE / 2 / white_in_band)
    noise = np.sqrt(1 - SENSOR_SHARE) * NOISE_RMS * brain + sensor_rms * (sensors[:-1] - sensors[-1])
    return noise + _slow_and_line(n_times, rng=rng)


@cache
def _brain_mixing() -> np.ndarray:
    """Compute (63, 24) principal fields of dipoles everywhere, rows' mean power 1."""
    fields, gains, _ = np.linalg.svd(head_model().leadfield.reshape(len(CHANNELS), -1), full_matrices=False)
    mixing = (fields * gains)[:, :N_NOISE_SOURCES]
    return mixing / np.sqrt(np.mean(np.sum(mixing**2, axis=1)))


def _band_limited_noise(n_sources: int, n_times: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw (n_sources, n_times) Gaussian 1/f noise with an alpha peak, of unit power, 0.3 to 75 Hz."""
    length = next_fast_len(n_times, real=True)
    frequency = rfftfreq(length, 1 / SFREQ)
    centre, width, height = ALPHA
    # The knee at 0.1 Hz keeps the power finite where the filters look no more.
    density = 1 / np.hypot(frequency, 0.1) + height * np.exp(-0.5 * ((frequency - centre) / width) ** 2)
    density[0] = 0
    band = (frequency >= BAND[0]) & (frequency <= BAND[1])
    amplitude = np.sqrt(density / density[band].sum() / 4).astype(np.float32) * length
    spectrum = rng.standard_normal((n_sources, len(frequency), 2), dtype=np.float32)
    spectrum = spectrum.view(np.complex64)[..., 0] * amplitude
    return irfft(spectrum, length, axis=1)[:, :n_times]


def _slow_and_line(n_times: int, *, rng: np.random.Generator) -> np.ndarray:
    """Draw (63, n_times) electrode offset, drift as a random walk with steps of a second, and 50 Hz, V."""
    time = np.arange(n_times) / SFREQ
    knots = np.arange(np.ceil(time[-1]) + 2)
    walks = DRIFT * rng.normal(size=(len(CHANNELS), len(knots))).cumsum(axis=1)
    walks += OFFSET * rng.normal(size=(len(CHANNELS), 1))
    slow = np.stack([np.interp(time, knots, walk) for walk in walks])
    loads = LINE_RMS * rng.normal(size=(len(CHANNELS), 2))
    phase = 2 * np.pi * 50 * time
    return slow + loads @ np.stack([np.sin(phase), np.cos(phase)])
