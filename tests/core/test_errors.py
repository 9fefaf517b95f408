"""Messages for the user are one line."""

import pytest

from brain2image.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\nof text", "two lines of text"),
        ("\x1b[2J\x07gone\x9b31m", "\ufffd[2J\ufffdgone\ufffd31m"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("\udcff.npy", "\ufffd.npy"),
        ("Übung 1\u202f5.npy", "Übung 1\u202f5.npy"),
    ],
)
def test_a_message_is_one_line_of_text(text, shown):
    assert str(InputError(text)) == shown


def test_a_long_message_keeps_its_beginning_and_its_end():
    message = str(InputError(f"file.tar: expected a name, got {'x' * 25_000_000}; download it again"))
    assert message.startswith("file.tar: expected a name, got xxx")
    assert message.endswith("xxx; download it again")
    assert len(message) < 4100
