"""Every reader on bad files: one line with file, expectation, finding and remedy, and nothing written."""

import io
import json
import os
import pickle
import re
import shutil
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from small_releases import (
    N_FEATURES,
    N_VOXELS,
    READERS,
    write_checkpoint,
    write_projection,
    write_ridge,
)
from test_epochs import SUBJECT as SUB
from test_epochs import subject
from test_epochs import write as write_epochs
from test_mindeye1 import draw_trials, write_subject
from test_nsd import add_member, write_betas, write_shared, write_tar
from test_things import DISK_CHANNELS, LEAD

from brain2image import unpickling
from brain2image.errors import InputError
from brain2image.nsd.fmri import read_tar
from brain2image.nsd.images import PIXELS
from brain2image.releases import THINGS_EEG
from brain2image.synthetic.epochs import write_authors
from brain2image.things.raw import CHANNELS

# ``file: expected ..., got ...; remedy``, or, of what is missing or cannot be read at all, the short forms.
PROMISE = r"(expected .+(got|but) .+|no such .+|cannot read this .+ \(.+\)); .+"
EMPTY, PAGE = b"", b"<!DOCTYPE html><html>Not found</html>" * 30
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


class Payload:
    """Makes a folder ``ran`` when it is unpickled."""

    def __init__(self, root):
        self.path = root.parent / "ran"

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


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


def put(name, content):
    return lambda root: (root / name).write_bytes(content)


def cut(name, share=0.3):
    def damage(root):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * share)])

    return damage


def remove(name):
    return lambda root: (root / name).unlink()


ACCIDENTS = {
    "empty": lambda name: put(name, EMPTY),
    "a web page": lambda name: put(name, PAGE),
    "a Git LFS pointer": lambda name: put(name, POINTER),
    "cut": cut,
    "missing": remove,
}


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, reader in READERS.items() for name in reader.files]
)
def test_accidents(release, kind, name, accident):
    root = release(kind)
    ACCIDENTS[accident](name)(root)
    is_named = (name, accident) != ("subj01/train/0.tar", "missing")
    assert_refused(kind, root, re.escape(Path(name).name) if is_named else r"subj01/train: expected tars")


# ---- THINGS: pictures


def edit_lists(**change):
    def damage(root):
        lists = np.load(root / "image_metadata.npy", allow_pickle=True).item() | change
        kept = {key: value for key, value in lists.items() if value is not None}
        np.save(root / "image_metadata.npy", kept)

    return damage


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


def save_npy(name, make):
    """Put what ``make(root)`` returns into an ``.npy`` file."""
    return lambda root: np.save(root / name, make(root), allow_pickle=True)


LISTS, PICTURE = "image_metadata.npy", "training_images/00001_a/a_01b.jpg"
THINGS_IMAGES = {
    "picture renamed": (
        rename(PICTURE, "training_images/00001_a/a_13s.jpg"),
        r"training_images: expected 00001_a/a_01b.jpg as its picture 0 .*got 00001_a/a_13s",
    ),
    "picture missing": (
        remove("test_images/00003_c/c_01b.jpg"),
        r"test_images: expected 00003_c/c_01b.jpg .*\(3 in .*got no more pictures \(2 on disk\)",
    ),
    "picture too many": (
        lambda root: Image.new("L", (4, 4)).save(root / "test_images/00003_c/c_02b.jpg"),
        r"test_images: expected no more pictures as its picture 3 .*got 00003_c/c_02b.jpg",
    ),
    "folder missing": (rename("test_images", "elsewhere"), r"test_images: no such folder"),
    "list missing": (edit_lists(test_img_files=None), r"npy: expected a dict with the lists test_img_conc"),
    "lists of two lengths": (edit_lists(test_img_files=["one"]), r"npy: .*of one length, got 3 and 1"),
    "picture listed twice": (
        edit_lists(train_img_files=["a_01b.jpg", "a_01b.jpg", "c_01b.jpg"]),
        r"training_images: expected 00002_b/a_01b.jpg as its picture 1 .*got 00002_b/b_01b.jpg",
    ),
    "list is a number": (edit_lists(train_img_files=3), r"npy: expected .*train_img_files \(int\)"),
    "array": (save_npy(LISTS, lambda root: np.arange(3)), r"npy: expected a dict .*got ndarray"),
    "code": (
        save_npy(LISTS, lambda root: {"train_img_files": Payload(root)}),
        r"npy: .*it would call \w+\.mkdir",
    ),
}
THINGS_PICTURE = {
    "no picture": (put(PICTURE, b"no picture"), r"a_01b\.jpg: cannot read this picture"),
    "cut by a little": (cut(PICTURE, 0.9), r"a_01b\.jpg: cannot read this picture"),
}

# ---- THINGS: raw recordings

TRAINING = "raw_eeg_training.npy"
FIRST, N_SAMPLES = LEAD, 44_000  # first event; samples of five parts


def raw(change):
    """Change the dict of the training file, whose pictures are all number 1."""

    def damage(root):
        content = np.load(root / TRAINING, allow_pickle=True).item()
        stim = content["raw_eeg_data"][63]
        stim[stim != 0] = 1
        np.save(root / TRAINING, change(content, root) or content)

    return damage


def raw_key(**values):
    return raw(lambda content, root: content.update(values))


def raw_data(change):
    return raw(lambda content, root: content.update(raw_eeg_data=change(content["raw_eeg_data"])))


def raw_sample(row, column, value):
    return raw(lambda content, root: content["raw_eeg_data"].__setitem__((row, column), value))


def raw_names(change):
    return raw(lambda content, root: content.update(ch_names=change(content["ch_names"])))


def exchange(name, other):
    return lambda names: [other if channel == name else channel for channel in names]


def scaled_eeg(factor):
    return lambda data: np.vstack([data[:63] * factor, data[63:]])


RAW = {
    "key missing": (
        raw(lambda content, root: content.pop("sfreq") and None),
        r"expected a dict with raw_eeg_data, ch_names and sfreq, got raw_eeg",
    ),
    "rate": (raw_key(sfreq=250), r"expected float64 \(64, n_samples\) at 1000 Hz.*at 250 Hz"),
    "rates": (raw_key(sfreq=np.ones(2)), r"at 1000 Hz.*at \[1\. 1\.\] Hz"),
    "channel missing": (raw_data(lambda data: data[:63]), r"got float64 \(63, 44000\) at 1000 Hz and 64"),
    "channel added": (
        raw(
            lambda c, _: (
                c | {"raw_eeg_data": c["raw_eeg_data"][[0, *range(64)]], "ch_names": ["X", *c["ch_names"]]}
            )
        ),
        r"got float64 \(65, 44000\) at 1000 Hz and 65 names",
    ),
    "channel renamed": (raw_names(exchange("Cz", "Fz")), r"missing: Cz; extra: Fz"),
    "channel twice": (raw_names(exchange("Cz", "Pz")), r"missing: Cz; extra: Pz, Pz"),
    "events not last": (raw_names(lambda names: names[::-1]), r"'stim' as the last row, got 'Fp1'"),
    "names are a number": (raw_names(lambda names: 3), r"got float64 .* and 0 names"),
    "float32": (raw_data(lambda data: data.astype(np.float32)), r"got float32 \(64, 44000\)"),
    "one axis": (raw_data(lambda data: data[0]), r"got float64 \(44000,\)"),
    "list": (raw_data(lambda data: data[:, :9].tolist()), r"got list"),
    "code too large": (
        raw_sample(63, FIRST, 31),
        r"event codes 1 to 30 or 99999, got 31 at sample 2500 \(1 such",
    ),
    "code negative": (raw_sample(63, FIRST, -2), r"got -2 at sample 2500"),
    "code broken": (raw_sample(63, FIRST, 1.5), r"got 1.5 at sample 2500"),
    "code NaN": (raw_sample(63, FIRST, np.nan), r"got nan at sample 2500"),
    "event missing": (raw_sample(63, FIRST, 0), r"expected a multiple of 100 events .*got 99;"),
    "no events": (raw_sample(63, slice(None), 0), r"expected a multiple of 100 events .*got 0;"),
    "recording cut": (raw_data(lambda data: data[:, : FIRST + 2000]), r"multiple of 100 events .*got 10;"),
    "event moved": (
        raw(
            lambda content, root: content["raw_eeg_data"][63].__setitem__([FIRST + 400, FIRST + 500], [0, 1])
        ),
        r"expected about 200 ms .*got 300 ms after picture 2 of sequence 1",
    ),
    "another rate": (
        raw_data(lambda data: data[:, np.arange(N_SAMPLES) % 16 != 7]),
        r"expected a median of 200 ms between pictures, got 187",
    ),
    "infinity": (raw_sample(DISK_CHANNELS.index("Oz"), 77, np.inf), r"NaN or infinity in Oz"),
    "microvolts": (raw_data(scaled_eeg(1e6)), r"expected EEG in V .*got 7.07"),
    "silence": (raw_data(scaled_eeg(0)), r"expected EEG in V .*got 0;"),
    "preprocessed": (
        save_npy(TRAINING, lambda root: np.zeros((2, 4, 63, 250), np.float32)),
        r"expected a dict .*got none \(ndarray\).*raw release",
    ),
    "code": (
        raw_key(highpass=None) and raw(lambda c, root: c | {"highpass": Payload(root)}),
        r"it would call \w+\.mkdir",
    ),
    "code in an array": (
        save_npy(TRAINING, lambda root: np.array([Payload(root)], object)),
        r"it would call \w+\.mkdir",
    ),
}

# ---- THINGS: preprocessed epochs

EPOCHS = ("ubp", "nice", "neurobridge")


def epochs_file(release, number=0):
    return THINGS_EEG[release][number].format(sub=SUB)


def content(change):
    """Write the release again with other content."""

    def damage(release):
        def write(root):
            new = subject()
            change(new)
            write_epochs(root, release, new)

        return write

    return damage


def training(change):
    return content(lambda new: new.eeg.update(train=change(new.eeg["train"])))


def channels(change):
    return content(lambda new: setattr(new, "channels", change(new.channels)))


def stored_as(dtype):
    return content(lambda new: new.dtypes.update(dict.fromkeys(new.dtypes, dtype)))


def sessions(value):
    return content(lambda new: new.sessions.update(train=np.where(np.eye(12, 4), value, 0)))


def names(change):
    return content(lambda new: new.pictures.update(train=change(new.pictures["train"])))


def sample(value):
    return content(lambda new: new.eeg["train"].__setitem__((7, 2, 40, 100), value))


def exchanged(new):
    for name in ("eeg", "sessions", "pictures"):
        table = getattr(new, name)
        setattr(new, name, {"train": table["test"], "test": table["train"]})


def replaced(make):
    """Another object in the training file, in the container of the release."""

    def damage(release):
        def write(root):
            path = root / epochs_file(release)
            SAVE[release](make(root, path), path)

        return write

    return damage


def save_pickle(value, path):
    path.write_bytes(pickle.dumps(value))


SAVE = {"ubp": torch.save, "nice": save_pickle, "neurobridge": lambda value, path: np.save(path, value)}


def without(key):
    def change(root, path):
        value = torch.load(path, weights_only=False)
        return {name: entry for name, entry in value.items() if name != key}

    return replaced(change)


def info(**values):
    def write(root):
        value = json.loads((root / "info.json").read_text()) | values
        kept = {key: entry for key, entry in value.items() if entry is not None}
        (root / "info.json").write_text(json.dumps(kept))

    return lambda release: write


def authors(release):
    def write(root):
        write_authors(root / epochs_file("nice"), np.zeros((12, 4, 17, 100)), channels=CHANNELS[-17:])

    return write


# what is wrong, in which releases, how, and the message
EPOCHS_CASES = [
    (
        "volts",
        EPOCHS,
        training(lambda eeg: eeg * 1e-5),
        "whitened EEG .*volts, written without whitening.* use the raw release",
    ),
    ("volts rounded", ["ubp"], training(lambda eeg: eeg * 1e-5), "rounded by float16 to steps of 0.06 uV"),
    ("microvolts", EPOCHS, training(lambda eeg: eeg * 20), "expected EEG in whitened .* 0.2 to 5, got 20"),
    ("silence", EPOCHS, training(lambda eeg: eeg * 0), "got 0;"),
    ("NaN", EPOCHS, sample(np.nan), "expected finite EEG, got NaN or infinity in picture 7"),
    ("infinity", EPOCHS, sample(np.inf), "expected finite EEG, got NaN or infinity in picture 7"),
    ("overflow", ["nice"], sample(1e300), "expected finite EEG"),
    ("integers", EPOCHS, stored_as(np.int16), r"expected float .*got int16 \(12, 4, 63, 250\)"),
    ("complex", EPOCHS, stored_as(np.complex64), "got complex64"),
    ("200 Hz", EPOCHS, training(lambda eeg: eeg[..., :200]), r"got float\d\d \(12, 4, 63, 200\)"),
    ("62 channels", EPOCHS, training(lambda eeg: eeg[:, :, :62]), r"got float\d\d \(12, 4, 62, 250\)"),
    ("no trials", ["ubp", "nice"], training(lambda eeg: eeg[:, :0]), r"got float\d\d \(12, 0, 63, 250\)"),
    ("no repetitions", ["nice"], training(lambda eeg: eeg[:, 0]), r"got float64 \(12, 63, 250\)"),
    (
        "pictures missing",
        ["nice", "neurobridge"],
        training(lambda eeg: eeg[:10]),
        "expected 12 pictures, .*got 10; are training and test file exchanged, or pict",
    ),
    (
        "a name missing",
        EPOCHS,
        channels(lambda names: names[:-1]),
        r"got 62 names \(missing: \w+; extra: none",
    ),
    ("a name more", EPOCHS, channels(lambda names: [*names, "stim"]), r"got 64 names .*extra: stim\)"),
    ("a name changed", EPOCHS, channels(lambda names: ["Fz", *names[1:]]), r"missing: \w+; extra: Fz\)"),
    (
        "a name twice",
        EPOCHS,
        channels(lambda names: [names[1], *names[1:]]),
        r"missing: \w+; extra: (\w+), \1\)",
    ),
    ("exchanged", ["ubp"], content(exchanged), "expected 12 pictures, .*got 5; are training and test file"),
    (
        "session 4",
        ["ubp"],
        sessions(4),
        r"expected sessions \(12, 4\) from 0 to 3, got \(12, 4\) with 0.0, 4.0",
    ),
    ("session -1", ["ubp"], sessions(-1), "from 0 to 3, got .* with -1.0, 0.0"),
    ("session 0.5", ["ubp"], sessions(0.5), "with 0.0, 0.5"),
    ("session NaN", ["ubp"], sessions(np.nan), "with 0.0, nan"),
    (
        "pictures reordered",
        ["ubp"],
        names(lambda names: [names[1], names[0], *names[2:]]),
        r"x_01b.jpg as its picture 0, got .*x_02b",
    ),
    (
        "picture twice",
        ["ubp"],
        names(lambda names: [*names[:5], names[4], *names[6:]]),
        r"x_02b.jpg as its picture 5, got .*_01b",
    ),
    (
        "pictures renamed",
        ["ubp"],
        names(lambda names: [name.replace("b.jpg", "s.jpg") for name in names]),
        r"\(12 pictures differ",
    ),
    ("a list", EPOCHS, replaced(lambda *_: [1, 2]), r"got no key \(list\)|\w+, .*got \(2,\)"),
    ("other keys", EPOCHS, replaced(lambda *_: {"x": 1}), r"expected an array, or a dict .*got x \(dict\)"),
    (
        "code",
        EPOCHS,
        replaced(lambda root, _: {"eeg": np.zeros(3), "ch_names": Payload(root)}),
        r"it would call \w+\.mkdir",
    ),
    (
        "code in an array",
        EPOCHS,
        replaced(lambda root, _: np.array([Payload(root)], object)),
        r"it would call \w+\.mkdir",
    ),
    ("torch tensors", ["ubp"], replaced(lambda *_: {"eeg": torch.zeros(2)}), "NumPy arrays .* but it"),
    ("no ch_names", ["ubp"], without("ch_names"), "expected the key 'ch_names', got eeg, label"),
    ("no img", ["ubp"], without("img"), "expected the key 'img'"),
    ("no session", ["ubp"], without("session"), "expected the key 'session'"),
    ("no eeg", ["ubp"], without("eeg"), "expected an array, or a dict .*got label, img"),
    ("no names", ["nice"], replaced(lambda *_: {"preprocessed_eeg_data": [1.0]}), "the key 'ch_names'"),
    (
        "ragged lists",
        ["nice"],
        replaced(lambda *_: {"preprocessed_eeg_data": [[1.0], []], "ch_names": []}),
        r"expected float .*got list \(\)",
    ),
    (
        "the authors'",
        ["nice"],
        authors,
        "17 channels at 100 Hz, from which 63 channels at 200 Hz .*their raw",
    ),
    ("raw", ["nice"], replaced(lambda *_: {"raw_eeg_data": 1}), "got a raw recording; put it into"),
    (
        "older script",
        ["neurobridge"],
        replaced(lambda *_: {"data": 1}),
        "older preprocess.py; run its preproc",
    ),
    (
        "four axes",
        ["neurobridge"],
        replaced(lambda *_: np.zeros((12, 4, 63, 250))),
        r"expected an array \(n_concepts, .*got \(12, 4, 63,",
    ),
    (
        "Fortran order",
        ["neurobridge"],
        replaced(lambda _, path: np.asfortranarray(np.load(path))),
        "rows of its largest array do not stand together",
    ),
    ("no JSON", ["neurobridge"], lambda _: put("info.json", b"{"), r"info\.json: cannot read this JSON file"),
    (
        "info a list",
        ["neurobridge"],
        lambda _: put("info.json", b"[]"),
        r"info\.json: expected ch_n.*got list",
    ),
    ("info without names", ["neurobridge"], info(ch_names=None), r"info\.json: expected ch_names.*got times"),
    ("names no list", ["neurobridge"], info(ch_names=3), r"got 0 names"),
    (
        "info at 200 Hz",
        ["neurobridge"],
        info(sfreq=200.0),
        r"info\.json: expected 250 Hz, got 200.0; make it",
    ),
]

# ---- HDF5 files


def write_hdf5(name, key, array):
    """Put one dataset in place of a file; a dict gives the options of an empty one."""

    def damage(root):
        options = array if isinstance(array, dict) else {"data": array}
        with h5py.File(root / name, "w") as file:
            file.create_dataset(key, **options)

    return damage


def edit_hdf5(name, change):
    def damage(root):
        with h5py.File(root / name, "r+") as file:
            change(file)

    return damage


def edit_dataset(name, key, change):
    """Put another array in place of a dataset, its file otherwise as it was."""

    def exchange(file):
        array = change(file[key][()])
        del file[key]
        file[key] = array

    return edit_hdf5(name, exchange)


def overwrite(name, key):
    """Overwrite the middle of a dataset's own header with zeros."""

    def damage(root):
        with h5py.File(root / name) as file:
            place = h5py.h5o.get_info(file[key].id).addr
        with (root / name).open("r+b") as file:
            file.seek(place)
            file.write(bytes(64))

    return damage


# ---- NSD: MindEye2's lists and pixels


def indices(array):
    return write_hdf5("indices.hdf5", "subj01", array)


def flags(array):
    return save_npy("shared1000.npy", lambda root: array)


ODD_LISTS = {
    "ids of other subjects": (
        write_hdf5("indices.hdf5", "subject1", [1]),
        r"indices\.hdf5: expected .*subj01",
    ),
    "ids no whole session": (indices(np.arange(751)), r"indices\.hdf5: .*whole sessions of 750.*got 751"),
    "ids outdated": (indices(np.zeros(27750, int)), r"indices\.hdf5: .*got 27750: .*outdated release"),
    "ids too many": (indices(np.zeros(30750, int)), r"indices\.hdf5: expected 30000 .*got 30750"),
    "id too large": (indices(np.arange(72251, 73001)), r"indices\.hdf5: expected one integer .*to 73000;"),
    "id negative": (indices(np.arange(-1, 749)), r"indices\.hdf5: .*from -1 to 748"),
    "ids broken": (indices(np.full(750, 0.5)), r"indices\.hdf5: expected one integer"),
    "ids NaN": (indices(np.full(750, np.nan)), r"indices\.hdf5: expected one integer .*to nan;"),
    "ids in a table": (indices(np.zeros((750, 2), int)), r"indices\.hdf5: .*got int64 \(750, 2\)"),
    "ids as text": (indices(np.full(750, b"1")), r"indices\.hdf5: expected one integer .*got \|S1 \(750,\)"),
    "ids overwritten": (overwrite("indices.hdf5", "subj01"), r"indices\.hdf5: cannot read this HDF5 file"),
    "flags from 1": (
        lambda root: write_shared(root / "shared1000.npy", 2951),
        r"shared1000\.npy: expected the first shared picture at 2950, .*got 2951 \(off by one",
    ),
    "flags from 0": (lambda root: write_shared(root / "shared1000.npy", 0), r"at 2950, .*got 0;"),
    "no flags": (flags(np.zeros(73000, bool)), r"at 2950, .*got None"),
    "ids for flags": (flags(np.arange(1000)), r"expected 73000 flags .*int64 \(1000,\)"),
    "code": (
        save_npy("shared1000.npy", lambda root: np.array([Payload(root)], object)),
        r"shared1000\.npy: cannot read this \.npy file \(Object arrays",
    ),
    "archive for flags": (
        lambda root: np.savez((root / "shared1000.npy").open("wb"), np.zeros(73000, bool)),
        r"shared1000\.npy: cannot read this \.npy file \(the magic string",
    ),
}
PIXEL_FILES = {
    "other dataset": (
        write_hdf5(PIXELS, "imgBrick", [1]),
        r"float16\.hdf5: expected .*'images', got imgBrick",
    ),
    "other axes": (
        write_hdf5(PIXELS, "images", {"shape": (73000, 224, 224, 3), "dtype": "f2", "chunks": True}),
        r"float16 \(73000, 3, 224, 224\), got float16 \(73000, 224, 224, 3\)",
    ),
    "bytes": (
        write_hdf5(PIXELS, "images", {"shape": (73000, 3, 224, 224), "dtype": "u1", "chunks": True}),
        r"got uint8",
    ),
    "overwritten": (overwrite(PIXELS, "images"), r"float16\.hdf5: cannot read this HDF5 file"),
}


def pixel(value):
    return edit_hdf5(PIXELS, lambda file: file["images"].__setitem__((7, 1, 2, 3), value))


NSD_PICTURE = PIXEL_FILES | {
    f"a pixel {value}": (pixel(value), r"float16\.hdf5: expected values from 0 to 1, .* in row 7")
    for value in (-0.2, 1.2, 255, np.nan)
}

# ---- NSD: MindEye2's betas and behaviour

TAR, TEST_TAR = "subj01/train/0.tar", "subj01/new_test/0.tar"


def rows_of(name, change):
    """Change the (n_rows, 17) behaviour of a tar."""

    def damage(root):
        rows = read_tar(root / name)
        write_tar(root / name, change(rows)[:, None])

    return damage


def edit_row(column, value, name=TAR):
    def change(rows):
        rows[np.argmin(rows[:, 5]), column] = value
        return rows

    return rows_of(name, change)


def add_to_tar(name, array):
    def damage(root):
        with tarfile.open(root / TAR, "a") as tar:
            add_member(tar, name, array)

    return damage


def add_code(root):
    with tarfile.open(root / TAR, "a") as tar:
        add_member(tar, "x.behav.npy", np.array([Payload(root)], object))


def cut_between_members(name):
    """Tar has no length: where it ends between two members, nothing is broken."""

    def damage(root):
        with tarfile.open(root / name) as tar:
            place = tar.getmembers()[len(tar.getmembers()) // 2].offset
        os.truncate(root / name, place)

    return damage


def add_link(root):
    with tarfile.open(root / TAR, "a") as tar:
        member = tarfile.TarInfo("link.behav.npy")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)


def betas(change):
    def damage(root):
        with h5py.File(root / "betas.hdf5") as file:
            array = file["betas"][:]
        write_betas(root / "betas.hdf5", change(array))

    return damage


def empty_betas(n_trials, n_voxels):
    return write_hdf5("betas.hdf5", "betas", {"shape": (n_trials, n_voxels), "dtype": "f4", "chunks": True})


def move_to_test(root):
    """One trial of a picture that is not shared goes to new_test/, which is for shared ones."""
    rows, test = read_tar(root / TAR), read_tar(root / TEST_TAR)
    write_tar(root / TEST_TAR, np.concatenate([test, rows[:1]])[:, None])
    write_tar(root / TAR, rows[1:, None])


def count_from_1(root):
    """The ids of both lists, and so the flags of the table, lie one too high."""
    for name in (TAR, TEST_TAR):
        rows = read_tar(root / name)
        rows[:, 0] += 1
        write_tar(root / name, rows[:, None])
    edit_dataset("indices.hdf5", "subj01", lambda ids: ids + 1)(root)


FMRI = ODD_LISTS | {
    "ids of other subjects": (
        write_hdf5("indices.hdf5", "subj02", np.arange(750)),
        r"indices\.hdf5: expected a dataset 'subj01', got subj02",
    ),
    "outdated test": (
        rename("subj01/new_test", "subj01/test"),
        r"new_test/0\.tar: no such file; test/ is outdated .*download subj01/new_test/0\.tar",
    ),
    "training tar is the test's": (
        lambda root: shutil.copy(root / TEST_TAR, root / TAR),
        r"every one of the 750 rows of the betas once, got \d+ rows without a trial, \d+ with several",
    ),
    "row past the end": (edit_row(5, 750), r"got 1 rows without a trial, 0 with several, 1 trials outside"),
    "row negative": (edit_row(5, -1), r"got 1 rows without a trial, 0 with several, 1 trials outside"),
    "row broken": (edit_row(5, 10.5), r"expected every one of the 750 rows"),
    "row NaN": (edit_row(5, np.nan), r"sample\d+\.behav\.npy: expected a picture, a session, a trial .*NaN"),
    "picture too large": (edit_row(0, 73000), r"behav\.npy: expected a picture from 0 to 72999, got 73000"),
    "picture of another trial": (
        edit_row(0, 1),
        r"expected the picture of COCO_73k_subj_indices.hdf5, \d+, in trial \d+, got 1 \(1 ",
    ),
    "session of another trial": (
        edit_row(2, 2),
        r"expected the session of the trial's place, 1, in trial \d+, got 2 \(1 trials",
    ),
    "other number of ids": (indices(np.arange(1500)), r"expected as many trials as .*got 750 and 1500"),
    "cut between members": (
        cut_between_members(TAR),
        r"every one of the 750 rows of the betas once, got \d+ rows without a trial|in every sample, got",
    ),
    "no tar": (put(TAR, b"no tar" * 200), r"0\.tar: cannot read this tar"),
    "member above": (
        add_to_tar("../x.behav.npy", np.zeros((1, 17))),
        r"plain files .*got '\.\./x\.behav\.npy'",
    ),
    "member at the root": (
        add_to_tar("/x.behav.npy", np.zeros((1, 17))),
        r"plain files .*got '/x\.behav\.npy'",
    ),
    "member is a link": (add_link, r"0\.tar: expected plain files .*got 'link\.behav\.npy'"),
    "member missing": (
        add_to_tar("x.past_behav.npy", np.zeros((15, 17))),
        r"0\.tar: expected behav\.npy in every sample, got x with past_behav\.npy;",
    ),
    "member's shape": (
        add_to_tar("x.behav.npy", np.zeros((15, 17))),
        r"x\.behav\.npy: expected float64 .*got float64 \(15, 17\)",
    ),
    "member is code": (add_code, r"x\.behav\.npy: cannot read this \.npy file \(Object arrays"),
    "member twice": (
        add_to_tar("sample000000000.behav.npy", np.zeros((1, 17))),
        r"0\.tar: expected one behav\.npy in .*got two",
    ),
    "not shared in the test": (
        move_to_test,
        r"expected only pictures of shared1000\.npy in new_test/, got 1 tr",
    ),
    "all counted from 1": (
        count_from_1,
        r"expected no pictures of shared1000\.npy in train/, got \d+ trials",
    ),
    "flag differs": (
        edit_row(16, 0, TEST_TAR),
        r"expected only pictures of shared1000\.npy in new_test/, got 1",
    ),
    "betas float16": (
        betas(lambda array: array.astype(np.float16)),
        r"betas\.hdf5: expected float32 .*float16",
    ),
    "betas without voxels": (
        betas(lambda array: array[:, :0]),
        r"betas\.hdf5: expected float32 .*\(750, 0\)",
    ),
    "betas with one axis": (betas(lambda array: array[0]), r"betas\.hdf5: .*got float32 \(6,\)"),
    "betas rows no session": (betas(lambda array: array[:-1]), r"betas\.hdf5: .*sessions of 750.*got 749"),
    "betas rows not the trials": (
        betas(lambda array: np.concatenate([array, array])),
        r"subj01: expected every one of the 1500 rows .*got 750 rows without a trial",
    ),
    "betas under another name": (write_hdf5("betas.hdf5", "x", [1]), r"expected a dataset 'betas', got x"),
    "betas overwritten": (overwrite("betas.hdf5", "betas"), r"betas\.hdf5: cannot read this HDF5 file"),
    "betas of another subject": (empty_betas(30000, 14278), r"expected 15724 voxels of subj01, got 14278"),
    "betas outdated": (empty_betas(27750, 15724), r"expected 30000 trials of subj01, got 27750: .*outdated"),
}

# ---- NSD: MindEye1

ME1_TRAIN, ME1_VAL, ME1_TEST = READERS["mindeye1"].files
METADATA = "webdataset_avg_new/metadata_subj01.json"
KINDS = ("coco73k.npy", "jpg", "nsdgeneral.npy", "num_uniques.npy", "trial.npy")


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def edit_tar(name, change):
    """Write a tar again; ``change`` gets and returns the names and contents of its members."""

    def damage(root):
        with tarfile.open(root / name) as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]
        with tarfile.open(root / name, "w") as tar:
            for member, content in change(members):
                header = tarfile.TarInfo(member)
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))

    return damage


def put_member(name, kind, content):
    """Replace a member of the first sample of a tar."""

    def change(members):
        sample = members[0][0].split(".")[0]
        return [(member, content if member == f"{sample}.{kind}" else old) for member, old in members]

    return edit_tar(name, change)


def without_member(kind):
    return edit_tar(ME1_TEST, lambda members: [m for m in members if not m[0].endswith(kind)])


def with_member(name, content=b""):
    return edit_tar(ME1_TRAIN, lambda members: [*members, (name, content)])


def integer(kind, value):
    return put_member(ME1_TRAIN, kind, npy(np.array([value])))


def code_member(root):
    put_member(ME1_TRAIN, "coco73k.npy", npy(np.array([Payload(root)], object)))(root)


def ids_from_1(root):
    def change(members):
        return [
            (name, npy(np.load(io.BytesIO(content)) + 1) if name.endswith("coco73k.npy") else content)
            for name, content in members
        ]

    for path in root.rglob("*.tar"):
        edit_tar(path.relative_to(root), change)(root)


def repeat_sample(members):
    return [*members, *((f"copy{name}", content) for name, content in members[:5])]


def totals(content):
    return lambda root: (root / METADATA).write_text(json.dumps(content))


MINDEYE1_IMAGES = {
    "no samples": (edit_tar(ME1_TRAIN, lambda members: []), r"_3\.tar: expected samples with .*, got none"),
    **{
        f"{kind} missing": (
            without_member(kind),
            rf"_1\.tar: expected {kind} in every sample, got sample\d+ with ",
        )
        for kind in KINDS
    },
    "member twice": (
        edit_tar(ME1_TRAIN, lambda m: [*m, m[0]]),
        r"expected one coco73k\.npy in sample\d+, got two",
    ),
    "avg_split": (
        edit_tar(ME1_TRAIN, lambda m: [*m, (m[0][0].split(".")[0] + ".wholebrain_3d.npy", b"")]),
        r"_3\.tar: expected webdataset_avg_new, got wholebrain_3d\.npy .* is webdataset_avg_split",
    ),
    "member above": (with_member("../x.jpg"), r"expected plain files .*got '\.\./x\.jpg'"),
    "member at the root": (with_member("/etc/x.jpg"), r"expected plain files .*got '/etc/x\.jpg'"),
    "samples missing": (
        edit_tar(ME1_TRAIN, lambda members: members[:5]),
        r"the samples of metadata_subj01\.json, ",
    ),
    "sample twice": (
        edit_tar(ME1_TRAIN, repeat_sample),
        r"expected each picture of subj01 once, got 1 twice",
    ),
    "id too large": (integer("coco73k.npy", 73000), r"expected one integer from 0 to 72999, .* 73000;"),
    "id negative": (integer("coco73k.npy", -1), r"sample\d+\.coco73k\.npy: expected one integer .* -1;"),
    "id NaN": (integer("coco73k.npy", np.nan), r"expected one integer .*nan;"),
    "id as text": (integer("coco73k.npy", "x"), r"expected one integer .*got <U1"),
    "two ids": (put_member(ME1_TRAIN, "coco73k.npy", npy(np.arange(2))), r"one integer .*got int64 \(2,\);"),
    "4 repetitions": (integer("num_uniques.npy", 4), r"expected one integer from 1 to 3, got int64 \(1,\) 4"),
    "0 repetitions": (integer("num_uniques.npy", 0), r"num_uniques\.npy: expected one integer from 1 to 3"),
    "trial too large": (integer("trial.npy", 30000), r"trial\.npy: expected one integer from 0 to 29999"),
    "member empty": (put_member(ME1_TRAIN, "trial.npy", b""), r"trial\.npy: cannot read this \.npy file"),
    "member is code": (code_member, r"coco73k\.npy: cannot read this \.npy file \(Object arrays"),
    "other totals": (
        totals({"totals": {"train": 8559, "val": 300, "test": 982}}),
        r"expected the samples of metadata_subj01\.json, \{'train': 8559, .*got \{'train': 29",
    ),
    "no totals": (totals({}), r"metadata_subj01\.json: expected 'totals', got nothing;"),
    "ids from 1": (ids_from_1, r"expected the first test picture of subj01 at 2950, .*got 2951 \(off by one"),
}


def other_subject(root):
    """A tar of subj02 under the name of one of subj01."""
    ids, betas = draw_trials(3)
    write_subject(root / "other", "subj02", ids, betas[:, :5])
    (root / "other/webdataset_avg_new/train/train_subj02_3.tar").rename(root / ME1_TRAIN)


def nsdgeneral(content):
    content = content if isinstance(content, bytes) else npy(content)
    return put_member(ME1_TRAIN, "nsdgeneral.npy", content)


MINDEYE1 = MINDEYE1_IMAGES | {
    "mixed subjects": (
        other_subject,
        r"_3\.tar: sample\d+.*: expected 8 voxels as in the first sample, got 5",
    ),
    "betas float32": (
        nsdgeneral(np.zeros((3, 8), np.float32)),
        r"_3\.tar: sample\d+\.nsdgeneral\.npy: expected float16 \(3, n_voxels\), got float32",
    ),
    "betas of two trials": (nsdgeneral(np.zeros((2, 8), np.float16)), r"got float16 \(2, 8\)"),
    "betas without voxels": (nsdgeneral(np.zeros((3, 0), np.float16)), r"got float16 \(3, 0\)"),
    "betas NaN": (nsdgeneral(np.full((3, 8), np.nan, np.float16)), "finite betas, got NaN"),
    "betas cut": (
        nsdgeneral(npy(np.zeros((3, 8), np.float16))[:-10]),
        r"general\.npy: cannot read this \.npy",
    ),
}
MINDEYE1_PICTURES = {
    "no JPEG": (
        lambda root: (root / ME1_TEST).write_bytes(bytes((root / ME1_TEST).stat().st_size)),
        r"test_subj01_1\.tar: picture \d+: cannot read this picture",
    ),
}

# ---- weights


def checkpoint(**tensors):
    return lambda root: write_checkpoint(root, **tensors)


def save_torch(name, make, **options):
    return lambda root: torch.save(make(root), root / name, **options)


def flip_in_storage(root):
    """Damage one bit of the ridge's weight, whose ones are easily found."""
    content = bytearray((root / "last.pth").read_bytes())
    content[content.find(np.ones(9, np.float32).tobytes())] ^= 1
    (root / "last.pth").write_bytes(content)


CHECKPOINT = {
    "other keys": (save_torch("last.pth", lambda root: {"weights": 1}), r"with 'model_state_dict', but "),
    "no ridge": (checkpoint(weight=None, bias=None), r"expected one ridge .*got 0;"),
    "bias missing": (checkpoint(bias=None), r"got \(8, 6\) and None;"),
    "other shapes": (checkpoint(bias=torch.zeros(3)), r"got \(8, 6\) and \(3,\);"),
    "integers": (checkpoint(bias=torch.arange(N_FEATURES)), r"got a LongStorage"),
    "transposed": (checkpoint(weight=torch.ones(N_VOXELS, N_FEATURES).T), r"expected a contiguous tensor"),
    "another subject": (
        checkpoint(weight=torch.ones(N_FEATURES, 14278)),
        r"15724 voxels, got 14278, .*subj02",
    ),
    "a bit flipped": (flip_in_storage, r"weight \(its checksum \(CRC-32\) is wrong\)"),
    "old format": (
        save_torch("last.pth", lambda root: {"model_state_dict": {}}, _use_new_zipfile_serialization=False),
        r"it has the format of PyTorch before 1\.6.*; load it with PyTorch and save it again",
    ),
    "code": (
        save_torch("last.pth", lambda root: {"model_state_dict": Payload(root)}),
        r"last\.pth: expected .*but it would call \w+\.mkdir",
    ),
}
RIDGE = "ridge.safetensors"


def betas_dataset(change):
    return edit_dataset("betas.h5", "betas", change)


def with_sample(value):
    def change(array):
        array[9, 3] = value
        return array

    return change


def delete(name, key):
    return edit_hdf5(name, lambda file: file.__delitem__(key))


PROJECT = {
    "NaN": (betas_dataset(with_sample(np.nan)), r"betas\.h5: expected finite betas, got NaN .* in row 9;"),
    "infinity": (betas_dataset(with_sample(-np.inf)), r"betas\.h5: expected finite betas, got .* in row 9;"),
    "overflow": (betas_dataset(with_sample(1e30)), r"betas\.h5: expected z-scored betas .*got inf;"),
    "not z-scored": (betas_dataset(lambda a: 300 * a), r"z-scored betas .* of 0\.3 to 3\.0, got [23]\d\d;"),
    "silence": (betas_dataset(lambda a: 0 * a), r"expected z-scored betas .*got 0;"),
    "float64": (betas_dataset(lambda a: a.astype(float)), r"betas float32 .*got float64 \(10, 6\);"),
    "one axis": (betas_dataset(lambda a: a[:, 0]), r"betas float32 .*got float32 \(10,\);"),
    "rows not the trials": (betas_dataset(lambda a: a[:-1]), r"as its table, 10, got float32 \(9, 6\);"),
    "no trials": (delete("betas.h5", "trials"), r"betas\.h5: expected a table of trials, got betas;"),
    "a column missing": (delete("betas.h5", "trials/image"), r"betas\.h5: cannot read this HDF5 file"),
    "overwritten": (overwrite("betas.h5", "betas"), r"betas\.h5: cannot read this HDF5 file"),
    "ridge of another width": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, 7), torch.zeros(N_FEATURES)),
        r"betas\.h5: expected betas of 7 voxels, the width of .*ridge\.safetensors, got 6; .*same NSD",
    ),
    "ridge and bias": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, N_VOXELS), torch.zeros(3)),
        r"ridge\.safetensors: expected .*got float32 \(8, 6\), float32 \(3,\)",
    ),
    "ridge in float64": (
        lambda root: write_ridge(root, torch.ones(N_FEATURES, N_VOXELS).double(), torch.zeros(N_FEATURES)),
        r"ridge\.safetensors: expected .*got float64",
    ),
    "ridge without bias": (
        lambda root: save_file({"weight": np.ones((2, 6), np.float32)}, root / RIDGE),
        r"ridge\.safetensors: cannot read this ridge \(.*bias",
    ),
    "ridge without source": (
        lambda root: save_file({"weight": np.ones((2, 6), "f4"), "bias": np.ones(2, "f4")}, root / RIDGE),
        r"ridge\.safetensors: expected .*checkpoint, sha256.*and nothing;",
    ),
    "a pickle for a ridge": (
        lambda root: save_pickle(Payload(root), root / RIDGE),
        r"ridge\.safetensors: cannot read this ridge",
    ),
}


def projection(**source):
    return lambda root: write_projection(root / "subj02.h5", **source)


COMBINE = {
    "another checkpoint": (projection(sha256="cd" * 32), r"subj02\.h5: expected .* last\.pth, .*of its own"),
    "another file": (projection(checkpoint="other.pth"), r"subj02\.h5: expected .*got other\.pth"),
    "no source": (
        edit_hdf5("subj02.h5", lambda file: file.attrs.__delitem__("sha256")),
        r"subj02\.h5: expected the attributes checkpoint, sha256, got checkpoint;",
    ),
    "rows not the trials": (
        edit_dataset("subj02.h5", "embedding", lambda array: array[1:]),
        r"subj02\.h5: expected embedding .*as its table, 12, got float32 \(11, 8\);",
    ),
    "another width": (
        edit_dataset("subj02.h5", "embedding", lambda array: array[:, 1:]),
        r"subj02\.h5: expected 8 features, as in .*subj01\.h5, got 7;",
    ),
    "no embedding": (
        delete("subj02.h5", "embedding"),
        r"subj02\.h5: expected a dataset 'embedding', got trials;",
    ),
    "no trials": (delete("subj01.h5", "trials"), r"subj01\.h5: expected a table of trials, got embedding;"),
}
WRITE_LMDB = {
    "EEG rows not the trials": (
        edit_dataset("eeg.h5", "eeg", lambda array: array[1:]),
        r"eeg\.h5: expected eeg .*as its table, 12, got float32 \(11, 4, 200\);",
    ),
    "EEG with two axes": (
        edit_dataset("eeg.h5", "eeg", lambda a: a[:, 0]),
        r"eeg\.h5: .*got float32 \(12, 200\);",
    ),
    "EEG without unit": (
        edit_hdf5("eeg.h5", lambda file: file.attrs.__delitem__("unit")),
        r"eeg\.h5: expected the attributes unit, sfreq, t0, channels, got .*channels",
    ),
    "EEG of other pictures": (
        edit_hdf5("eeg.h5", lambda file: file["trials/image"].__setitem__(slice(None), 7)),
        r"eeg\.h5: expected trials of all 6 paired pictures, but 6 have none \(first: things_image 0\);",
    ),
    "EEG overwritten": (overwrite("eeg.h5", "eeg"), r"eeg\.h5: cannot read this HDF5 file"),
    "no embedding": (delete("projection.h5", "embedding"), r"projection\.h5: expected a dataset 'embedding'"),
    "embedding float64": (
        edit_dataset("projection.h5", "embedding", lambda array: array.astype(float)),
        r"projection\.h5: expected embedding float32 .*got float64",
    ),
}


def state(name, change):
    def damage(root):
        tensors = torch.load(root / name, weights_only=True)
        torch.save(change(dict(tensors)), root / name)

    return damage


def code_in(name):
    return save_torch(name, lambda root: {"state_dict": Payload(root)})


MASK = "patch_embedding.mask_encoding"
CBRAMOD = {
    "key missing": (
        state("cbramod.pth", lambda s: s.pop("proj_out.0.bias") is None or s),
        r"1 missing .first: proj",
    ),
    "key added": (
        state("cbramod.pth", lambda s: s | {"x": torch.zeros(2)}),
        r"1 are unknown and 0 missing .*x\)",
    ),
    "another shape": (
        state("cbramod.pth", lambda s: s | {MASK: torch.zeros(9)}),
        r"of shape \(200,\), got \(9,\)",
    ),
    "no tensor": (state("cbramod.pth", lambda s: s | {MASK: 3}), r"of shape \(200,\), got None"),
    "a list": (state("cbramod.pth", list), r"expected a dictionary of tensors, got list"),
    "code": (code_in("cbramod.pth"), r"cbramod\.pth: expected .*but they cannot be read"),
}
CLIP = {
    "another shape": (
        state("clip.pt", lambda s: s | {"visual.proj": torch.zeros(3, 3)}),
        r"clip\.pt: expected weights of ViT-S-32-alt, but they cannot be loaded \(.*; download them again",
    ),
    "code": (code_in("clip.pt"), r"clip\.pt: expected weights of ViT-S-32-alt, but they cannot be loaded"),
}
# ---- what the workflow itself made


def edit_config(**values):
    def damage(root):
        config = json.loads((root / "config.json").read_text()) | values
        (root / "config.json").write_text(json.dumps(config))

    return damage


RUN = {
    "another width": (edit_config(n_features=16), r"expected a trained run .*but Error.* train it again"),
    "config without channels": (
        edit_config(eeg={}),
        r"expected a trained run with config\.json .*'channels'",
    ),
    "code": (
        lambda root: save_pickle(Payload(root), root / "model.safetensors"),
        r"expected a trained run with config\.json and model\.safetensors, but",
    ),
}


def predictions(**change):
    def damage(root):
        with np.load(root / "predictions.npz") as file:
            arrays = {**file, **change}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        np.savez(root / "predictions.npz", **arrays)

    return damage


def code_in_predictions(root):
    predictions(targets=np.array([Payload(root)], object))(root)


PREDICTIONS = {
    "array missing": (predictions(targets=None), r"predictions\.npz: expected .*but .*targets"),
    "other rows": (
        predictions(targets=np.ones((3, N_FEATURES))),
        r"predictions\.npz: expected .*one row a pair, got .*\(6, 8\), .*\(3, 8\)",
    ),
    "NaN": (predictions(predictions=np.full((6, N_FEATURES), np.nan)), r"expected finite .*got NaN"),
    "code": (code_in_predictions, r"predictions\.npz: expected .*but .*Object arrays"),
}
CASES = {
    "things images": THINGS_IMAGES,
    "things picture": THINGS_PICTURE,
    "raw": RAW,
    **{
        release: {
            name: (damage(release), message)
            for name, releases, damage, message in EPOCHS_CASES
            if release in releases
        }
        for release in EPOCHS
    },
    "mindeye2": FMRI,
    "nsd images": ODD_LISTS | PIXEL_FILES,
    "nsd picture": NSD_PICTURE,
    "mindeye1": MINDEYE1,
    "mindeye1 images": MINDEYE1_IMAGES,
    "mindeye1 pictures": MINDEYE1_PICTURES,
    "checkpoint": CHECKPOINT,
    "project": PROJECT,
    "combine": COMBINE,
    "write lmdb": WRITE_LMDB,
    "cbramod": CBRAMOD,
    "clip": CLIP,
    "run": RUN,
    "predictions": PREDICTIONS,
}


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
