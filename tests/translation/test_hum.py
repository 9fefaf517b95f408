"""Power lines: the recording's own is taken out besides the training's, and hum that stays is told."""

import logging

import mne
import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.translation.hum import recording_filters, warn_of_hum
from brain2image.translation.new_eeg import Cutting

FILTERS = {"highpass": 0.1, "lowpass": 100.0, "notch": [50.0]}


def notch(*, asked=None, told=None, said=None):
    info = mne.create_info(["Oz"], 1000.0, "eeg")
    info["line_freq"] = told
    raw = mne.io.RawArray(np.zeros((1, 10)), info, verbose="error")
    cutting = Cutting(filters=FILTERS, line_freq=asked)
    return recording_filters(raw, cutting, said or {}, source="x")["notch"]


def test_the_power_line_is_the_one_asked_for_or_told():
    assert notch() == [50.0]
    assert notch(told=50.5) == [50.0]  # as near as that, one notch takes both out
    assert notch(told=60.0) == [50.0, 60.0]
    assert notch(said={"PowerLineFrequency": 60}) == [50.0, 60]
    assert notch(said={"PowerLineFrequency": "n/a"}) == [50.0]
    assert notch(asked=60.0, told=50.0) == [50.0, 60.0]
    assert FILTERS["notch"] == [50.0]
    with pytest.raises(InputError, match="10 to 100 Hz, got 5000"):
        notch(asked=5000.0)


@pytest.mark.parametrize(("line", "is_told"), [(60, True), (50, False), (None, False)])
def test_hum_that_no_notch_takes_out_is_told(rng, caplog, line, is_told):
    caplog.set_level(logging.WARNING)
    times = np.arange(20_000) / 1000
    eeg = rng.standard_normal((4, len(times))) + (np.sin(2 * np.pi * line * times) if line else 0)
    warn_of_hum(eeg, 1000, FILTERS, source="x")
    assert ("x: 60 Hz stand out" in caplog.text) == is_told
    assert bool(caplog.records) == is_told
