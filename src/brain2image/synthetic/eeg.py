"""Synthetic EEG: sources in a head that answer pictures, in brain noise, drift and line noise."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq

from brain2image.synthetic.heads import Head, draw_head
from brain2image.synthetic.latents import generator

SFREQ = 1000  # Hz, of THINGS-EEG2's raw files
RESPONSE_LENGTH = 1.0  # s

BAND = (0.3, 75.0)  # Hz, in which the root mean square of the noise is that of the head
ALPHA = (10.0, 1.0, 0.5)  # Hz centre, Hz width, height of its power over 1/f
SENSOR_SHARE = 0.05  # of the noise variance in the band
LINE_RMS = 2e-6  # V, of the mains
MAINS = 50.0  # Hz, where THINGS-EEG2 was recorded
DRIFT = 1e-6  # V per square root of a second
OFFSET = 50e-6  # V, electrode offset of one recording

PEAKS = ((0.08, 0.20), (0.18, 0.35))  # s, range of the early and of the late peak of each latent
WIDTHS = (0.015, 0.050)  # s
COMMON_SHARE = 0.2  # of the response's variance that is the same for every picture
OWN_SHARE = 0.15  # of the variance of a source's direction that is the subject's own


@dataclass(frozen=True)
class Evoked:
    """How the scalp answers a picture: an early and a late component for every picture, and for each latent.

    Attributes
    ----------
    topographies : (n_channels, n_components) float64, V; component 2 k and 2 k + 1 belong to latent k - 1,
        the first two to every picture.
    kernels : (n_components, n_lags) float64, time courses of unit peak in the second from the onset on.
    """

    topographies: np.ndarray
    kernels: np.ndarray

    def amplitudes(self, latents: np.ndarray) -> np.ndarray:
        """Compute each component's amplitude, (n_images, n_components), for latents (n_images, n_latents)."""
        return np.repeat(np.insert(latents, 0, 1.0, axis=1), len(PEAKS), axis=1)

    def response(self, latents: np.ndarray) -> np.ndarray:
        """Compute (n_images, n_channels, n_lags) float64, V: the response to pictures of these latents."""
        return np.einsum(
            "ik,ck,kt->ict", self.amplitudes(latents), self.topographies, self.kernels, optimize=True
        )


def draw_evoked(
    n_latents: int, *, snr: float, seed: int, subject: str, sfreq: int = SFREQ, head: Head | None = None
) -> Evoked:
    """Draw the sources and latencies of one subject's evoked responses.

    Over channels and 0-1 s, the root mean square of the response to pictures of unit latent variance is snr
    times that of the subject's noise between 0.3 and 75 Hz. Everybody has the same sources at the same times,
    but for the delay and the pace of the head and what folds of the cortex turn. ``head`` is the subject's,
    by default with THINGS-EEG2's cap.
    """
    head = head or draw_head(seed=seed, subject=subject)
    shared = generator(seed, "evoked")
    n_components = len(PEAKS) * (1 + n_latents)
    topographies = _draw_topographies(
        head, n_components, shared=shared, own=generator(seed, "evoked", subject)
    )
    time = (np.arange(int(RESPONSE_LENGTH * sfreq)) / sfreq - head.delay) / head.pace
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
    return Evoked(topographies * np.repeat(snr * head.noise_rms * scale, len(PEAKS)), kernels)


def _draw_topographies(
    head: Head, n_components: int, *, shared: np.random.Generator, own: np.random.Generator
) -> np.ndarray:
    """Draw (n_channels, n_components) fields of unit root mean square, of dipoles in the back of the head.

    ``shared`` draws where the dipoles lie and most of their direction, ``own`` the rest of it.
    """
    posterior = np.flatnonzero((head.positions[:, 1] < -0.01) & (head.positions[:, 2] > -0.02))
    chosen = shared.choice(posterior, size=n_components)
    directions = np.sqrt(1 - OWN_SHARE) * shared.normal(size=(n_components, 3))
    directions += np.sqrt(OWN_SHARE) * own.normal(size=(n_components, 3))
    fields = np.einsum("cka,ka->ck", head.leadfield[:, chosen], directions)
    return fields / np.sqrt(np.mean(fields**2, axis=0))


def sum_responses(evoked: Evoked, onsets: np.ndarray, amplitudes: np.ndarray, *, n_times: int) -> np.ndarray:
    """Sum the time courses of all pictures' components, (n_components, n_times), where they overlap too.

    Parameters
    ----------
    onsets : (n_trials,) samples.
    amplitudes : (n_trials, n_components), see `Evoked.amplitudes`.
    """
    n_lags = evoked.kernels.shape[1]
    sources = np.zeros((amplitudes.shape[1], n_times))
    for onset, amplitude in zip(onsets.tolist(), amplitudes, strict=True):
        sources[:, onset : onset + n_lags] += amplitude[:, None] * evoked.kernels
    return sources


def background(
    n_times: int, head: Head, *, rng: np.random.Generator, sfreq: int = SFREQ, mains: float = MAINS
) -> np.ndarray:
    """Draw everything in a recording but the responses: brain noise, sensor noise, line, drift and offset.

    Brain noise (1/f and alpha) comes from independent dipoles everywhere in the sphere, so channels are
    correlated as the leadfield says. It and the white sensor noise have, between 0.3 and 75 Hz, the root mean
    square over channels that the head states.

    Parameters
    ----------
    sfreq : Hz, 200 or more.
    mains : Hz, of the power line.

    Returns
    -------
    (n_channels, n_times) float64, V, against the reference; the channels of ``head.noise_fields``.
    """
    n_channels, n_sources = head.noise_fields.shape
    brain = head.noise_fields @ _band_limited_noise(n_sources, n_times, rng=rng, sfreq=sfreq)
    # The reference electrode's own noise is in every channel.
    sensors = rng.standard_normal((n_channels + 1, n_times), dtype=np.float32)
    white_in_band = (BAND[1] - BAND[0]) / (sfreq / 2)
    sensor_scale = np.sqrt(SENSOR_SHARE / 2 / white_in_band)
    noise = np.sqrt(1 - SENSOR_SHARE) * brain + sensor_scale * (sensors[:-1] - sensors[-1])
    return head.noise_rms * noise + _slow_and_line(n_channels, n_times, rng=rng, sfreq=sfreq, mains=mains)


def _band_limited_noise(n_sources: int, n_times: int, *, rng: np.random.Generator, sfreq: int) -> np.ndarray:
    """Draw (n_sources, n_times) Gaussian 1/f noise with an alpha peak, of unit power, 0.3 to 75 Hz."""
    length = next_fast_len(n_times, real=True)
    frequency = rfftfreq(length, 1 / sfreq)
    centre, width, height = ALPHA
    # The knee at 0.1 Hz keeps the power finite where the filters look no more.
    density = 1 / np.hypot(frequency, 0.1) + height * np.exp(-0.5 * ((frequency - centre) / width) ** 2)
    density[0] = 0
    band = (frequency >= BAND[0]) & (frequency <= BAND[1])
    amplitude = np.sqrt(density / density[band].sum() / 4).astype(np.float32) * length
    spectrum = rng.standard_normal((n_sources, len(frequency), 2), dtype=np.float32)
    spectrum = spectrum.view(np.complex64)[..., 0] * amplitude
    return irfft(spectrum, length, axis=1)[:, :n_times]


def _slow_and_line(
    n_channels: int, n_times: int, *, rng: np.random.Generator, sfreq: int, mains: float
) -> np.ndarray:
    """Draw (n_channels, n_times) electrode offset, drift (a random walk, a step a second) and mains, V."""
    time = np.arange(n_times) / sfreq
    knots = np.arange(np.ceil(time[-1]) + 2)
    walks = DRIFT * rng.normal(size=(n_channels, len(knots))).cumsum(axis=1)
    walks += OFFSET * rng.normal(size=(n_channels, 1))
    slow = np.stack([np.interp(time, knots, walk) for walk in walks])
    loads = LINE_RMS * rng.normal(size=(n_channels, 2))
    phase = 2 * np.pi * mains * time
    return slow + loads @ np.stack([np.sin(phase), np.cos(phase)])
