"""The arguments of the commands that take EEG."""

import argparse

import pytest

from brain2image.commands.eeg_commands import add_calibrate, add_translate

EEG = ["--run", "run", "--eeg", "a.fif", "--out", "out"]


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_translate(commands)
    add_calibrate(commands)
    return parser


def test_names_and_preparations_are_read(parser):
    options = parser.parse_args(["translate", *EEG, "--rename", "A=B=Fz", "2=Cz"])
    assert options.rename == [("A=B", "Fz"), ("2", "Cz")]
    options = parser.parse_args(["calibrate", *EEG, "--pictures", "p", "--preprocess", "{mean: [0, 0, 0]}"])
    assert options.preprocess == {"mean": [0, 0, 0]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["translate", *EEG, "--derivatives", "folder"], "--derivatives: not allowed with argument --out"),
        (["translate", *EEG[:4]], "one of the arguments --out --derivatives is required"),
        (["translate", *EEG, "--rename", "Fz"], "expected OLD=NEW, got 'Fz'"),
        (["calibrate", *EEG, "--pictures", "p", "--preprocess", "{"], "expected a value of clip.preprocess"),
    ],
)
def test_a_mistake_is_named(parser, capsys, given, message):
    with pytest.raises(SystemExit):
        parser.parse_args(given)
    assert message in capsys.readouterr().err
