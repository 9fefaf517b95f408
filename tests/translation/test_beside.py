"""What BIDS puts beside a recording."""

import json

import pytest

from brain2image.core.errors import InputError
from brain2image.translation.beside import beside, read_events, read_sidecar

NAME = "sub-01_task-x_split-01_eeg.vhdr"


def events(tmp_path, *lines, column=None):
    path = tmp_path / "events.tsv"
    path.write_text("\n".join(line.replace(" ", "\t") for line in lines))
    return [tuple(mark)[:2] for mark in read_events(path, column=column, sfreq=100.0, n_times=1000)]


def test_files_beside_a_recording_are_found_by_name(tmp_path):
    recording = tmp_path / NAME
    assert beside(recording, "_events.tsv") is None
    assert read_sidecar(recording) == {}
    (tmp_path / "sub-01_task-x_events.tsv").touch()
    assert beside(recording, "_events.tsv") == tmp_path / "sub-01_task-x_events.tsv"
    content = {"PowerLineFrequency": 60, "EEGReference": "n/a"}
    (tmp_path / "sub-01_task-x_eeg.json").write_text(json.dumps(content))
    assert read_sidecar(recording) == {"PowerLineFrequency": 60}


def test_rows_that_say_what_and_when_are_events(tmp_path, caplog):
    rows = ("onset trial_type value", "1.0 cat 1", "2.5 n/a 7", "n/a dog 2", "50 owl 3")
    assert events(tmp_path, *rows) == [("cat", 100), ("7", 250)]
    assert "left out 1 of 4 rows, which have no onset" in caplog.text
    assert "left out 1 of 4 rows, which lie outside of the recording" in caplog.text
    assert events(tmp_path, *rows, column="value") == [("1", 100), ("7", 250)]


def test_other_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match="onset and trial_type or value, got time, name"):
        events(tmp_path, "time name", "1 cat")
    with pytest.raises(InputError, match="are they milliseconds"):
        events(tmp_path, "onset value", "1000 1", "2000 2")
