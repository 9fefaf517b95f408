"""Quality of the EEG: sums against slow versions, known reliability, damaged channels, whitened data."""

import json

import numpy as np
import pytest
from helpers.quality_files import N_IMAGES, N_TEST, epochs, partitions, trial_table, write_eeg
from scipy.signal import welch

from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.quality import eeg_quality as quality
from brain2image.quality.eeg_sums import power_densities, sum_trials

REGIONS = quality.region_rows(list(CHANNELS))


def summed(eeg, trials, **options):
    return sum_trials(eeg, trials, sfreq=200, regions=REGIONS, chosen=np.arange(2, 9), **options)


def test_every_channel_has_a_region():
    assert sorted(np.concatenate(list(REGIONS.values()))) == list(range(63))
    assert {CHANNELS[row] for row in REGIONS["occipital"]} == {
        "PO7",
        "PO3",
        "POz",
        "PO4",
        "PO8",
        "O1",
        "Oz",
        "O2",
    }


def test_sums_are_what_a_slow_version_gives(rng):
    trials = trial_table(n_repetitions=rng.integers(2, 6, N_IMAGES + N_TEST), rng=rng)
    eeg = epochs(trials, rng)
    sums = summed(eeg, trials)
    images = sorted(trials["image"].unique())
    means = np.stack([eeg[trials["image"] == image].mean(axis=0) for image in images])
    np.testing.assert_allclose(sums.mean, means.mean(axis=0), atol=1e-4)
    regional = np.stack([means[:, rows].mean(axis=1) for rows in REGIONS.values()], axis=1)
    np.testing.assert_allclose(sums.regional, regional, atol=1e-4)
    for half in (0, 1):
        for place, image in enumerate(range(2, 9)):
            own = (trials["image"] == image) & (trials["repetition"] % 2 == half)
            expected = eeg[own].mean(axis=0).reshape(63, 50, 4).mean(axis=2)
            np.testing.assert_allclose(sums.halves[half, place], expected, atol=1e-4)
    np.testing.assert_allclose(sums.rms, np.sqrt((eeg.astype(float) ** 2).mean(axis=2)), rtol=1e-5)


def test_blocks_make_no_difference(rng):
    trials = trial_table(n_repetitions=3, rng=rng)
    eeg = epochs(trials, rng)
    for blocked, whole in zip(summed(eeg, trials, n_block=7), summed(eeg, trials, n_block=1000), strict=True):
        np.testing.assert_allclose(blocked, whole, rtol=1e-4, atol=1e-4)


def test_the_spectrum_is_welchs(rng):
    eeg = epochs(range(5), rng)
    frequencies, expected = welch(
        eeg.transpose(1, 0, 2).reshape(63, -1).astype(float), 200, nperseg=200, noverlap=0
    )
    np.testing.assert_allclose(power_densities(eeg, 200) / 5, expected, rtol=1e-4, atol=1e-4)
    described = quality.describe_spectra(expected, list(CHANNELS), sfreq=200)
    np.testing.assert_allclose(described["frequency"], frequencies[1:])
    own = 10 * np.log10(expected[REGIONS["parietal"], 1:])
    np.testing.assert_allclose(described["regions"]["parietal"], np.median(own, axis=0), rtol=1e-3)


def halves_of(n_images, rng, *, signal, n_windows=1, n_channels=5):
    """Halves of unit noise, half of it common to the channels."""
    shape = (n_images, n_channels, n_windows)
    picture = np.sqrt(signal) * rng.standard_normal(shape)
    noise = rng.standard_normal((2, *shape)) + rng.standard_normal((2, n_images, 1, n_windows))
    return picture + noise / np.sqrt(2)


def test_reliability_is_that_of_all_trials(rng):
    low, reliability, high = quality.split_half_course(*halves_of(20_000, rng, signal=0.5))
    # signal 0.5, and noise of variance 1 / 2 in the mean of both halves
    assert reliability == pytest.approx(0.5, abs=0.02)
    assert low < reliability < high
    _, nothing, _ = quality.split_half_course(*halves_of(20_000, rng, signal=0))
    assert nothing == pytest.approx(0, abs=0.03)


def test_the_limits_of_the_reliability_hold_in_95_of_100(rng):
    """A window is an experiment of its own; 1000 of them are off by 1.4 % (two standard errors)."""
    low, _, high = quality.split_half_course(*halves_of(150, rng, signal=0.5, n_windows=1000))
    assert np.mean((low <= 0.5) & (high >= 0.5)) == pytest.approx(0.95, abs=0.025)


def test_a_dead_channel_has_no_reliability_and_does_not_spoil_the_others(rng):
    first, second = halves_of(200, rng, signal=5)
    first[:, 0] = second[:, 0] = 0
    _, reliability, _ = quality.split_half_course(first, second)
    r = 0.8 * 5 / 6  # four of five channels
    assert reliability == pytest.approx(2 * r / (1 + r), abs=0.05)


def test_the_intervals_of_the_response_are_over_pictures(rng):
    trials = trial_table(n_repetitions=4, rng=rng)
    sums = summed(epochs(trials, rng), trials)
    response = quality.describe_responses(sums, list(CHANNELS), times=np.arange(200) / 200)
    curve = response["regions"]["frontal"]
    own = sums.regional[:, 0]
    margin = 1.96 * own.std(axis=0, ddof=1) / np.sqrt(N_IMAGES + N_TEST)
    np.testing.assert_allclose(np.subtract(curve["high"], curve["low"]), 2 * margin, atol=2e-3)
    assert list(response["topographies"]) == ["0.100", "0.150", "0.200", "0.300", "0.400"]
    assert response["topographies"]["0.150"]["Oz"] == pytest.approx(
        sums.mean[CHANNELS.index("Oz"), 30], rel=1e-3
    )


def test_channels_that_are_broken_are_flagged(rng, tmp_path, caplog):
    trials = trial_table(n_repetitions=4, rng=rng)
    eeg = epochs(trials, rng)
    for name, change in {"Fp1": 0, "F3": 0.05, "Oz": 40}.items():
        eeg[:, CHANNELS.index(name)] *= change
    eeg[:5, CHANNELS.index("Cz")] = 20  # in 5 of 64 trials
    found = quality.inspect_eeg(*write_eeg(tmp_path / "eeg.h5", eeg, trials))
    flags = {channel["name"]: channel["flags"] for channel in found["channels"] if channel["flags"]}
    assert flags == {"Fp1": ["flat", "too low"], "F3": ["too low"], "Cz": ["flat"], "Oz": ["too high"]}
    assert found["flagged"] == list(flags)
    assert "channels Fp1, F3, Cz, Oz are flat or out of range" in caplog.text
    assert found["expected"] == pytest.approx([2, 50], rel=0.05)
    json.dumps(found, allow_nan=False)


def test_counts_and_whitened_data(rng, tmp_path):
    trials = trial_table(n_repetitions=4, rng=rng)
    trials["session"] = -1
    path = write_eeg(tmp_path / "eeg.h5", epochs(trials, rng, amplitude=1), trials, unit="whitened")
    found = quality.inspect_eeg(*path)
    assert (found["unit"], found["flagged"]) == ("whitened", [])
    assert found["expected"] == pytest.approx([0.2, 5], rel=0.01)
    assert found["trials"]["train"] == {
        "n_trials": 48, "n_images": 12, "sessions": {}, "repetitions": {"4": 12}
    }  # fmt: skip
    assert found["trials"]["test"]["n_images"] == 4
    assert found["reliability"]["test"]["n_images"] == 4
    assert found["reliability"]["train"]["times"][:2] == [0.0075, 0.0275]


def test_one_repetition_has_no_reliability(rng, tmp_path):
    trials = trial_table(n_repetitions=1, rng=rng)
    found = quality.inspect_eeg(*write_eeg(tmp_path / "eeg.h5", epochs(trials, rng), trials))
    assert found["reliability"] == {"train": None, "test": None}


def test_chosen_pictures_are_spread_evenly(rng, monkeypatch):
    monkeypatch.setattr(quality, "MAX_PICTURES", 3)
    trials = trial_table(n_repetitions=2, rng=rng)
    once = (trials["image"] == 0) & (trials["repetition"] == 1)
    partition = partitions().set_index("image")["partition"]
    assert quality.choose_pictures(trials[~once], partition, "train").tolist() == [1, 6, 11]


def test_electrodes_of_other_caps_have_a_region_too():
    found = quality.region_rows(["Iz", "Oz", "P9", "E17", "GSN1"])
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "parietal": [2],
        "occipital": [0, 1],
        "other": [3, 4],
    }
