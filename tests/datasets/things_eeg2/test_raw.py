"""THINGS-EEG2: raw files in the declared format turned into trials."""

from types import SimpleNamespace

import h5py
import mne
import numpy as np
import pandas as pd
import pytest
from helpers.empty_releases import THINGS
from helpers.raw_files import DISK_CHANNELS, FILTERS, LEAD, N_TEST, N_TRAIN, PART, TAIL, make_raw
from helpers.scripts import run_script

from brain2image.core.errors import InputError
from brain2image.datasets.signals import filter_eeg
from brain2image.datasets.things_eeg2.sequences import find_parts, find_sequences
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.datasets.whitening import fit_whitening
from brain2image.formats.hdf5 import read_trials


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.parquet"
    pd.DataFrame({"partition": ["train"] * N_TRAIN + ["test"] * N_TEST}).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def subject(tmp_path_factory, images):
    """Two sessions with jumps of up to 1 mV between the parts, and their repacked trials."""
    folder = tmp_path_factory.mktemp("sub-01")
    paths, contents = [], []
    for session in range(2):
        for name, n_parts, n_images in (("training", 5, N_TRAIN), ("test", 1, N_TEST)):
            contents.append(make_raw(len(paths), n_parts=n_parts, n_images=n_images, offset=1e-3))
            paths.append(folder / f"ses-{session + 1:02d}" / f"raw_eeg_{name}.npy")
            paths[-1].parent.mkdir(exist_ok=True)
            np.save(paths[-1], contents[-1])
    repack_eeg(paths, images, out=folder / "eeg.h5", **FILTERS)
    return SimpleNamespace(paths=paths, contents=contents, out=folder / "eeg.h5")


def test_channel_order_is_the_release_s_63():
    assert len(CHANNELS) == 63
    assert set(CHANNELS) == set(DISK_CHANNELS)
    assert CHANNELS[:3] == ("Fp1", "Fp2", "AF7")
    assert CHANNELS[-3:] == ("O1", "Oz", "O2")


def test_trials_are_the_events_in_the_order_shown(subject):
    expected, seen = [], {}
    for file, content in enumerate(subject.contents):
        stim = content["raw_eeg_data"][63]
        for onset in range(len(stim)):
            if stim[onset] not in (0, 99999):
                image = int(stim[onset]) - 1 + (N_TRAIN if file % 2 else 0)
                seen[image] = seen.get(image, -1) + 1
                expected.append((image, seen[image], file // 2, onset))
    with h5py.File(subject.out) as file:
        trials = read_trials(file)
        assert file["eeg"].shape == (2 * (98 + 18), 63, 200) == (len(expected), 63, 200)
    assert list(trials.columns) == ["image", "repetition", "session", "onset", "weight"]
    assert (trials.dtypes.drop("weight") == np.int64).all()
    assert (trials.pop("weight") == np.float32(1)).all()
    assert list(trials.itertuples(index=False, name=None)) == expected


def test_attributes(subject):
    with h5py.File(subject.out) as file:
        assert file["eeg"].dtype == np.float32
        assert file["eeg"].chunks == (1, 63, 200)
        attributes = dict(file.attrs)
    assert attributes["unit"] == "uV"
    assert attributes["sfreq"] == 200.0
    assert attributes["t0"] == 0.0
    assert attributes["release"] == "raw"
    assert (attributes["whiten"], attributes["clip"], attributes["clipped"]) == ("none", 0, 0)
    assert list(attributes["channels"]) == list(CHANNELS)


def test_epochs_are_microvolts_in_the_frozen_order_without_ringing(subject):
    """The jumps of 1 mV between parts, a hundred times the signal, leave less than 1 % in any trial."""
    with h5py.File(subject.out) as file:
        eeg, trials = file["eeg"][:], read_trials(file)
    is_training = trials["image"] < N_TRAIN
    part = np.where(is_training, trials["onset"] // PART, 0)
    times = (trials["onset"].to_numpy() % PART)[:, None, None] / 1000 + np.arange(200) / 200
    phases = np.arange(63)[:, None] * 0.1 + np.asarray(part)[:, None, None]
    error = np.abs(eeg - 10 * np.sin(2 * np.pi * 10 * times + phases))
    rms = 10 / np.sqrt(2)
    assert np.sqrt((error[:, :, 0] ** 2).mean()) < 0.01 * rms
    assert error.max() < 0.02 * rms


def test_ringing_would_be_seen(subject):
    """Filtered as one, the same file is off by more than the signal: the test above can fail."""
    microvolts = subject.contents[0]["raw_eeg_data"][:1] * 1e6
    whole = filter_eeg(microvolts.copy(), 1000, **FILTERS)
    apart = np.concatenate(
        [filter_eeg(part.copy(), 1000, **FILTERS) for part in np.split(microvolts, 5, 1)], 1
    )
    assert np.abs(whole - apart)[:, PART - TAIL + 1000 : PART + LEAD].max() > 10


def test_overlapping_epochs_share_their_samples(subject):
    with h5py.File(subject.out) as file:
        eeg, trials = file["eeg"][:], read_trials(file)
    neighbours = np.flatnonzero((np.diff(trials["onset"]) == 200) & (np.diff(trials["session"]) == 0))
    assert len(neighbours) > 150
    np.testing.assert_array_equal(eeg[neighbours, :, 40:], eeg[neighbours + 1, :, :160])


def test_epochs_are_those_of_mne(subject):
    """The same part through MNE's own Raw, Epochs and decimation."""
    data = subject.contents[1]["raw_eeg_data"]
    info = mne.create_info([*DISK_CHANNELS, "stim"], 1000, ["eeg"] * 63 + ["stim"])
    raw = mne.io.RawArray(data.copy(), info, verbose="error")
    raw.filter(1, 75, verbose="error").notch_filter([50], verbose="error").reorder_channels(
        [*CHANNELS, "stim"]
    )
    events = mne.find_events(raw, "stim", verbose="error", uint_cast=False)
    events = events[events[:, 2] != 99999]
    epochs = mne.Epochs(raw, events, tmin=0, tmax=0.999, baseline=None, picks="eeg", decim=5, verbose="error")
    with h5py.File(subject.out) as file:
        trials = read_trials(file)
        mine = ((trials["image"] >= N_TRAIN) & (trials["session"] == 0)).to_numpy()
        got = file["eeg"][:][mine]
    np.testing.assert_array_equal(trials["onset"][mine], events[:, 0])
    np.testing.assert_allclose(got, epochs.get_data(units="uV", copy=False), atol=1e-4)


@pytest.mark.parametrize("shift", [-1, 0, 700])
def test_boundaries_are_found_wherever_they_lie(shift):
    content = make_raw(3, n_parts=5, n_images=N_TRAIN, offset=2e-4)
    data = content["raw_eeg_data"]
    data[:63] = np.roll(data[:63], shift, axis=1)  # the events stay
    sequences = find_sequences(data[63], n_images=N_TRAIN, source="x")
    options = {"n_parts": 5, "max_lost": 0.05, "source": "x"}
    parts, n_unclear = find_parts(data, list(range(63)), sequences, **options)
    starts = [PART * i + shift for i in range(1, 5)]
    assert parts == list(zip([0, *starts], [*starts, 5 * PART], strict=True))
    assert n_unclear == 0


def test_every_bad_file_is_named_and_nothing_is_written(tmp_path, images):
    names = [f"ses-0{session}/raw_eeg_{name}.npy" for session in (1, 2) for name in ("training", "test")]
    paths = [tmp_path / name for name in names]
    for session in (1, 2):
        (tmp_path / f"ses-0{session}").mkdir()
    np.save(paths[0], make_raw(7, n_parts=5, n_images=N_TRAIN))
    np.save(paths[1], make_raw(8, n_parts=1, n_images=N_TEST) | {"sfreq": 500})
    whole = paths[0].read_bytes()
    paths[2].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as error:
        repack_eeg(paths, images, out=tmp_path / "eeg.h5", **FILTERS)
    message = str(error.value)
    assert "\n" not in message
    assert f"{paths[0]}:" not in message
    assert f"{paths[1]}: expected float64" in message
    assert f"{paths[2]}: expected a pickle" in message
    assert f"{paths[3]}: no such file" in message
    assert not list(tmp_path.glob("*eeg.h5*"))


def repacked(paths, images, out, **options):
    repack_eeg(paths, images, out=out, **options, **FILTERS)
    with h5py.File(out) as file:
        return SimpleNamespace(eeg=file["eeg"][:], trials=read_trials(file), attributes=dict(file.attrs))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, images):
    """Two sessions of correlated noise of different amplitude, and a burst; as they are, and whitened."""
    folder, mixing = tmp_path_factory.mktemp("noisy"), np.random.default_rng(5).normal(size=(63, 63))
    paths = []
    for session, gain in enumerate((1, 2)):
        for name, n_parts, n_images in (("training", 5, N_TRAIN), ("test", 1, N_TEST)):
            content = make_raw(len(paths), n_parts=n_parts, n_images=n_images, offset=1e-3, amplitude=0)
            data, rng = content["raw_eeg_data"], np.random.default_rng([6, len(paths)])
            noise = gain * 3e-6 * (mixing @ rng.standard_normal((63, data.shape[1])))
            if not paths:
                noise[:, LEAD : LEAD + 1000] *= 50
            data[:63] += noise
            paths.append(folder / f"ses-{session + 1:02d}" / f"raw_eeg_{name}.npy")
            paths[-1].parent.mkdir(exist_ok=True)
            np.save(paths[-1], content)
    raw = repacked(paths, images, folder / "raw.h5")
    whitened = repacked(paths, images, folder / "whitened.h5", whiten="session")
    is_training = (raw.trials["image"] < N_TRAIN).to_numpy()
    return SimpleNamespace(paths=paths, raw=raw, whitened=whitened, is_training=is_training)


def test_sessions_are_whitened_by_their_own_training_trials(noisy):
    raw, got = noisy.raw, noisy.whitened
    assert (got.attributes["unit"], got.attributes["whiten"]) == ("whitened", "session")
    assert got.attributes["reference"] == "Fz"
    pd.testing.assert_frame_equal(got.trials, raw.trials)
    norms = []
    for session in range(2):
        own = (raw.trials["session"] == session).to_numpy()
        found = fit_whitening(raw.eeg, own & noisy.is_training, CHANNELS, unit="uV", source="raw")
        np.testing.assert_allclose(got.eeg[own], np.matmul(found.matrix, raw.eeg[own]), atol=1e-4)
        rms = np.sqrt(np.mean(got.eeg[own & ~noisy.is_training] ** 2, axis=(0, 2)))
        assert np.abs(rms - 1).max() < 0.5
        norms.append(np.linalg.norm(found.matrix))
    assert norms[0] / norms[1] == pytest.approx(2, rel=0.1)


def test_test_trials_have_no_part_in_the_whitening(noisy, images, tmp_path):
    (tmp_path / "ses-01").mkdir()
    paths = [tmp_path / "ses-01" / path.name for path in noisy.paths[:2]]
    paths[0].symlink_to(noisy.paths[0])
    content = np.load(noisy.paths[1], allow_pickle=True).item()
    content["raw_eeg_data"][:63] = np.roll(3 * content["raw_eeg_data"][:63], 5, axis=0)
    np.save(paths[1], content)
    got = repacked(paths, images, tmp_path / "eeg.h5", whiten="session")
    is_training = noisy.is_training[: len(got.eeg)]
    difference = np.abs(got.eeg - noisy.whitened.eeg[: len(got.eeg)])
    assert difference[is_training].max() == 0
    assert difference[~is_training].max() > 1


def test_test_trials_alone_are_not_whitened(noisy, images, tmp_path):
    paths = [*noisy.paths[:2], noisy.paths[3]]
    with pytest.raises(InputError, match=r"ses-02/raw_eeg_test.npy: expected raw_eeg_training.npy beside it"):
        repack_eeg(paths, images, out=tmp_path / "eeg.h5", whiten="session", **FILTERS)
    assert not (tmp_path / "eeg.h5").exists()


def test_bursts_are_clamped_and_weigh_less(noisy, images, tmp_path, caplog):
    caplog.set_level("INFO")
    options = {"whiten": "session", "clip": 4.0, "weigh_trials": True}
    got = repacked(noisy.paths, images, tmp_path / "eeg.h5", **options)
    free, is_training = noisy.whitened.eeg, noisy.is_training
    limits = 4 * np.median(np.sqrt(np.mean(free[is_training] ** 2, axis=2)), axis=0)[:, None]
    np.testing.assert_allclose(got.eeg, np.clip(free, -limits, limits), rtol=1e-5)
    share = np.mean(np.abs(free) > limits)
    assert got.attributes["clipped"] == pytest.approx(share, rel=1e-3)
    assert 0 < share < 0.02
    assert f"clamped {100 * share:.2g} % of the samples at 4 standard deviations" in caplog.text
    weights, onset = got.trials["weight"], got.trials["onset"]
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    is_first = (got.trials["session"] == 0) & is_training
    assert weights[is_first & (onset < LEAD + 600)].max() < 0.1
    assert weights[~is_first | (onset > PART)].min() > 0.6


def test_the_script(subject, images, tmp_path):
    run_script(
        "repack_eeg",
        tmp_path,
        input=SimpleNamespace(files=[str(path) for path in subject.paths[:2]], images=str(images)),
        output={"eeg": str(tmp_path / "out" / "eeg.h5")},
        params={"eeg": FILTERS, "reader": THINGS.eeg_reader},
    )
    with h5py.File(tmp_path / "out" / "eeg.h5") as got, h5py.File(subject.out) as expected:
        np.testing.assert_array_equal(got["eeg"][:], expected["eeg"][: len(got["eeg"])])
