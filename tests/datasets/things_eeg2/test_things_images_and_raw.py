"""THINGS-EEG2: the picture table, and raw files in the declared format turned into trials."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import h5py
import mne
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import signal

from brain2image.core.errors import InputError
from brain2image.datasets.signals import cut_epochs, filter_eeg, find_step, step_clearness
from brain2image.datasets.things_eeg2.raw import CHANNELS
from brain2image.datasets.things_eeg2.sequences import CLEAR_STEP, find_parts, find_sequences
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.datasets.things_eeg2.things_images import read_images, repack_images
from brain2image.formats.hdf5 import read_trials
from brain2image.synthetic.eeg import background

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"

# As recorded: 31 channels of the first amplifier, 32 of the second.
DISK_ORDER = (
    "Fp1 F3 F7 FT9 FC5 FC1 C3 T7 TP9 CP5 CP1 Pz P3 P7 O1 Oz O2 P4 P8 TP10 CP6 CP2 Cz C4 T8 FT10 FC6 FC2 F4 "
    "F8 Fp2 AF7 AF3 AFz F1 F5 FT7 FC3 FCz C1 C5 TP7 CP3 P1 P5 PO7 PO3 POz PO4 PO8 P6 P2 CPz CP4 TP8 C6 C2 "
    "FC4 FT8 F6 F2 AF4 AF8"
)
DISK_CHANNELS = DISK_ORDER.split()
N_TRAIN, N_TEST = 30, 4
LEAD, TAIL = 2000, 3000  # ms before a part's first picture and after its last: 2 s from both ends
PART = LEAD + 19 * 200 + TAIL
FILTERS = {"highpass": 1.0, "lowpass": 75.0, "notch": 50.0}  # 1 Hz: a short filter suffices
FOLDERS = {
    "training_images": ["00001_aardvark", "00002_bat1", "00003_hot-air_balloon", "00004_t-shirt"],
    "test_images": ["00001_aircraft_carrier", "00002_antelope"],
}


# ---- pictures


@pytest.fixture
def image_set(tmp_path):
    """Two pictures for each training concept and one for each test concept, with the metadata lists."""
    lists = {}
    for folder, prefix, n_files in (("training_images", "train_img", 2), ("test_images", "test_img", 1)):
        concepts, files = [], []
        for number, concept in enumerate(FOLDERS[folder]):
            for i in range(n_files):
                concepts.append(concept)
                files.append(f"{concept.split('_', 1)[1]}_{i + 1:02d}b.jpg")
                path = tmp_path / folder / concept / files[-1]
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 6), (40 * number, 100 * i, 200)).save(path)
        lists |= {
            f"{prefix}_concepts": concepts,
            f"{prefix}_files": files,
            f"{prefix}_concepts_THINGS": concepts,
        }
    np.save(tmp_path / "image_metadata.npy", lists)
    return tmp_path


def repack_image_set(root):
    folders = (root / "training_images", root / "test_images", root / "image_metadata.npy")
    repack_images(*folders, out=root / "images.parquet")
    return pd.read_parquet(root / "images.parquet")


def test_image_table(image_set):
    table = repack_image_set(image_set)
    assert list(table.columns) == ["image", "path", "concept", "partition"]
    assert table["image"].dtype == np.int64
    assert table["image"].tolist() == list(range(10))
    assert table["partition"].tolist() == ["train"] * 8 + ["test"] * 2
    assert table["path"][0] == "training_images/00001_aardvark/aardvark_01b.jpg"
    assert table["path"][9] == "test_images/00002_antelope/antelope_01b.jpg"
    assert table["concept"].tolist() == [
        *("aardvark", "aardvark", "bat1", "bat1", "hot-air_balloon", "hot-air_balloon", "t-shirt", "t-shirt"),
        *("aircraft_carrier", "antelope"),
    ]


def test_a_cut_picture_is_found_before_hours_of_clip(image_set):
    picture = next((image_set / "test_images").glob("*/*.jpg"))
    whole = picture.read_bytes()
    picture.write_bytes(whole + b"\0")  # bytes after the end are no damage
    repack_image_set(image_set)
    (image_set / "images.parquet").unlink()
    picture.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=rf"{picture.name}: cannot read this picture .*unpack"):
        repack_image_set(image_set)
    assert not (image_set / "images.parquet").exists()


def test_hidden_twins_of_macos_archives_are_no_pictures(image_set):
    expected = repack_image_set(image_set)
    (image_set / "training_images" / "00002_bat1" / "._bat1_01b.jpg").write_bytes(b"")
    pd.testing.assert_frame_equal(repack_image_set(image_set), expected)


def rename(root):
    folder = root / "training_images" / "00002_bat1"
    (folder / "bat1_02b.jpg").rename(folder / "bat1_13s.jpg")


def test_read_images_follow_the_table(image_set):
    table = repack_image_set(image_set).iloc[[7, 0, 9]]
    Image.new("L", (5, 5), 77).save(image_set / table["path"].iloc[2])
    pictures = list(read_images(table, image_set))
    assert [picture.mode for picture in pictures] == ["RGB"] * 3
    assert [picture.size for picture in pictures] == [(8, 6), (8, 6), (5, 5)]
    for picture, colour in zip(pictures, [(120, 100, 200), (0, 0, 200), (77, 77, 77)], strict=True):
        np.testing.assert_allclose(np.asarray(picture)[2, 2], colour, atol=4)  # JPEG is lossy


# ---- filters and epochs


def sines(times, *frequencies):
    return sum(np.sin(2 * np.pi * frequency * times + frequency) for frequency in frequencies)


def test_epochs_of_sines_are_the_sines_at_200_hz():
    times = np.arange(40_000) / 1000
    inside = 8 * sines(times, 4, 11, 38)
    outside = 50 * sines(times, 50) + 10 * sines(times, 105, 130, 196, 240) + 10 * sines(times, 0.02) + 500
    onsets = np.arange(12_000, 28_000, 203)
    filtered = filter_eeg(np.stack([inside + outside, inside]), 1000, highpass=0.3, lowpass=75, notch=50)
    epochs = cut_epochs(filtered, onsets, n_times=200, step=5)
    expected = np.stack([inside[onset : onset + 1000].reshape(200, 5)[:, 0] for onset in onsets])
    rms = np.sqrt(np.mean(expected**2))
    error = np.sqrt(np.mean((epochs - expected[:, None]) ** 2, axis=0)) / rms
    assert error[:, 0].max() < 0.01
    assert error.max() < 0.01


def test_filter_agrees_with_scipy():
    rng = np.random.default_rng(0)
    eeg = rng.standard_normal((2, 30_000))
    # half-amplitude frequencies in the middle of the transition bands; lengths 3.3 / transition width
    expected = eeg
    for kernel in (
        signal.firwin(3301, 0.5, fs=1000, pass_zero=False),
        signal.firwin(177, 75 + 18.75 / 2, fs=1000),
        signal.firwin(6601, [49.625, 50.375], fs=1000, pass_zero="bandstop"),
    ):
        expected = signal.fftconvolve(expected, kernel[None], mode="same", axes=1)
    got = filter_eeg(eeg.copy(), 1000, **FILTERS)
    inner = slice(6000, -6000)
    error = np.sqrt(np.mean((got - expected)[:, inner] ** 2)) / expected[:, inner].std()
    assert error < 0.01


def test_filter_response():
    impulse = np.zeros((1, 40_000))
    impulse[0, 20_000] = 1
    response = filter_eeg(impulse, 1000, highpass=0.3, lowpass=75, notch=50)[0]
    np.testing.assert_allclose(response[1:20_000], response[:20_000:-1], atol=1e-12)  # zero phase
    gain, frequencies = np.abs(np.fft.rfft(response)), np.fft.rfftfreq(40_000, 1e-3)
    assert (
        gain[frequencies >= 93.75].max() < 0.003
    )  # nothing to alias at 200 Hz, for the largest edge allowed
    passband = (frequencies > 0.6) & (frequencies < 75) & (np.abs(frequencies - 50) > 1)
    assert np.abs(gain[passband] - 1).max() < 0.01
    assert gain[frequencies == 50].item() < 0.01
    assert gain[0] < 0.01


@given(st.data())
def test_cut_epochs_is_the_double_loop(data):
    n_times, step = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    n_samples = n_times * step + data.draw(st.integers(0, 20))
    onsets = data.draw(st.lists(st.integers(0, n_samples - n_times * step), max_size=5))
    eeg = np.random.default_rng(n_samples).standard_normal((3, n_samples))
    epochs = cut_epochs(eeg, np.array(onsets, int), n_times=n_times, step=step)
    assert epochs.shape == (len(onsets), 3, n_times)
    assert epochs.dtype == np.float32
    for i, onset in enumerate(onsets):
        for channel in range(3):
            for t in range(n_times):
                assert epochs[i, channel, t] == np.float32(eeg[channel, onset + t * step])


@given(st.integers(1, 499), st.integers(1, 499), st.integers(0, 2**32 - 1))
def test_find_step_passes_over_pops_and_bursts(boundary, pop, seed):
    rng = np.random.default_rng(seed)
    eeg = 1e-6 * rng.standard_normal((15, 500))
    eeg[:6, pop:] += 5e-3  # six electrodes jump by more, but alone
    burst = int(rng.integers(0, 400))
    eeg[:, burst : burst + 100] *= 8  # muscles, in all
    eeg[:, boundary:] += 1e-4 * rng.choice([-1, 1], (15, 1))
    eeg[14] = 0
    step, size = find_step(eeg)
    assert step == boundary
    assert size > 5


def test_a_joint_stands_out_from_eeg_that_has_none(rng):
    """The threshold lies between stretches of synthetic EEG and two that were joined."""
    eeg, other = background(12_000, rng=rng), background(6000, rng=rng)
    for start in range(0, 6000, 1500):
        stretch = eeg[:, start : start + 3000]
        joint = np.concatenate([eeg[:, start : start + 1500], other[:, start : start + 1500]], axis=1)
        step, _ = find_step(joint)
        assert step_clearness(stretch, find_step(stretch)[0]) < CLEAR_STEP - 1
        assert step == 1500 and step_clearness(joint, step) > CLEAR_STEP + 1


# ---- raw files


def make_raw(seed, *, n_parts, n_images, offset=0.0, amplitude=1e-5):
    """A raw dict of the release's format, one sequence a part, and the true parts.

    Each channel is a 10 Hz sine in volts whose phase tells the channel and the part; a part's own constant
    is ``offset`` times a random number.
    """
    rng = np.random.default_rng(seed)
    n_samples = n_parts * PART
    times = np.arange(PART) / 1000
    data = np.zeros((64, n_samples))
    for part in range(n_parts):
        here = slice(part * PART, (part + 1) * PART)
        for row, name in enumerate(DISK_CHANNELS):
            phase = phase_of(name, part)
            data[row, here] = amplitude * np.sin(2 * np.pi * 10 * times + phase) + offset * rng.uniform(
                0.2, 1
            )
    data[:63] += 1e-9 * rng.standard_normal((63, n_samples))
    onsets = np.concatenate([part * PART + LEAD + 200 * np.arange(20) for part in range(n_parts)])
    codes = rng.integers(1, n_images + 1, len(onsets))
    codes[rng.choice(len(codes), 2, replace=False)] = 99999
    data[63, onsets] = codes
    return {
        "raw_eeg_data": data,
        "ch_names": [*DISK_CHANNELS, "stim"],
        "ch_types": ["eeg"] * 63 + ["stim"],
        "sfreq": 1000,
        "highpass": 0.01,
        "lowpass": 100,
    }


def phase_of(name, part):
    return CHANNELS.index(name) * 0.1 + part


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
    assert list(trials.columns) == ["image", "repetition", "session", "onset"]
    assert (trials.dtypes == np.int64).all()
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


# ---- scripts


def run_script(name, folder, *, input, output, params=None):
    fake = SimpleNamespace(
        input=SimpleNamespace(**input),
        output=SimpleNamespace(**output),
        params=SimpleNamespace(**(params or {})),
        log=[str(folder / "log.txt")],
        rule=name,
        threads=1,
    )
    runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": fake})


def test_scripts(image_set, subject, images):
    folders = {name: str(image_set / name) for name in ("training_images", "test_images")}
    run_script(
        "repack_things_images",
        image_set,
        input=folders | {"metadata": str(image_set / "image_metadata.npy")},
        output={"images": str(image_set / "out" / "images.parquet")},
    )
    assert len(pd.read_parquet(image_set / "out" / "images.parquet")) == 10
    run_script(
        "repack_things_eeg",
        image_set,
        input={"files": [str(path) for path in subject.paths[:2]], "images": str(images)},
        output={"eeg": str(image_set / "out" / "eeg.h5")},
        params={"eeg": FILTERS},
    )
    with h5py.File(image_set / "out" / "eeg.h5") as got, h5py.File(subject.out) as expected:
        np.testing.assert_array_equal(got["eeg"][:], expected["eeg"][: len(got["eeg"])])
