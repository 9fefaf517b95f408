"""The public names of the package: exactly these, imported when they are used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import brain2image

NAMES = {
    "AlignmentDataset",
    "CBraMod",
    "calibrate",
    "list_datasets",
    "list_encoders",
    "load_model",
    "match_one_to_one",
    "read_ridge",
    "retrieval_scores",
    "translate",
}


def test_these_are_the_public_names():
    assert set(brain2image.__all__) == NAMES | {"__version__"}
    assert dir(brain2image) == sorted(brain2image.__all__)
    space = {}
    exec("from brain2image import *", space)
    assert set(space) >= set(brain2image.__all__)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_what_its_module_defines(name):
    thing = getattr(brain2image, name)
    assert thing.__name__ == name
    assert getattr(importlib.import_module(thing.__module__), name) is thing
    assert thing.__doc__


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(brain2image.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = {f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    found = {f"{thing.__module__}.{thing.__name__}" for thing in map(brain2image.__getattr__, NAMES)}
    assert imports == found
    assert Path(brain2image.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", ["nothing", "calibrates", "_nothing"])
def test_another_name_is_a_plain_attribute_error(name):
    with pytest.raises(AttributeError, match=f"module 'brain2image' has no attribute '{name}'"):
        getattr(brain2image, name)


def test_the_package_alone_imports_nothing_heavy():
    calls = "dir(brain2image); brain2image.list_encoders(); brain2image.list_datasets()"
    code = f"import brain2image, sys; {calls}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "mne", "numpy", "pandas", "scipy"} & set(result.stdout.split())
