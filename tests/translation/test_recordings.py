"""Recordings as other laboratories write them: which trials are cut from them, and which are not."""

import json

import edfio
import mne
import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from brain2image.config.data import EEGConfig
from brain2image.core.errors import InputError
from brain2image.datasets import signals
from brain2image.datasets.signals import notch_frequencies
from brain2image.translation import edf, recordings
from brain2image.translation.marks import Mark, sort_marks
from brain2image.translation.new_eeg import Cutting
from brain2image.translation.opening import open_eeg

SFREQ = 250
SECONDS = 60
FILTERS = {"highpass": 2.0, "lowpass": 75.0, "notch": [50.0]}  # 2 Hz: a short filter suffices
NAMES = ["Fz", "Cz", "Pz", "Oz"]
ROWS = [0, 1, 2, 3]
EVENTS = [(5.0 + 2 * i, f"p{i % 5}") for i in range(25)]
FOR_ARRAYS = {"unit": None, "channels": None, "sfreq": None}


def noise(seconds=SECONDS):
    """10 uV with more power at low frequencies, volts."""
    white = np.random.default_rng(0).standard_normal((len(NAMES), seconds * SFREQ))
    return 1e-5 * lfilter([0.14], [1, -0.99], white, axis=1)


def recording(events=EVENTS, *, data=None, stim=None):
    """A Raw of noise; events are onset, text, and perhaps duration."""
    data, names, kinds = noise() if data is None else data, NAMES, ["eeg"] * len(NAMES)
    if stim is not None:
        data, names, kinds = np.vstack([data, stim]), [*names, "STI 014"], [*kinds, "stim"]
    raw = mne.io.RawArray(data, mne.create_info(names, SFREQ, kinds), verbose="error")
    rows = [(*event, 0.0)[:3] for event in events]
    onsets, texts, durations = zip(*rows, strict=True) if rows else ((), (), ())
    return raw.set_annotations(mne.Annotations(onsets, durations, texts))


def opened(eeg, *, rows=ROWS, **options):
    cutting = Cutting(filters=FILTERS, **options)
    return open_eeg(eeg, **FOR_ARRAYS, cutting=cutting).usable(rows)


def trials_of(source):
    return np.concatenate(list(source.blocks(ROWS)))


def write_table(folder, rows, *, events=()):
    """A BIDS recording with an events.tsv of these rows."""
    path = folder / "sub-01_task-view_eeg.vhdr"
    mne.export.export_raw(path, recording(events), verbose="error")
    rows.to_csv(folder / "sub-01_task-view_events.tsv", sep="\t", index=False, na_rep="n/a")
    return path


def table(**columns):
    return pd.DataFrame({"onset": [str(onset) for onset, _ in EVENTS], "duration": "0.1"} | columns)


# ---- what marks say


@pytest.mark.parametrize(
    "text",
    [
        *("boundary", "BAD boundary", "EDGE boundary", "Comment/boundary", "-99", "-99.0"),
        *("New Segment/", "New Segment/ a", "BAD_ACQ_SKIP", "Comment/BAD_ACQ_SKIP", "LostSamples: 12"),
        *("BAD_disconnection", "Amplifier disconnected", "impedance"),
    ],
)
def test_interruptions_of_every_system(text):
    found = sort_marks([Mark(text, 10, 40)], source="a")
    has_length = "SKIP" in text or "BAD_dis" in text
    assert found == ([], [10, 40] if has_length else [10], [(10, 40)] if has_length else [])


@pytest.mark.parametrize(
    "text",
    [
        *("BAD", "bad", "BAD_blink", "bad blink", "Bad Interval/Bad Min-Max", "Comment/BAD_blink", "BAD1"),
        *("BADblink", "badsegment", "bad_segment"),
    ],
)
def test_bad_segments_by_every_name(text, caplog):
    assert sort_marks([Mark(text, 10, 40)], source="a") == ([], [], [(10, 40)])
    assert sort_marks([Mark(text, 10, 10)], source="a") == ([], [], [])
    assert "a: 1 marks of something bad have no duration and leave nothing out" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        *("badge", "badger_02s.jpg", "Badminton", "00050_badge", "Comment/badge", "boundary stone", "edge"),
        *("boundary_01b.jpg", "-9", "-990", "Stimulus/S 99", "new", "lost", "32766"),
    ],
)
def test_pictures_that_sound_like_marks_are_events(text):
    mark = Mark(text, 10, 40)
    assert sort_marks([mark], source="a") == ([mark], [], [])


# ---- pauses and cuts


def glue(raw, mark, second=21.0):
    """What follows has another offset, as where two recordings were glued together."""
    raw._data[: len(NAMES), int(second * SFREQ) :] += 2e-3
    raw.annotations.append([second], [30.0 if mark != "BAD_disconnection" else 0.5], [mark])
    return raw


@pytest.mark.parametrize("mark", ["boundary", "-99", "Comment/EDGE boundary", "BAD_disconnection"])
def test_filters_do_not_run_across_an_interruption(mark):
    expected, got = opened(recording()), opened(glue(recording(), mark))
    assert set(got.trials["event"]) == {event for _, event in EVENTS}
    kept = expected.trials["sample"].isin(got.trials["sample"])
    assert kept.sum() == len(EVENTS) - (mark == "BAD_disconnection")
    ringing = np.abs(trials_of(got) - trials_of(expected)[kept])
    far = np.abs(got.trials["sample"] / SFREQ - 21) > 4
    assert ringing[far].max() < 1e-7
    assert ringing.max() < 1e-5  # the jump is 2e-3


def test_nan_outside_the_trials_does_not_reach_them(caplog):
    whole, data = opened(recording()), noise()
    data[1, int(20.5 * SFREQ) : int(20.8 * SFREQ)] = np.nan
    data[2, 0] = np.inf
    source = opened(recording(data=data))
    assert source.trials["sample"].tolist() == whole.trials["sample"].tolist()
    eeg, expected = trials_of(source), trials_of(whole)
    assert np.isfinite(eeg).all()
    np.testing.assert_allclose(eeg[12:], expected[12:], atol=1e-9)
    assert "2 spans, 0.304 s together, hold NaN or infinity and are taken as interruptions" in caplog.text


def test_trials_with_nan_and_those_in_zeros_are_left_out(caplog):
    data = noise()
    data[1, 7 * SFREQ + 10] = np.nan
    data[:, 20 * SFREQ : 22 * SFREQ] = 3e-6
    source = opened(recording(data=data))
    times = source.trials["sample"] / SFREQ
    assert sorted(set(np.arange(5.0, 55, 2)) - set(times)) == [7.0, 21.0]
    assert "1 spans, 2 s together, do not change in any channel" in caplog.text
    assert "left out 2 trials that run in spans without EEG" in caplog.text
    # a channel that is not read may hold what it likes
    assert len(opened(recording(data=data), rows=[0, 2, 3]).trials) == len(EVENTS) - 1


def test_a_channel_without_signal_is_named():
    data = noise()
    data[2] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in 100% of channel Pz; mark it as bad"):
        opened(recording(data=data))


def test_durations_that_are_nan_are_none():
    raw = recording()
    raw.annotations.duration[3] = np.nan  # as of EEGLAB's events without one
    assert len(opened(raw).trials) == len(EVENTS)


def test_annotations_count_from_the_clock_and_in_split_files(tmp_path):
    raw = recording().set_meas_date(1.6e9)
    raw.set_annotations(
        mne.Annotations(*zip(*[(t, 0, e) for t, e in EVENTS], strict=True), raw.info["meas_date"])
    )
    raw.crop(3.002)
    expected = [round(onset * SFREQ) for onset, _ in EVENTS]
    raw.save(tmp_path / "a_raw.fif", split_size="2MB", buffer_size_sec=1, verbose="error")
    for eeg in (raw, tmp_path / "a_raw.fif"):
        assert opened(eeg).trials["sample"].tolist() == expected


def interrupt(path, *, after, pause):
    """Turn a continuous EDF+ file into EDF+D with a pause after some records."""
    layout, content = edf.read_layout(path), bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    size, first = int(layout.n_bytes.sum()), 256 * (1 + len(layout.labels))
    offset = int(layout.n_bytes[:-1].sum())
    for record in range(after, (len(content) - first) // size):
        begin = first + record * size + offset
        texts = bytes(content[begin : begin + int(layout.n_bytes[-1])])
        moved = edf.TAL.sub(lambda tal: tal[0].replace(tal[1], b"+%g" % (float(tal[1]) + pause), 1), texts)[
            : len(texts)
        ]
        content[begin : begin + len(texts)] = moved.ljust(len(texts), b"\0")
    path.write_bytes(content)


def test_interrupted_edf_files_are_split_and_their_events_moved(tmp_path, caplog):
    raw = recording()
    raw._data[:, 21 * SFREQ :] += 1e-4
    path = tmp_path / "a.edf"
    mne.export.export_raw(path, raw, verbose="error")
    caplog.set_level("INFO")
    expected = opened(glue(mne.io.read_raw(path, preload=True, verbose="error"), "boundary"))
    interrupt(path, after=21, pause=30)  # no more digits than before
    source = opened(path)
    pd.testing.assert_frame_equal(source.trials, expected.trials)
    np.testing.assert_allclose(trials_of(source), trials_of(expected), atol=1e-8)
    assert "a.edf: interrupted 1 times" in caplog.text


# ---- which events


@pytest.mark.parametrize("options", [{}, {"physical_dimension": "uV"}, {"sampling_frequency": SFREQ // 2}])
def test_codes_of_edf_files_are_whole(tmp_path, options):
    """MNE would make 94 of 94.998, and a hundred-thousandth of what stands there as microvolts."""
    codes = np.random.default_rng(1).integers(1, 201, len(EVENTS))
    rate = options.pop("sampling_frequency", SFREQ)
    stim = np.zeros(SECONDS * rate)
    for (onset, _), code in zip(EVENTS, codes, strict=True):
        stim[round(onset * rate) :][:3] = code
    volts = {"physical_dimension": "uV", "physical_range": (-500, 500)}
    signals = [
        edfio.EdfSignal(1e6 * row, SFREQ, label=name, **volts)
        for name, row in zip(NAMES, noise(), strict=True)
    ]
    signals.append(edfio.EdfSignal(stim, rate, label="Trigger", physical_range=(0, 200), **options))
    edfio.Edf(signals).write(tmp_path / "a.edf")
    assert opened(tmp_path / "a.edf").trials["event"].tolist() == [str(code) for code in codes]


def test_marks_without_a_time_are_counted(caplog):
    raw = recording()
    raw.annotations.onset[3] = np.nan
    assert len(opened(raw).trials) == len(EVENTS) - 1
    assert "left out 1 annotations without an onset" in caplog.text


@pytest.mark.parametrize(("first", "second"), [(0, "n/a"), (1, "picture"), (None, None)])
def test_codes_stand_in_for_trial_types_that_are_missing(tmp_path, first, second):
    kinds = ["n/a" if first is None or i % 2 == first else second for i in range(25)]
    path = write_table(tmp_path, table(trial_type=kinds, value=[str(100 + i) for i in range(25)]))
    expected = [str(100 + i) if kind == "n/a" else kind for i, kind in enumerate(kinds)]
    assert opened(path).trials["event"].tolist() == expected


@pytest.mark.parametrize("odd", ["-1.25", "61", "nan", "", "n/a", "soon", "inf"])
def test_one_odd_onset_costs_one_event(tmp_path, odd, caplog):
    rows = table(trial_type="picture")
    rows.loc[3, "onset"] = odd
    assert len(opened(write_table(tmp_path, rows)).trials) == len(EVENTS) - 1
    assert "left out 1 of 25 rows, which" in caplog.text


def test_samples_stand_in_for_onsets_and_bad_rows_are_left_out(tmp_path, caplog):
    rows = table(trial_type="picture", sample=[str(int(onset * SFREQ)) for onset, _ in EVENTS], status="good")
    rows.loc[[2, 3], "onset"] = "n/a"
    rows.loc[5, "status"] = "bad"
    rows.loc[6, ["trial_type", "duration"]] = ["BAD_blink", "3.5"]
    rows.loc[9, "trial_type"] = "boundary"
    rows.loc[11, "trial_type"] = "n/a"
    source = opened(write_table(tmp_path, rows))
    left = sorted(set(np.arange(5.0, 55, 2)) - set(source.trials["sample"] / SFREQ))
    assert left == [15.0, 17.0, 19.0, 23.0, 27.0]
    for line in (
        "1 of 25 rows, which have the status bad",
        "1 of 25 rows, which have no trial_type",
        "left out 1 trials that run in BAD segments",
    ):
        assert line in caplog.text


def test_a_column_is_chosen_and_told_where_none_is_known(tmp_path):
    path = write_table(tmp_path, table(object="volleyball", stim=[f"v_{i:02}.jpg" for i in range(25)]))
    with pytest.raises(InputError, match="onset and trial_type or value, got onset, duration, object, stim"):
        opened(path)
    assert opened(path, event_column="stim").trials["event"].tolist()[:2] == ["v_00.jpg", "v_01.jpg"]
    with pytest.raises(InputError, match="expected the columns onset and stimulus, got onset"):
        opened(path, event_column="stimulus")
    with pytest.raises(InputError, match=r"expected an events\.tsv beside it with the column stim, got none"):
        opened(recording(), event_column="stim")


def test_events_lie_beside_split_files_and_the_power_line_is_named_there(tmp_path, caplog):
    write_table(tmp_path, table(trial_type="picture"))
    side = {"PowerLineFrequency": 60, "EEGReference": "Cz", "EEGGround": "n/a"}
    (tmp_path / "sub-01_task-view_eeg.json").write_text(json.dumps(side))
    recording([(1.0, "wrong")]).save(tmp_path / "sub-01_task-view_split-01_eeg.fif", verbose="error")
    caplog.set_level("INFO")
    source = opened(tmp_path / "sub-01_task-view_split-01_eeg.fif")
    assert set(source.trials["event"]) == {"picture"}
    # the sidecar belongs to the whole recording
    assert source.reference == "Cz"
    assert "notch at 60 Hz, the recording's power line, besides the training's at 50 Hz" in caplog.text


def test_a_trigger_channel_beside_annotations_is_told(caplog):
    stim = np.zeros(SECONDS * SFREQ)
    stim[5 * SFREQ :: SFREQ] = 7
    assert len(opened(recording([(9.0, "start")], stim=stim)).trials) == 1
    assert "events are the 1 annotations; the trigger channel's 55 are not used" in caplog.text
    assert set(opened(recording([], stim=stim)).trials["event"]) == {"7"}


def test_mne_s_warnings_are_in_the_log(tmp_path, caplog):
    recording().save(tmp_path / "wrong_name.fif", verbose="error", overwrite=True)
    opened(tmp_path / "wrong_name.fif")
    assert "does not conform to MNE naming conventions" in caplog.text


# ---- shift, power lines


def test_shifted_trials_begin_when_the_picture_came():
    early = recording([(onset - 0.1, text) for onset, text in EVENTS])
    got, expected = opened(early, shift=100.0), opened(recording())
    np.testing.assert_allclose(trials_of(got), trials_of(expected), atol=1e-9)
    assert (expected.trials["sample"] - got.trials["sample"] == SFREQ // 10).all()  # the event's, as it is
    assert len(opened(recording([(0.0, "a"), *EVENTS]), shift=-20.0).trials) == len(EVENTS)
    with pytest.raises(InputError, match="shift: expected milliseconds from -1000 to 1000, got 5000"):
        opened(early, shift=5000.0)


def test_shifts_of_epochs_need_their_margin():
    events = np.array([[round(onset * SFREQ), 0, 1] for onset, _ in EVENTS])
    epochs = mne.Epochs(
        recording(), events, tmin=-0.2, tmax=1.2, baseline=None, preload=True, verbose="error"
    )
    got = trials_of(opened(epochs, shift=100.0))
    later = mne.Epochs(recording(), events + np.array([SFREQ // 10, 0, 0]), **epochs_options())
    np.testing.assert_allclose(got[:, :, 20:-20], trials_of(opened(later))[:, :, 20:-20], atol=2e-7)
    with pytest.raises(InputError, match=r"0\.995 s after 300 ms after the event, got -0\.5 to 0\.9 s"):
        opened(epochs, shift=300.0)
    with pytest.raises(InputError, match="expected line_freq for recordings alone"):
        opened(epochs, line_freq=60.0)


def epochs_options():
    return {"tmin": -0.2, "tmax": 1.2, "baseline": None, "preload": True, "verbose": "error"}


def test_epochs_that_were_dropped_are_counted(caplog):
    events = np.array([[round(onset * SFREQ), 0, 1] for onset, _ in EVENTS] + [[59 * SFREQ + 125, 0, 1]])
    raw = recording()
    raw._data[:, 9 * SFREQ + 10] = 1.0
    epochs = mne.Epochs(raw, events, reject={"eeg": 0.5}, **epochs_options())
    assert len(opened(epochs).trials) == len(EVENTS) - 1
    assert "2 epochs were dropped: Fz (1), Cz (1), Pz (1), Oz (1), TOO_SHORT (1)" in caplog.text


def hum(frequency):
    """20 uV of a power line."""
    return noise() + 20e-6 * np.sqrt(2) * np.sin(2 * np.pi * frequency * np.arange(SECONDS * SFREQ) / SFREQ)


def test_the_recording_s_own_power_line_is_taken_out(caplog):
    clean = trials_of(opened(recording()))
    raw = recording(data=hum(60))
    with_hum = trials_of(opened(raw))
    assert np.abs(with_hum - clean).max() > 1e-5
    assert "60 Hz stand out of the EEG like a power line" in caplog.text
    caplog.clear()
    np.testing.assert_allclose(trials_of(opened(raw, line_freq=60.0)), clean, atol=5e-6)
    raw.info["line_freq"] = 60
    assert np.abs(trials_of(opened(raw)) - clean)[5:-5].max() < 3e-6
    assert "stand out" not in caplog.text
    trials_of(opened(recording(data=hum(50))))
    assert "stand out" not in caplog.text
    with pytest.raises(InputError, match="line_freq: expected 10 to 100 Hz, got 5000"):
        opened(raw, line_freq=5000.0)


def test_harmonics_are_power_lines_too():
    assert notch_frequencies(50, lowpass=75) == [50]
    assert notch_frequencies([60.0, 50.0], lowpass=75) == [50, 60]
    assert notch_frequencies(16.7, lowpass=40) == pytest.approx([16.7, 33.4])
    # what is asked for goes before a harmonic that is too near for two notches
    assert notch_frequencies([16.7, 50], lowpass=75) == pytest.approx([16.7, 33.4, 50, 66.8, 83.5])
    assert notch_frequencies([], lowpass=75) == notch_frequencies([50], lowpass=30) == []
    assert EEGConfig(notch=60.0).notch == [60.0]
    times = np.arange(5000) / SFREQ
    lines = sum(np.sin(2 * np.pi * line * times) for line in (16.7, 33.4, 66.8))
    kept = np.sin(2 * np.pi * 10 * times)
    filters = FILTERS | {"notch": [16.7]}
    filtered = signals.filter_eeg((kept + lines)[None], SFREQ, **filters)[0]
    assert np.abs(filtered - kept)[1500:-1500].max() < 0.02


def test_only_what_the_filters_reach_is_read():
    with_notch = recordings._reach(FILTERS)
    assert with_notch - recordings._reach(FILTERS | {"notch": []}) == pytest.approx(1.65 / 0.5)
