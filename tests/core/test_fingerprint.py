"""The fingerprint follows imports and ignores what does not change behaviour."""

import shutil
from pathlib import Path

import pytest

from brain2image.core import fingerprint

SCRIPT = '''"""Docstring."""

from brain2image.middle import compute

compute()
'''
MIDDLE = '''"""Doc."""


def compute():
    """Doc."""
    from brain2image import config, lower  # inside a function

    return lower.LIMIT
'''
MODULES = {
    "__init__.py": "VERSION = 1\n",
    "config.py": "KEY = 1\n",
    "middle.py": MIDDLE,
    "lower.py": "LIMIT = 1\n",
    "unused.py": "OTHER = 1\n",
    "rooms/__init__.py": "",
    "rooms/left.py": "from .right import SIDE\n",
    "rooms/right.py": "SIDE = 1\n",
}


@pytest.fixture
def tree(tmp_path):
    """A small package and script."""
    package = tmp_path / "src" / "brain2image"
    for name, text in MODULES.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    return package


def clear_caches():
    for function in vars(fingerprint).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def digest(package: Path) -> str:
    clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "PACKAGE", package)
        return fingerprint.source_fingerprint(package.parents[1] / "script.py")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("middle.py", "return lower.LIMIT", "return lower.LIMIT + 1"),
        ("lower.py", "LIMIT = 1", "LIMIT = 2"),
        ("../../script.py", "compute()\n", "compute(); compute()\n"),
    ],
)
def test_a_changed_line_changes_it(tree, file, old, new):
    before = digest(tree)
    path = tree / file
    path.write_text(path.read_text().replace(old, new, 1) if old else new)
    assert digest(tree) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("middle.py", '"""Doc."""', '"""Another text."""'),
        ("middle.py", "# inside a function", "# elsewhere"),
        ("lower.py", "LIMIT = 1", "\n\nLIMIT  =  (1)  # largest"),
        ("unused.py", "OTHER = 1", "OTHER = 2"),
        ("config.py", "KEY = 1", "KEY = 2"),
        ("__init__.py", "VERSION = 1", "VERSION = 2"),
        ("../../script.py", '"""Docstring."""', ""),
    ],
)
def test_what_does_not_run_does_not_change_it(tree, file, old, new):
    before = digest(tree)
    path = tree / file
    path.write_text(path.read_text().replace(old, new))
    assert digest(tree) == before


def test_relative_imports_are_followed(tree):
    (tree.parents[1] / "script.py").write_text("from brain2image.rooms.left import SIDE\n")
    before = digest(tree)
    (tree / "rooms" / "right.py").write_text("SIDE = 2\n")
    assert digest(tree) != before


def test_a_moved_checkout_has_the_same_fingerprint(tree, tmp_path):
    before = digest(tree)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tree.parent, moved / "src")
    shutil.copy(tmp_path / "script.py", moved / "script.py")
    assert digest(moved / "src" / "brain2image") == before


def test_the_real_scripts_import_what_their_fingerprint_holds():
    script = Path(__file__).parents[2] / "workflow" / "scripts" / "match_images.py"
    clear_caches()
    names = fingerprint.imported_modules(script)
    assert {"brain2image.pairs.matching", "brain2image.formats.files", "brain2image.core.errors"} <= set(
        names
    )
    assert not {"brain2image", "brain2image.training.train", "brain2image.core.jobs"} & set(names)
    assert not any(name.startswith("brain2image.config") for name in names)
