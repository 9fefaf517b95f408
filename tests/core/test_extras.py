"""What the package can do without the extras, and what it says where one of them is missing."""

import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import mne
import numpy as np
import pytest
from helpers.newcomers import CHANNELS, N_AXES, N_FEATURES, write_run
from packaging.requirements import Requirement

import brain2image
from brain2image.__main__ import main
from brain2image.core import extras
from brain2image.core.errors import InputError
from brain2image.sharing.exporting import export_run

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
MODULES = packages_distributions()  # name that is imported -> distributions
EEG = np.random.default_rng(0).standard_normal((2, len(CHANNELS), 200)).astype(np.float32)


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(entries):
    """Names of all distributions that these requirements bring, by what is installed here."""
    found, waiting = set(), [Requirement(entry) for entry in entries]
    while waiting:
        wanted = waiting.pop()
        if (name := normal(wanted.name)) in found or name == "brain2image":
            continue
        found.add(name)
        with suppress(PackageNotFoundError):  # as what is for other systems
            further = map(Requirement, requires(name) or ())
            waiting += [one for one in further if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def test_every_extra_brings_what_it_is_named_for():
    own = {extra: installed_with(entries) for extra, entries in PROJECT["optional-dependencies"].items()}
    for package, extra in extras.EXTRAS.items():
        assert {normal(name) for name in MODULES[package]} & own[extra], package


def test_a_missing_package_is_one_line_with_its_extra(monkeypatch, capsys):
    extras.require("numpy", "anything")
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"run: pip install 'brain2image\[pictures\]'$"):
        brain2image.calibrate(EEG, "run", "pictures", "out")
    with pytest.raises(InputError, match=r"^here: expected the package theirs, got none; .*install theirs$"):
        extras.require("theirs", "here")
    monkeypatch.setitem(sys.modules, "snakemake", None)
    with pytest.raises(
        SystemExit, match=r"^brain2image: run: expected the package snakemake, .*\[workflow\]'$"
    ):
        main(["run"])


SLIM = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
import numpy as np
import brain2image
from brain2image.__main__ import main

for name in brain2image.__all__:
    getattr(brain2image, name)
run, recording, out, shared = sys.argv[2:]
main(["translate", "--run", run, "--eeg", recording, "--out", out])
print(brain2image.load_model(run).predict(np.load(sys.argv[2] + "/../eeg.npy")).sum())
main(["export", run, "--out", shared])
"""


@pytest.mark.slow
def test_a_run_that_was_given_away_is_loaded_and_translated_with_by_the_package_alone(tmp_path):
    """Of all that is installed here, only what `pip install brain2image` brings can be imported."""
    rng = np.random.default_rng(1)
    pattern = rng.standard_normal((N_AXES, len(CHANNELS), 200))
    axes = np.linalg.qr(rng.standard_normal((N_FEATURES, N_AXES)))[0].T
    filters = {"highpass": 0.5, "lowpass": 80.0, "notch": [50.0]}
    folder = tmp_path / "things-01_subj01/flatten"
    run = write_run(folder, pattern, axes, np.zeros(N_FEATURES), people=(), **filters)
    export_run(run, shared := tmp_path / "shared")
    np.save(tmp_path / "eeg.npy", EEG)
    info = mne.create_info(CHANNELS, 200.0, "eeg")
    raw = mne.io.RawArray(1e-6 * rng.standard_normal((len(CHANNELS), 4000)), info, verbose="error")
    raw.set_annotations(mne.Annotations([5.0, 8.0], 0.0, "picture"))
    raw.save(recording := tmp_path / "recording_raw.fif", verbose="error")
    slim = installed_with(PROJECT["dependencies"])
    hidden = {
        module
        for module, names in MODULES.items()
        if not {normal(name) for name in names} & slim and not module.startswith(("brain2image", "_"))
    }
    assert {"snakemake", "lightning", "tensorboard", "open_clip", "torchvision", "braindecode"} <= hidden
    out, again = tmp_path / "out.h5", tmp_path / "again"
    options = map(str, [shared, recording, out, again])
    command = [sys.executable, "-c", SLIM, ",".join(hidden), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    printed = float(re.search(r"^-?[\d.]+(e-?\d+)?$", result.stdout, re.MULTILINE)[0])
    np.testing.assert_allclose(printed, brain2image.load_model(run).predict(EEG).sum(), rtol=1e-4)
    assert out.is_file()
    assert (again / "README.md").is_file()
