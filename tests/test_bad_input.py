"""Every reader on bad files: one line with file, expectation, finding and remedy, and nothing written."""

import os
import pickle
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import bad_alljoined, bad_models, bad_nsd, bad_tables, bad_things
from helpers.bad_things import EPOCHS, TRAINING, content
from helpers.damage import Payload, cut, put, remove, replace
from helpers.small_releases import READERS

from brain2image.core.errors import InputError
from brain2image.formats import unpickling

# ``file: expected ..., got ...; remedy``, or, of what is missing or cannot be read at all, the short forms.
PROMISE = r"(expected .+(got|but) .+|no such .+|cannot read this .+ \(.+\)); .+"
EMPTY, PAGE = b"", b"<!DOCTYPE html><html>Not found</html>" * 30
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture(autouse=True)
def small_arrays_are_large(monkeypatch):
    """Arrays stay in the file, as those of a real release do."""
    monkeypatch.setattr(unpickling, "LAZY_BYTES", 2**10)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """The folder of the whole release of a kind, written when it is first asked for."""
    folders = {}

    def folder(kind):
        write = READERS[kind].write
        if write not in folders:
            folders[write] = tmp_path_factory.mktemp("release") / "release"
            folders[write].mkdir()
            write(folders[write])
        return folders[write]

    return folder


@pytest.fixture
def release(valid, tmp_path):
    """A copy that may be damaged."""

    def copy(kind):
        return Path(shutil.copytree(valid(kind), tmp_path / "release"))

    return copy


@pytest.mark.parametrize("kind", READERS)
def test_the_whole_release_is_read(valid, tmp_path, kind):
    READERS[kind].read(valid(kind), tmp_path / "out" / "out")


def assert_refused(kind, root, message):
    """Refused with the message, in the promised form, beside an older output that stays."""
    out = root.parent / "out" / "out"
    out.parent.mkdir()
    out.write_bytes(b"older")
    with pytest.raises(InputError) as error:
        READERS[kind].read(root, out)
    text = str(error.value)
    assert re.search(message, text), text
    assert re.fullmatch(rf"{re.escape(str(root))}\S*: .*{PROMISE}", text), text
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert out.read_bytes() == b"older"
    assert not (root.parent / "ran").exists()


# ---- what can happen to any file

ACCIDENTS = {
    "empty": lambda name: put(name, EMPTY),
    "a web page": lambda name: put(name, PAGE),
    "a Git LFS pointer": lambda name: put(name, POINTER),
    "cut": cut,
    "random bytes": lambda name: put(name, np.random.default_rng(0).bytes(3000)),
    "missing": remove,
    "a named pipe": lambda name: replace(name, os.mkfifo),  # who opens it waits for ever
}


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, reader in READERS.items() for name in reader.files]
)
def test_accidents(release, kind, name, accident):
    root = release(kind)
    ACCIDENTS[accident](name)(root)
    # of the training tars nobody can say which is missing: their number depends on the subject
    is_named = (name, accident) != ("subj01/train/0.tar", "missing")
    assert_refused(kind, root, re.escape(Path(name).name) if is_named else r"subj01/train: expected tars")


# ---- what only happens to one kind

CASES = bad_things.CASES | bad_alljoined.CASES | bad_nsd.CASES | bad_models.CASES | bad_tables.CASES


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in CASES.items() for case in cases])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast", "ignore:invalid value encountered in cast")
def test_bad_input(release, kind, case):
    damage, message = CASES[kind][case]
    root = release(kind)
    damage(root)
    assert_refused(kind, root, message)


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "release")))
    assert (tmp_path / "ran").exists()


# ---- what looks odd and is right


def reorder_raw(root):
    order = np.random.default_rng(0).permutation(63)
    value = np.load(root / TRAINING, allow_pickle=True).item()
    value["raw_eeg_data"] = value["raw_eeg_data"][[*order, 63]]
    value["ch_names"] = [value["ch_names"][row] for row in [*order, 63]]
    np.save(root / TRAINING, value)


def reorder_epochs(new):
    order = np.random.default_rng(0).permutation(63)
    new.channels = [new.channels[row] for row in order]
    new.eeg = {name: np.ascontiguousarray(eeg[:, :, order]) for name, eeg in new.eeg.items()}


@pytest.mark.parametrize("kind", ["raw", *EPOCHS])
def test_reordered_channels_give_the_same_trials(valid, release, tmp_path, kind):
    root = release(kind)
    reorder_raw(root) if kind == "raw" else content(reorder_epochs)(kind)(root)
    found = []
    for folder, out in ((valid(kind), tmp_path / "before.h5"), (root, tmp_path / "after.h5")):
        READERS[kind].read(folder, out)
        with h5py.File(out) as file:
            found.append(file["eeg"][:])
    np.testing.assert_array_equal(*found)
