"""Encoders are found by file, entry point or registration, and read without being imported."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from brain2image.core import encoder_names
from brain2image.core.encoder_names import (
    Declaration,
    check_encoder,
    encoder_declaration,
    encoder_module,
    find_encoder,
    list_encoders,
    register_encoder,
)
from brain2image.core.errors import InputError

SOURCE = """
WIDTH = 32

class Mine:
    options = ("pretrained",)
    fixed_width = WIDTH
    has_variants = True

ENCODER = Mine
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package beside ours, whose module gives an encoder by an entry point."""

    def install(source, value="their_encoder"):
        (tmp_path / "their_encoder.py").write_text(source)
        point = EntryPoint("mine", value, encoder_names.GROUP)
        monkeypatch.setattr(encoder_names, "entry_points", lambda group: [point])
        monkeypatch.delitem(sys.modules, "their_encoder", raising=False)
        encoder_names._installed.cache_clear()
        encoder_names._read_declaration.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(encoder_names, "REGISTERED", {})
    yield install
    encoder_names._installed.cache_clear()
    encoder_names._read_declaration.cache_clear()


def test_an_installed_encoder_is_read_and_imported(installed):
    installed(SOURCE)
    assert list_encoders() == ["atms", "braindecode:NAME", "cbramod", "mine:NAME", "mlp", "tsconv"]
    assert encoder_declaration("mine:big") == Declaration(("pretrained",), 32, True)
    assert encoder_module("mine:big") == "their_encoder"
    assert "their_encoder" not in sys.modules
    assert find_encoder("mine:big").__name__ == "Mine"
    for name in ("mine", "mine:", "cbramod:", "cbramod:big", "other", ""):
        with pytest.raises(InputError, match=r"expected an encoder, one of atms, .*mine:NAME, .*, got"):
            check_encoder(name)


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        (
            SOURCE.replace("32", "len('x')"),
            "their_encoder",
            "plain value for fixed_width",
        ),
        ("from math import pi as ENCODER", "their_encoder", "expected ENCODER, the class"),
        (SOURCE, "no_such_module", "expected a module no_such_module, got none"),
    ],
)
def test_what_cannot_be_read_is_named(installed, source, value, reason):
    installed(source, value)
    with pytest.raises(InputError, match=reason):
        encoder_declaration("mine:big")


def test_two_encoders_of_one_name_are_refused(installed, monkeypatch):
    installed(SOURCE)
    point = EntryPoint("cbramod", "their_encoder", encoder_names.GROUP)
    monkeypatch.setattr(encoder_names, "entry_points", lambda group: [point])
    with pytest.raises(
        InputError, match=r"'cbramod': expected one module .*encoders\.cbramod and their_encoder"
    ):
        list_encoders()


def test_an_import_must_give_what_was_read(installed):
    installed(SOURCE + "Mine.fixed_width = 64\n")
    with pytest.raises(InputError, match=r"encoder 'mine': expected options, fixed_width, .* class Mine"):
        find_encoder("mine:big")


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(encoder_names, "REGISTERED", {})
    with pytest.raises(InputError, match="got 'cbramod', which is an encoder already"):
        register_encoder("cbramod")

    class Mine:
        options, fixed_width, has_variants = (), None, False

    assert register_encoder("mine")(Mine) is Mine
    assert find_encoder("mine") is Mine
    with pytest.raises(InputError, match="got 'mine'"):
        register_encoder("mine")


def test_the_config_of_a_run_imports_no_torch():
    code = "import sys, brain2image.config as c; c.ModelConfig(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
