"""What MNE raises and warns of, in one line."""

import logging
import warnings

import pytest

from brain2image.core.errors import InputError
from brain2image.formats.eeg_files import readable


@pytest.mark.parametrize(
    ("error", "options", "end"),
    [
        (ValueError("no tag"), {}, r"\(no tag\); export it again"),
        (
            RuntimeError("Only\nits first line"),
            {"remedy": "download it again"},
            r"\(Only\); download it again",
        ),
        (KeyError(), {}, r"\(KeyError\); export it again"),
    ],
)
def test_an_error_names_file_reason_and_remedy(error, options, end):
    with (
        pytest.raises(InputError, match=rf"^a\.fif: expected EEG .* cannot read it {end}$"),
        readable("a.fif", **options),
    ):
        raise error


def test_an_input_error_stays_what_it_is():
    with pytest.raises(InputError, match=r"^mine$"), readable("a.fif"):
        raise InputError("mine")


def test_warnings_are_logged_once(caplog):
    caplog.set_level(logging.WARNING)
    with readable("a.fif"):
        for _ in range(2):
            warnings.warn("a name\nis odd", RuntimeWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert [record.getMessage() for record in caplog.records] == ["a.fif: a name is odd"]
