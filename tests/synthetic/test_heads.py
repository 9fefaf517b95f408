"""Synthetic people: they differ as heads do, and each is the same whenever it is drawn."""

from itertools import combinations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from brain2image.synthetic import heads, raw_files
from brain2image.synthetic.eeg import background, draw_evoked
from brain2image.synthetic.heads import CHANNELS, FARTHEST, NOISE_RMS, draw_head

SUBJECTS = [f"sub-{number:02d}" for number in range(1, 9)]
SNR, N_LATENTS = 0.3, 6


@pytest.fixture(scope="module")
def people():
    """The heads and the responses of eight people."""
    return {
        subject: (
            draw_head(seed=0, subject=subject),
            draw_evoked(N_LATENTS, snr=SNR, seed=0, subject=subject),
        )
        for subject in SUBJECTS
    }


def alike(one, other):
    """Correlation of all numbers of two arrays."""
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_everybody_has_the_same_sources_in_another_head(people):
    for (head, evoked), (other, others_evoked) in combinations(people.values(), 2):
        np.testing.assert_array_equal(head.positions, other.positions)
        assert 0.9 < alike(head.leadfield, other.leadfield) < 0.99
        assert 0.6 < alike(evoked.topographies, others_evoked.topographies) < 0.98


def test_a_person_is_drawn_alike_whoever_else_is(people):
    draw_head.cache_clear()
    head = draw_head(seed=0, subject="sub-02")
    evoked = draw_evoked(N_LATENTS, snr=SNR, seed=0, subject="sub-02")
    for name, value in vars(people["sub-02"][0]).items():
        np.testing.assert_array_equal(getattr(head, name), value)
    np.testing.assert_array_equal(evoked.topographies, people["sub-02"][1].topographies)
    assert draw_head(seed=1, subject="sub-02").delay != head.delay


def test_electrodes_slip_by_millimetres_along_the_scalp():
    info = heads.mne.create_info([*CHANNELS, "Fz"], 1.0, "eeg")
    info.set_montage(heads.template(heads.TEN_FIVE))
    centre = np.array([0, 0.015, 0.044])
    before = np.array([channel["loc"][:3] for channel in info["chs"]])
    heads._move_electrodes(info, centre, np.random.default_rng(0))
    after = np.array([channel["loc"][:3] for channel in info["chs"]])
    slips = np.linalg.norm(after - before, axis=1)
    assert 0.005 < np.sqrt(np.mean(slips**2)) < 0.016 and slips.max() < 0.03
    np.testing.assert_allclose(
        np.linalg.norm(after - centre, axis=1), np.linalg.norm(before - centre, axis=1), rtol=1e-12
    )


def test_noise_is_as_loud_as_the_head_says(people, rng):
    sos = butter(4, (0.3, 75.0), "band", fs=1000, output="sos")
    levels = {head.noise_rms: head for head, _ in people.values()}
    assert max(levels) / min(levels) > 1.4
    for level in (min(levels), max(levels)):
        noise = sosfiltfilt(sos, background(30_000, levels[level], rng=rng))
        assert noise.std() == pytest.approx(level, rel=0.15)


def test_people_differ_in_latency(people):
    time = np.arange(1000) / 1000
    centre = {
        subject: (evoked.kernels @ time / evoked.kernels.sum(axis=1)).mean()
        for subject, (_, evoked) in people.items()
    }
    delays = {subject: head.delay for subject, (head, _) in people.items()}
    early, late = min(delays, key=delays.get), max(delays, key=delays.get)
    assert 0.01 < centre[late] - centre[early] < 0.06
    for head, evoked in people.values():
        peaks = evoked.kernels.argmax(axis=1) / 1000
        medians = (peaks - head.delay) / head.pace  # those of the median person
        assert medians.min() > 0.079 and medians.max() < 0.351
        assert abs(head.delay) <= FARTHEST * heads.DELAY_SPREAD


def test_signal_to_noise_is_what_is_asked_for(people, rng):
    latents = rng.normal(size=(80, N_LATENTS))
    for head, evoked in list(people.values())[:3]:
        size = np.sqrt(np.mean(evoked.response(latents) ** 2))
        assert size / head.noise_rms == pytest.approx(SNR, rel=0.15)


def test_people_lie_around_what_is_stated(monkeypatch):
    monkeypatch.setattr(heads, "_compute_leadfield", lambda rng, cap: (rng.normal(size=(63, 9, 3)), None))
    drawn = [draw_head.__wrapped__(seed=0, subject=str(number)) for number in range(400)]
    snr, noise = np.array([(head.snr_factor, head.noise_rms / NOISE_RMS) for head in drawn]).T
    assert snr.mean() == pytest.approx(1, abs=0.03) and 0.1 < snr.std() < 0.16
    assert 0.79 < snr.min() < 0.82 and 1.22 < snr.max() < 1.26
    assert np.median(noise) == pytest.approx(1, abs=0.05) and 0.17 < noise.std() < 0.27
    delays = np.array([head.delay for head in drawn])
    assert abs(delays.mean()) < 0.0015 and 0.007 < delays.std() < 0.010


def test_recordings_have_the_ratio_of_their_person(monkeypatch, tmp_path):
    """What `simulate_eeg` records is the asked ratio times the person's factor."""
    asked = {}
    monkeypatch.setattr(
        raw_files, "draw_evoked", lambda *_, snr, subject, **__: asked.setdefault(subject, snr)
    )
    monkeypatch.setattr(raw_files, "record", lambda *_, **__: np.zeros((64, 10)))
    latents = tmp_path / "latents.npz"
    np.savez(latents, things=np.zeros((25, 2)))
    simulate = {"n_concepts": 4, "images_per_concept": 5, "n_test_concepts": 5, "n_latents": 2}
    sessions = [tmp_path / f"{number}.npy" for number in range(8)]
    for subject in SUBJECTS[:2]:
        raw_files.simulate_eeg(
            simulate | {"eeg_snr": SNR, "seed": 0}, subject, latents=latents, sessions=sessions
        )
        assert asked[subject] == SNR * draw_head(seed=0, subject=subject).snr_factor
    assert len(set(asked.values())) == 2
