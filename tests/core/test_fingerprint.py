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
    from brain2image.core.errors import InputError

    return lower.LIMIT
'''
MODULES = {
    "__init__.py": "VERSION = 1\n",
    "config.py": "KEY = 1\n",
    "core/__init__.py": "",
    "core/errors.py": "LONGEST = 1\n",
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


def digest(package: Path, *roots: str | Path) -> str:
    """Fingerprint of the small script, with further roots."""
    clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "PACKAGE", package)
        return fingerprint.source_fingerprint(package.parents[1] / "script.py", *roots)


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
        ("core/errors.py", "LONGEST = 1", "LONGEST = 2"),
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


def foreign_package(folder: Path) -> Path:
    """A package of somebody else whose module imports one of its own and one of the project."""
    package = folder / "elsewhere_tools"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "eeg.py").write_text("from brain2image.unused import OTHER\nfrom .rates import RATE\n")
    (package / "rates.py").write_text("RATE = 1\n")
    return package


ROOTS = {
    "a name": "brain2image.rooms.left",
    "a file elsewhere": "reader.py",
    "another package": "elsewhere_tools.eeg",
}


@pytest.mark.parametrize(
    ("root", "changed"),
    [
        ("a name", ["src/brain2image/rooms/left.py", "src/brain2image/rooms/right.py"]),
        ("a file elsewhere", ["reader.py", "src/brain2image/unused.py"]),
        (
            "another package",
            ["elsewhere_tools/eeg.py", "elsewhere_tools/rates.py", "src/brain2image/unused.py"],
        ),
    ],
)
def test_what_is_imported_by_name_counts_too(tree, tmp_path, monkeypatch, root, changed):
    """A data set's reader or an encoder, of the package or not, with all that it imports."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    foreign_package(tmp_path)
    (tmp_path / "reader.py").write_text("from brain2image import unused\n")
    alone = digest(tree)
    found = [digest(tree, ROOTS[root])]
    for file in changed:
        (tmp_path / file).write_text((tmp_path / file).read_text() + "CHANGED = True\n")
        found.append(digest(tree, ROOTS[root]))
    assert len({alone, *found}) == len(changed) + 2
    assert digest(tree) == alone


@pytest.mark.parametrize("root", ["brain2image.missing", "missing_package", "sys"])
def test_a_root_that_is_no_module_is_refused(tree, root):
    with pytest.raises(ValueError, match=f"{root}: expected a module that is written in Python"):
        digest(tree, root)


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
    assert {"brain2image.pairs.matching", "brain2image.formats.files"} <= set(names)
    assert not {"brain2image", "brain2image.training.train"} & set(names)
    assert not any(name.startswith(("brain2image.config", "brain2image.core")) for name in names)
