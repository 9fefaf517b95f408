"""Filters and epochs against sines, SciPy and double loops; steps between joined recordings."""

import numpy as np
from helpers.raw_files import FILTERS
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from brain2image.datasets.signals import (
    CLEAR_STEP,
    cut_epochs,
    cut_resampled,
    filter_eeg,
    find_step,
    resampling_margin,
    step_clearness,
)
from brain2image.synthetic.eeg import background
from brain2image.synthetic.heads import draw_head


def sines(times, *frequencies):
    return sum(np.sin(2 * np.pi * frequency * times + frequency) for frequency in frequencies)


def test_epochs_of_sines_are_the_sines_at_200_hz():
    times = np.arange(40_000) / 1000
    inside = 8 * sines(times, 4, 11, 38)
    outside = 50 * sines(times, 50) + 10 * sines(times, 105, 130, 196, 240) + 10 * sines(times, 0.02) + 500
    onsets = np.arange(12_000, 28_000, 203)
    filtered = filter_eeg(np.stack([inside + outside, inside]), 1000, highpass=0.3, lowpass=75, notch=50)
    epochs = cut_epochs(filtered, onsets, n_times=200, step=5)
    expected = np.stack([inside[onset : onset + 1000].reshape(200, 5)[:, 0] for onset in onsets])
    rms = np.sqrt(np.mean(expected**2))
    error = np.sqrt(np.mean((epochs - expected[:, None]) ** 2, axis=0)) / rms
    assert error[:, 0].max() < 0.01
    assert error.max() < 0.01


def test_filter_agrees_with_scipy():
    rng = np.random.default_rng(0)
    eeg = rng.standard_normal((2, 30_000))
    # half-amplitude frequencies in the middle of the transition bands; lengths 3.3 / transition width
    expected = eeg
    for kernel in (
        signal.firwin(3301, 0.5, fs=1000, pass_zero=False),
        signal.firwin(177, 75 + 18.75 / 2, fs=1000),
        signal.firwin(6601, [49.625, 50.375], fs=1000, pass_zero="bandstop"),
    ):
        expected = signal.fftconvolve(expected, kernel[None], mode="same", axes=1)
    got = filter_eeg(eeg.copy(), 1000, **FILTERS)
    inner = slice(6000, -6000)
    error = np.sqrt(np.mean((got - expected)[:, inner] ** 2)) / expected[:, inner].std()
    assert error < 0.01


def test_filter_response():
    impulse = np.zeros((1, 40_000))
    impulse[0, 20_000] = 1
    response = filter_eeg(impulse, 1000, highpass=0.3, lowpass=75, notch=50)[0]
    np.testing.assert_allclose(response[1:20_000], response[:20_000:-1], atol=1e-12)  # zero phase
    gain, frequencies = np.abs(np.fft.rfft(response)), np.fft.rfftfreq(40_000, 1e-3)
    assert (
        gain[frequencies >= 93.75].max() < 0.003
    )  # nothing to alias at 200 Hz, for the largest edge allowed
    passband = (frequencies > 0.6) & (frequencies < 75) & (np.abs(frequencies - 50) > 1)
    assert np.abs(gain[passband] - 1).max() < 0.01
    assert gain[frequencies == 50].item() < 0.01
    assert gain[0] < 0.01


@given(st.data())
def test_cut_epochs_is_the_double_loop(data):
    n_times, step = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    n_samples = n_times * step + data.draw(st.integers(0, 20))
    onsets = data.draw(st.lists(st.integers(0, n_samples - n_times * step), max_size=5))
    eeg = np.random.default_rng(n_samples).standard_normal((3, n_samples))
    epochs = cut_epochs(eeg, np.array(onsets, int), n_times=n_times, step=step)
    assert epochs.shape == (len(onsets), 3, n_times)
    assert epochs.dtype == np.float32
    for i, onset in enumerate(onsets):
        for channel in range(3):
            for t in range(n_times):
                assert epochs[i, channel, t] == np.float32(eeg[channel, onset + t * step])


def test_epochs_at_another_rate_are_exact_to_their_ends(rng):
    """Sines between 1 and 70 Hz from 512 to 200 Hz, whatever sample they begin at."""
    frequencies, phases = rng.uniform(1, 70, 40), rng.uniform(0, 2 * np.pi, 40)

    def wave(times):
        return np.sin(2 * np.pi * np.multiply.outer(times, frequencies) + phases).sum(axis=-1)

    eeg = wave(np.arange(2000) / 512)[None]
    onsets = np.array([resampling_margin(25, 64), 777, 2000 - 512 - resampling_margin(25, 64)])
    epochs = cut_resampled(eeg, onsets, n_times=200, up=25, down=64)
    expected = wave(onsets[:, None] / 512 + np.arange(200) / 200)
    assert epochs.dtype == np.float32
    assert np.abs(epochs[:, 0] - expected).max() < 0.01 * np.sqrt(np.mean(eeg**2))
    level = epochs - cut_resampled(eeg, onsets, n_times=200, up=25, down=64, n_baseline=30)
    np.testing.assert_allclose(level[1], eeg[0, 747:777].mean(), atol=1e-3)


@given(st.integers(1, 499), st.integers(1, 499), st.integers(0, 2**32 - 1))
def test_find_step_passes_over_pops_and_bursts(boundary, pop, seed):
    rng = np.random.default_rng(seed)
    eeg = 1e-6 * rng.standard_normal((15, 500))
    eeg[:6, pop:] += 5e-3  # six electrodes jump by more, but alone
    burst = int(rng.integers(0, 400))
    eeg[:, burst : burst + 100] *= 8  # muscles, in all
    eeg[:, boundary:] += 1e-4 * rng.choice([-1, 1], (15, 1))
    eeg[14] = 0
    step, size = find_step(eeg)
    assert step == boundary
    assert size > 5


def test_a_joint_stands_out_from_eeg_that_has_none(rng):
    """The threshold lies between stretches of synthetic EEG and two that were joined."""
    head = draw_head(seed=0, subject="sub-01")
    eeg, other = background(12_000, head, rng=rng), background(6000, head, rng=rng)
    for start in range(0, 6000, 1500):
        stretch = eeg[:, start : start + 3000]
        joint = np.concatenate([eeg[:, start : start + 1500], other[:, start : start + 1500]], axis=1)
        step, _ = find_step(joint)
        assert step_clearness(stretch, find_step(stretch)[0]) < CLEAR_STEP - 1
        assert step == 1500 and step_clearness(joint, step) > CLEAR_STEP + 1
