"""The preprocessed releases of THINGS-EEG2: the same trials in every format give the same eeg.h5."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.empty_releases import THINGS
from helpers.preprocessed_files import (
    DTYPES,
    N_CONCEPTS,
    N_EACH,
    N_TEST,
    SUBJECT,
    pictures_of,
    subject,
    write,
)
from scipy import signal

from brain2image.core.errors import InputError
from brain2image.datasets.signals import resampling_matrix
from brain2image.datasets.things_eeg2.preprocessed import recognise
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.formats import unpickling
from brain2image.formats.hdf5 import read_trials
from brain2image.formats.unpickling import load_arrays, open_arrays
from brain2image.synthetic.preprocessed_files import (
    write_authors,
)

RELEASES = list(DTYPES)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.parquet"
    tables = [
        pd.DataFrame({"path": pictures_of(partition), "partition": partition})
        for partition in ("train", "test")
    ]
    pd.concat(tables, ignore_index=True).to_parquet(path)
    return path


@pytest.fixture(autouse=True)
def small_arrays_are_large(monkeypatch):
    monkeypatch.setattr(unpickling, "LAZY_BYTES", 2**10)


def find(folder, person="things-03"):
    """Find the release of a person."""
    return THINGS.find_release({"things_eeg": str(folder)}, person, must_exist=True)


def repack(folder, release, images):
    name, _, files = find(folder)
    assert name == release
    repack_eeg(files, images, out=folder / "eeg.h5")
    with h5py.File(folder / "eeg.h5") as file:
        return file["eeg"][:], read_trials(file), dict(file.attrs)


def slowly(content):
    """All trials, channel by channel through SciPy, in the frozen order."""
    rows = [content.channels.index(name) for name in CHANNELS]
    trials = np.concatenate([content.eeg[name].reshape(-1, 63, 250) for name in ("train", "test")])
    return np.array(
        [[signal.resample_poly(trial[row], 4, 5, padtype="line") for row in rows] for trial in trials]
    )


@pytest.mark.parametrize("lazy_bytes", [2**10, 2**40])  # left in the file, read whole
@pytest.mark.parametrize("release", RELEASES)
def test_every_release_gives_the_same_trials(tmp_path, images, monkeypatch, release, lazy_bytes):
    monkeypatch.setattr(unpickling, "LAZY_BYTES", lazy_bytes)
    content = subject()
    write(tmp_path, release, content)
    eeg, trials, attributes = repack(tmp_path, release, images)
    assert eeg.dtype == np.float32
    assert eeg.shape == (12 * 4 + 5 * 6, 63, 200)
    np.testing.assert_allclose(eeg, slowly(content), atol=2e-5)
    assert list(trials.columns) == ["image", "repetition", "session", "onset", "weight"]
    assert (trials.dtypes.drop("weight") == np.int64).all()
    assert (trials["weight"] == 1).all()
    assert trials["image"].tolist() == [*np.repeat(range(12), 4), *np.repeat(range(12, 17), 6)]
    assert trials["repetition"].tolist() == [*np.tile(range(4), 12), *np.tile(range(6), 5)]
    sessions = [*np.tile([0, 0, 2, 2], 12), *np.tile([0, 0, 1, 2, 3, 3], 5)]
    assert trials["session"].tolist() == (sessions if release == "ubp" else [-1] * 78)
    assert (trials["onset"] == -1).all()
    assert attributes["release"] == release
    assert (attributes["unit"], attributes["whiten"]) == ("whitened", "release")
    assert attributes["sfreq"] == 200.0
    assert attributes["t0"] == 0.0
    assert list(attributes["channels"]) == list(CHANNELS)


def test_a_release_is_not_whitened_twice_but_clamped_and_weighed(tmp_path, images, caplog):
    caplog.set_level("INFO")
    content = subject()
    content.eeg["train"][3, 1] *= 16  # one trial; exact in float16
    files = write(tmp_path, "ubp", content)
    options = {"whiten": "session", "clip": 5.0, "weigh_trials": True}
    repack_eeg(files, images, out=tmp_path / "eeg.h5", **options)
    with h5py.File(tmp_path / "eeg.h5") as file:
        eeg, trials, attributes = file["eeg"][:], read_trials(file), dict(file.attrs)
    assert "ubp: its release has whitened it; eeg.whiten is for raw recordings" in caplog.text
    assert attributes["whiten"] == "release"
    expected, scale = slowly(content), np.sqrt(np.mean(slowly(content)[:48] ** 2, axis=2))
    limits = 5 * np.median(scale, axis=0)[:, None]
    np.testing.assert_allclose(eeg, np.clip(expected, -limits, limits), atol=2e-4)
    assert 0 < attributes["clipped"] < 0.02
    assert trials["weight"].argmin() == 3 * 4 + 1
    assert trials["weight"].mean() == pytest.approx(1, rel=1e-5)


def test_blocks_of_any_size_give_the_same_trials(tmp_path, images, monkeypatch):
    content = subject()
    write(tmp_path, "ubp", content)
    whole, *_ = repack(tmp_path, "ubp", images)
    for n_trials in (1, 5, 17):
        monkeypatch.setattr("brain2image.datasets.things_eeg2.things_eeg.BLOCK_TRIALS", n_trials)
        np.testing.assert_allclose(repack(tmp_path, "ubp", images)[0], whole, atol=1e-6)


def test_an_array_transposed_in_memory_is_read(tmp_path, images):
    """As UBP's test trials are after whitening: NumPy stores them with channels and times exchanged."""
    content = subject()
    content.eeg["test"] = np.ascontiguousarray(content.eeg["test"].swapaxes(2, 3)).swapaxes(2, 3)
    files = write(tmp_path, "ubp", content)
    assert open_arrays(files[1])["eeg"].axes == (0, 1, 3, 2)
    np.testing.assert_allclose(repack(tmp_path, "ubp", images)[0], slowly(content), atol=2e-5)


@pytest.mark.parametrize("release", RELEASES)
def test_files_are_recognised_by_their_content(tmp_path, release):
    for path in write(tmp_path, release, subject())[:2]:
        path.rename(tmp_path / "file")
        assert recognise(tmp_path / "file") == release


def test_the_authors_files_are_recognised(tmp_path):
    write_authors(tmp_path / "file.npy", np.zeros((12, 4, 17, 100)), channels=CHANNELS[-17:])
    assert recognise(tmp_path / "file.npy") == "authors"
    np.save(tmp_path / "raw.npy", {"raw_eeg_data": np.zeros((64, 1000)), "ch_names": []})
    assert recognise(tmp_path / "raw.npy") == "raw"


# ---- the synthetic files


def test_ubp_file_is_what_torch_writes(tmp_path):
    content = subject()
    files = write(tmp_path, "ubp", content)
    # torch's own reader opens the container; its safe unpickler knows no protocol 5, in which these files are
    assert torch._C.PyTorchFileReader(str(files[0])).get_record("data.pkl").startswith(b"\x80\x05")
    got = load_arrays(files[0])
    torch.save(got, tmp_path / "again.pt", pickle_protocol=5)
    again = open_arrays(tmp_path / "again.pt")
    assert list(got) == list(again) == ["eeg", "label", "img", "text", "session", "ch_names", "times"]
    assert got["eeg"].dtype == np.float16
    assert got["label"].tolist() == np.repeat(np.arange(6), 2 * 4).reshape(12, 4).tolist()
    assert got["img"][3].tolist() == ["train_images/00002_train1_x/train1_x_02b.jpg"] * 4
    assert got["text"][3, 0] == "train1_x"
    assert got["session"].dtype == np.float64
    assert got["times"].shape == (300,)
    np.testing.assert_allclose(got["times"][[0, 50, -1]], [-0.2, 0, 0.996])
    for key in ("eeg", "label", "img", "text", "session", "times"):
        np.testing.assert_array_equal(np.asarray(again[key]), got[key])


def test_nice_and_authors_files(tmp_path):
    write(tmp_path, "nice", subject())
    got = np.load(tmp_path / SUBJECT / "preprocessed_eeg_test.npy", allow_pickle=True)
    assert list(got) == ["preprocessed_eeg_data", "ch_names", "times"]
    assert got["preprocessed_eeg_data"].dtype == np.float64
    write_authors(tmp_path / "authors.npy", np.zeros((2, 4, 17, 100)), channels=CHANNELS[-17:])
    got = np.load(tmp_path / "authors.npy", allow_pickle=True).item()
    assert got["times"].shape == (100,)


def test_neurobridge_files(tmp_path):
    files = write(tmp_path, "neurobridge", subject())
    assert np.load(files[0]).shape == (N_CONCEPTS, N_EACH, 4, 63, 250)
    assert np.load(files[1]).shape == (N_TEST, 1, 6, 63, 250)
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["sfreq"] == 250
    assert len(info["times"]) == 300


# ---- resampling


def eeg_like(times, rng):
    """1/f sinusoids from 0.5 to 75 Hz, an offset and a drift, at any times (s)."""
    frequency = rng.uniform(0.5, 75, (40, 1))
    phase = rng.uniform(0, 2 * np.pi, (40, 1))
    waves = np.sin(2 * np.pi * frequency * times + phase) / frequency
    return waves.sum(axis=0) + 3 * rng.normal() + 2 * rng.normal() * times


def test_resampling_has_no_edge():
    pairs = [
        [eeg_like(np.arange(rate) / rate, np.random.default_rng(seed)) for rate in (250, 200)]
        for seed in range(200)
    ]
    at_250, at_200 = (np.array(epochs) for epochs in zip(*pairs, strict=True))
    rms = np.sqrt(np.mean(at_200**2, axis=1, keepdims=True))

    def errors(epochs):
        return np.sqrt(np.mean(((epochs - at_200) / rms) ** 2, axis=0))

    polyphase = errors(at_250 @ resampling_matrix(250, 4, 5))
    assert polyphase[0] < 0.01
    assert polyphase[-1] < 0.01
    assert np.sqrt(np.mean(polyphase**2)) < 0.001
    fft = errors(signal.resample(at_250, 200, axis=1))
    assert fft[0] > 0.05  # what the docstring warns of, and proof that this test can fail


@pytest.mark.parametrize(("n_times", "up", "down"), [(250, 4, 5), (7, 1, 2), (30, 3, 1)])
def test_resampling_matrix_is_scipy_s(rng, n_times, up, down):
    epochs = rng.standard_normal((5, n_times))
    expected = signal.resample_poly(epochs, up, down, axis=1, padtype="line")
    np.testing.assert_allclose(epochs @ resampling_matrix(n_times, up, down), expected, atol=1e-5)


# ---- bad files


def trials(change):
    return lambda content: content.eeg.update(train=change(content.eeg["train"]))


def channels(change):
    return lambda content: setattr(content, "channels", change(content.channels))


def exchanged(content):
    content.eeg = {"train": content.eeg["test"], "test": content.eeg["train"]}
    content.sessions = {"train": content.sessions["test"], "test": content.sessions["train"]}
    content.pictures = {"train": content.pictures["test"], "test": content.pictures["train"]}


def session(value):
    return lambda content: content.sessions.update(train=np.where(np.eye(12, 4), value, 0))


def assert_refused(files, images, message):
    out = files[0].parent / "eeg.h5"
    with pytest.raises(InputError, match=message) as error:
        repack_eeg(files, images, out=out)
    assert "\n" not in str(error.value)
    assert not list(out.parent.glob("*eeg.h5*"))


def without(key, load, save):
    """Write a file again without one of its keys."""

    def change(path):
        content = load(path)
        del content[key]
        save(content, path)

    return change


def test_every_bad_file_is_named(tmp_path, images):
    files = write(tmp_path, "nice", subject())
    files[0].write_bytes(b"")
    files[1].unlink()
    assert_refused(files, images, r"_training\.npy: expected a pickle .*; .*_test\.npy: no such file")


def test_two_releases_in_one_folder_are_refused(tmp_path):
    write(tmp_path, "ubp", subject())
    write(tmp_path, "nice", subject())
    with pytest.raises(
        InputError, match="expected one release of sub-03, got ubp and nice; keep them in separate"
    ):
        find(tmp_path)


def test_what_a_folder_lacks_is_named(tmp_path):
    files = write(tmp_path, "neurobridge", subject())
    files[2].unlink()
    with pytest.raises(InputError, match=r"3 files of the neurobridge release .*1 are missing: .*info\.json"):
        find(tmp_path)
    with pytest.raises(InputError, match="expected a release of sub-04, got no file of any"):
        find(tmp_path, "things-04")
