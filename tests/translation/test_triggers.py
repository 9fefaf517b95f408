"""Trigger channels as recording systems write them: every picture is an event, under its own code."""

import numpy as np
import pytest

from brain2image.translation.triggers import find_codes

SOA = 250
CODES = np.random.default_rng(0).integers(1, 201, 60)
CODES[1:][CODES[1:] == CODES[:-1]] += 1  # a held code that stays the same is no change
ONSETS = 1000 + SOA * np.arange(len(CODES))
PAIRS = [1, 2] * 30


def pulses(rest=0, *, codes=CODES, held=5):
    channel = np.full(ONSETS[-1] + 2000, rest, float)
    for onset, code in zip(ONSETS, codes, strict=True):
        channel[onset : onset + held] = code
    return channel


def booting(channel):
    return np.where(np.arange(len(channel)) < 200, 0, channel)


def signed(channel):
    return channel.astype(np.uint16).astype(np.int16).astype(float)


def low_battery(channel):
    """BioSemi's bit 22 for a while."""
    return channel + (1 << 22) * ((np.arange(len(channel)) // 3000) % 2)


CHANNELS = {
    "pulses": (pulses(), CODES),
    "pulses of a sample, up to 99999": (pulses(codes=[*CODES[1:], 99999], held=1), [*CODES[1:], 99999]),
    "held until the next": (pulses(held=SOA), CODES),
    "two codes held in turn": (pulses(codes=PAIRS, held=SOA), PAIRS),
    "two codes, half the time": (pulses(codes=PAIRS, held=SOA // 2), PAIRS),
    "a hair below whole": (0.999999 * pulses(), CODES),
    "taken for microvolts": (1e-6 * pulses(), CODES),
    "taken for millivolts": (1e-3 * pulses(), CODES),
    "rounded to 16 bits": (np.round(pulses() / 0.3) * 0.3, CODES),
    "negative": (pulses(codes=-CODES), -CODES),
    "rests at 255": (pulses(255), CODES),
    "rests at 255 once it is switched on": (booting(pulses(255)), CODES),
    "rests at 65280": (pulses(65280), CODES),
    "rests at 240": (pulses(240), CODES),
    "rests at -1": (pulses(-1), CODES),
    "open inputs": (pulses() + 65280, CODES),
    "open inputs once it is switched on": (booting(pulses() + 65280), CODES),
    "open inputs, read with a sign": (signed(pulses() + 65280), CODES),
    "bit 16 throughout": (pulses() + 65536, CODES),
    "bits 19 and 20 throughout": (pulses() + 3 * (1 << 19), CODES),
    "low battery for a while": (low_battery(pulses()), CODES),
    "codes of 17 bits": (pulses(codes=1000 * CODES), 1000 * CODES),
}


@pytest.mark.parametrize("case", CHANNELS)
def test_every_picture_is_an_event_under_its_own_code(case):
    channel, codes = CHANNELS[case]
    expected = [(str(code), onset) for code, onset in zip(codes, ONSETS, strict=True)]
    assert find_codes(channel, name="STI 014", source="a") == expected


def test_biosemi_s_status_is_no_part_of_a_code():
    channel = pulses(held=SOA) + (1 << 16) * (np.arange(len(pulses())) < 3000) + (1 << 20)
    assert find_codes(channel, name="Status", source="a") == [
        (str(code), onset) for code, onset in zip(CODES, ONSETS, strict=True)
    ]


def test_changes_between_two_codes_are_no_events(caplog):
    channel = pulses(codes=2 * CODES)
    channel[[ONSETS[3] - 1, ONSETS[5] + 5]] = 7  # bits that rise early and fall late
    found = find_codes(channel, name="STI 014", source="a")
    assert [code for code, _ in found] == [str(2 * code) for code in CODES]
    assert found[3][1] == ONSETS[3] - 1
    channel[:50] = 9
    caplog.set_level("INFO")
    assert len(find_codes(channel, name="STI 014", source="a")) == len(CODES)
    assert "2 levels of one sample are changes between two" in caplog.text
    assert "holds 9 from the first sample on, which is no event" in caplog.text


def test_what_is_no_whole_number_is_counted(caplog):
    channel = pulses()
    channel[ONSETS[3] : ONSETS[3] + 5] = 7.5
    channel[ONSETS[4] : ONSETS[4] + 5] = np.nan
    found = find_codes(channel, name="STI 014", source="a")
    assert [code for code, _ in found] == [str(code) for code in np.delete(CODES, [3, 4])]
    assert "a: trigger channel STI 014: left out 2 events whose code is no whole number" in caplog.text


def test_a_channel_without_codes_has_no_events(caplog):
    for channel in (np.zeros(100), np.full(100, 255.0), np.full(100, np.nan)):
        assert find_codes(channel, name="STI 014", source="a") == []
    analog = np.random.default_rng(0).random(1000) / 10
    assert find_codes(analog, name="photodiode", source="a") == []
    assert "photodiode holds no whole numbers and no codes, but values up to 0.09" in caplog.text


def test_where_the_channel_rests_is_told(caplog):
    caplog.set_level("INFO")
    find_codes(pulses(255), name="STI 014", source="a")
    assert "rests at 255, which is no event (61 times)" in caplog.text
    find_codes(pulses() + 65280, name="STI 014", source="a")
    assert "65280 is on throughout and left out, so that 65281 is called 1" in caplog.text
