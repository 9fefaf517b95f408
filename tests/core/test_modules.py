"""Modules that are imported by name: from here, and from a file of the user's."""

import pytest

from brain2image.core import errors
from brain2image.core.modules import load_module


def test_a_name_and_a_file_are_imported_once(tmp_path):
    assert load_module("brain2image.core.errors") is errors
    (tmp_path / "own.py").write_text("VALUE = 3\n")
    module = load_module(str(tmp_path / "own.py"))
    assert module.VALUE == 3
    assert load_module(str(tmp_path / "own.py")) is module


def test_a_missing_file_is_named():
    with pytest.raises(errors.InputError, match=r"nowhere\.py: expected a Python file"):
        load_module("nowhere.py")
