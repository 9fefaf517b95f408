"""Lines of a given width."""

import pytest

from brain2image.core.wrapping import wrap_paths


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("to be fetched from a", 10, ["to be", "fetched", "from a"]),
        ("see hf://owner/name/file.pth now", 14, ["see hf://", "owner/name/", "file.pth now"]),
        ("hf://owner/a_name_without_slashes", 10, ["hf://", "owner/", "a_name_without_slashes"]),
        ("a/b fits", 20, ["a/b fits"]),
        ("two\nlines", 20, ["two", "lines"]),
        ("", 5, [""]),
    ],
)
def test_a_text_is_wrapped(text, width, lines):
    assert wrap_paths(text, width).split("\n") == lines
