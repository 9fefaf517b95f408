"""Only files that have an end are read."""

import os

import pytest

from brain2image.core.errors import InputError
from brain2image.core.regular import check_regular


def test_a_file_has_an_end(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    check_regular(tmp_path / "link", remedy="")
    for name, found in (("pipe", "a named pipe"), ("endless", "a device"), (".", "a folder")):
        with pytest.raises(InputError, match=f"expected a file, got {found}; mend it"):
            check_regular(tmp_path / name, remedy="mend it")
    for name in ("missing", "null\0byte"):
        with pytest.raises(InputError, match="no such file; mend it"):
            check_regular(tmp_path / name, remedy="mend it")
