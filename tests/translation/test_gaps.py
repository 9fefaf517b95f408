"""Spans without EEG are found in every block size, and divide a recording."""

import mne
import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.translation.gaps import find_gaps, split_parts


def recording(rng, broken=(), still=()):
    eeg = rng.standard_normal((2, 1000)) * 1e-5
    for start, stop in broken:
        eeg[0, start:stop] = np.nan
    for start, stop in still:
        eeg[:, start:stop] = eeg[:, [start]]
    return mne.io.RawArray(eeg, mne.create_info(["Oz", "Cz"], 100.0, "eeg"), verbose="error")


@pytest.mark.parametrize("block", [64, 1000])
def test_broken_and_still_spans_are_found(rng, caplog, block):
    # 5 samples at 100 Hz are shorter than what counts as still
    raw = recording(rng, broken=[(100, 103)], still=[(120, 125), (380, 420)])
    assert find_gaps(raw, [0, 1], block=block, name="x") == [(100, 103), (380, 420)]
    assert "x: 1 spans, 0.03 s together, hold NaN" in caplog.text
    assert "x: 1 spans, 0.4 s together, do not change" in caplog.text


def test_a_channel_that_is_broken_most_of_the_time_is_named(rng):
    with pytest.raises(InputError, match="NaN or infinity in 60% of channel Oz"):
        find_gaps(recording(rng, broken=[(0, 600)]), [0, 1], block=128, name="x")


def test_parts_lie_between_cuts_and_gaps():
    assert split_parts(100, [0, 30, 100], [(50, 60), (90, 100)]) == [(0, 30), (30, 50), (60, 90)]
    assert split_parts(100, [], []) == [(0, 100)]
