"""What every reader of raw EEG shares: parts that are filtered apart, and what is done to their trials."""

from functools import partial

import h5py
import numpy as np
import pandas as pd
import pytest

from brain2image.datasets.signals import cut_epochs, filter_eeg
from brain2image.datasets.trial_files import append_parts, create_eeg, finish_trials, named_lines
from brain2image.formats.hdf5 import read_trials

FILTERS = {"highpass": 2.0, "lowpass": 75.0, "notch": []}


@pytest.fixture
def file():
    with h5py.File("trials.h5", "w", driver="core", backing_store=False) as file:
        yield file


def test_the_mains_are_those_of_the_data_set():
    assert named_lines("mains", mains=60.0) == [60.0]
    assert named_lines([50.0], mains=60.0) == [50.0]
    assert named_lines([], mains=60.0) == []


def test_parts_are_filtered_apart_and_their_ends_left_out(file, rng):
    data = 1e-5 * rng.standard_normal((3, 4000))
    parts, onsets = [(0, 2500), (2500, 4000)], np.array([299, 300, 1199, 1300, 1301, 2799, 2800, 2801])
    eeg = create_eeg(file, 3)
    options = {"sfreq": 1000, "cut": partial(cut_epochs, n_times=200, step=5), "edge": 0.2, "baseline": 0.1}

    def read(start, stop):
        return data[:, start:stop].copy()

    def append(**more):
        return append_parts(eeg, read, parts, onsets, **options, **FILTERS, **more)

    # 0.3 s after the start of a part and 1.2 s before its end
    assert onsets[append()].tolist() == [300, 1199, 1300, 2800]
    whole = [filter_eeg(1e6 * data[:, start:stop], 1000, **FILTERS) for start, stop in parts]
    expected = np.concatenate([whole[0][:, 1199:2199:5], whole[1][:, 300:1300:5]])
    expected -= np.concatenate([whole[0][:, 1099:1199].mean(1), whole[1][:, 200:300].mean(1)])[:, None]
    np.testing.assert_allclose(np.concatenate(eeg[[1, 3]]), expected, atol=1e-4)
    assert onsets[append(margin=301)].tolist() == [1199]
    assert len(eeg) == 5


def test_trials_are_numbered_weighed_and_described(file, rng):
    eeg = create_eeg(file, 4)
    eeg.resize(6, axis=0)
    eeg[:] = 20 * rng.standard_normal((6, 4, 200))
    eeg[5] *= 4
    trials = pd.DataFrame({"image": [7, 8, 7, 7, 8, 9], "session": 0, "onset": range(6)})
    attributes = {"channels": ["Fz", "Cz", "Pz", "Oz"], "whiten": "none", "interpolated": ["Cz"]}
    options = {"fitted": np.arange(6) < 5, "clip": 3.0, "weigh": True, "source": "x"}
    finish_trials(file, trials, attributes, bads=["Cz", "Pz"], **options)
    found = read_trials(file)
    assert found["repetition"].tolist() == [0, 0, 1, 2, 1, 0]
    assert found["weight"].mean() == pytest.approx(1)
    assert found["weight"][5] < 0.2
    assert np.abs(eeg[:]).max() < 3 * 1.2 * 20
    assert list(file.attrs["interpolated"]) == ["Cz", "Pz"]
    assert (file.attrs["unit"], file.attrs["sfreq"], file.attrs["t0"]) == ("uV", 200, 0)
    assert 0 < file.attrs["clipped"] < 0.2
