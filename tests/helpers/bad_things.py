"""Bad files of THINGS-EEG2: of every case a name, the damage, and the message."""

import json
import os

import numpy as np
import torch
from PIL import Image

from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.formats.unpickling import load_arrays
from brain2image.synthetic.preprocessed_files import write_authors
from helpers.damage import Payload, cut, put, remove, rename, replace, save_npy, save_pickle
from helpers.empty_releases import THINGS
from helpers.preprocessed_files import SUBJECT as SUB
from helpers.preprocessed_files import subject
from helpers.preprocessed_files import write as write_epochs
from helpers.raw_files import DISK_CHANNELS, LEAD

# ---- pictures


def edit_lists(**change):
    def damage(root):
        lists = np.load(root / "image_metadata.npy", allow_pickle=True).item() | change
        kept = {key: value for key, value in lists.items() if value is not None}
        np.save(root / "image_metadata.npy", kept)

    return damage


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
    "picture is a pipe": (replace(PICTURE, os.mkfifo), r"a_01b\.jpg: expected a file, got a named pipe"),
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
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
THINGS_PICTURE = {
    "no picture": (put(PICTURE, b"no picture"), r"a_01b\.jpg: cannot read this picture"),
    "an EPS": (put(PICTURE, EPS), r"a_01b\.jpg: cannot read this picture \(cannot identify image file"),
    "a GIF": (
        lambda root: Image.new("L", (4, 4)).save(root / PICTURE, "GIF"),
        r"a_01b\.jpg: cannot read this picture \(cannot identify image file",
    ),
    "cut by a little": (cut(PICTURE, 0.9), r"a_01b\.jpg: cannot read this picture"),
}


# ---- raw recordings

TRAINING = "ses-01/raw_eeg_training.npy"
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
        r"at most 5 % of its sequences .*got 1 of 5: 1 with an unknown code; .*exchanged",
    ),
    "code negative": (raw_sample(63, FIRST, -2), "1 of 5: 1 with an unknown code"),
    "code broken": (raw_sample(63, FIRST, 1.5), "1 of 5: 1 with an unknown code"),
    "code NaN": (raw_sample(63, FIRST, np.nan), "1 of 5: 1 with an unknown code"),
    "event missing": (
        raw_sample(63, FIRST, 0),
        "at most 5 % of its sequences .*got 1 of 5: 1 with a lost pulse; download",
    ),
    "no events": (
        raw_sample(63, slice(None), 0),
        "expected a median of 200 ms between pictures, got 0 event pulses",
    ),
    "recording cut": (raw_data(lambda data: data[:, : FIRST + 2000]), "got 1 of 1: 1 with a lost pulse"),
    "event moved": (
        raw(
            lambda content, root: content["raw_eeg_data"][63].__setitem__([FIRST + 400, FIRST + 500], [0, 1])
        ),
        "got 1 of 5: 1 with a late picture",
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


# ---- preprocessed epochs

EPOCHS = ("ubp", "nice", "neurobridge")


def epochs_file(release, number=0):
    return THINGS.releases[release][number].format(person=SUB)


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


SAVE = {"ubp": torch.save, "nice": save_pickle, "neurobridge": lambda value, path: np.save(path, value)}


def without(key):
    def change(root, path):
        value = load_arrays(path)
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
}
