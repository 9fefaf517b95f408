"""Outputs appear whole or not at all."""

import pytest

from brain2image.core.atomic import atomic_path
from brain2image.formats.files import read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as scratch:
        scratch.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as scratch:
        scratch.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed(tmp_path):
    for name in (".file.h5.partial-abc", ".file.h5.other.partial-abc"):
        (tmp_path / name).mkdir()
    with atomic_path(tmp_path / "file.h5") as scratch:
        scratch.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"file.h5", ".file.h5.other.partial-abc"}


def test_others_may_read_what_a_library_wrote_for_its_user_alone(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "file") as scratch:
        scratch.touch(mode=0o600)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_and_a_folder_are_replaced(tmp_path):
    for content in ("one", "two"):
        with atomic_path(tmp_path / "folder") as scratch:
            scratch.mkdir()
            (scratch / content).touch()
        write_json(tmp_path / "file.json", {"content": content})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]
    assert read_json(tmp_path / "file.json") == {"content": "two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.json", "folder"]
