"""Alljoined1: recordings and tables in the declared formats turned into trials of NSD's pictures."""

import logging
import shutil
from types import SimpleNamespace

import h5py
import hdf5plugin
import mne
import numpy as np
import pandas as pd
import pytest
from helpers.alljoined_files import (
    AMPLITUDE,
    BLOCK,
    DESIGN,
    FREQUENCY,
    OPTIONS,
    SFREQ,
    SHARED,
    make_session,
    paths,
    write_design,
    write_pictures,
    write_session,
)
from helpers.damage import cut

from brain2image.config import load_config
from brain2image.config.data import EEGConfig
from brain2image.core.errors import InputError
from brain2image.datasets.alljoined1.alljoined1 import DATASET
from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.datasets.alljoined1.alljoined_eeg import repack_eeg
from brain2image.datasets.alljoined1.alljoined_inventory import describe_person
from brain2image.datasets.alljoined1.biosemi import find_parts, read_recording
from brain2image.datasets.alljoined1.shown_pictures import read_table
from brain2image.datasets.left_out import read_recordings
from brain2image.formats.hdf5 import read_trials
from brain2image.synthetic.alljoined_files import BIOSEMI_CAP, write_recording, write_table

N_SESSION = 12  # trials of two blocks
DELAY = 51  # samples


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Both sessions, of two blocks each, with jumps of up to 1 mV between these."""
    root = tmp_path_factory.mktemp("alljoined1")
    write_design(root / DESIGN)
    write_pictures(root / "images.parquet")
    sessions = [make_session(number, n_blocks=2) for number in range(2)]
    for number, session in enumerate(sessions, 1):
        write_session(root, number, session)
    return SimpleNamespace(root=root, sessions=sessions)


@pytest.fixture
def copied(release, tmp_path):
    """A copy that may be damaged."""
    return SimpleNamespace(
        root=shutil.copytree(release.root, tmp_path / "release"), sessions=release.sessions
    )


def repacked(root, out, *, without=(), **options):
    files = [*paths(1), *paths(2), DESIGN]
    files = [root / file for file in files if file not in without]
    repack_eeg(files, root / "images.parquet", out=out, **OPTIONS | options)
    with h5py.File(out) as file:
        found = {"eeg": file["eeg"][:], "trials": read_trials(file), "attributes": dict(file.attrs)}
        return SimpleNamespace(**found, recordings=read_recordings(file))


@pytest.fixture(scope="module")
def whole(release, tmp_path_factory):
    return repacked(release.root, tmp_path_factory.mktemp("whole") / "eeg.h5")


def test_channels_are_the_64_of_the_cap():
    assert len(CHANNELS) == 64
    assert set(CHANNELS) == set(BIOSEMI_CAP.channels)
    assert set(CHANNELS) <= set(mne.channels.make_standard_montage("biosemi64").ch_names)


def test_trials_are_the_events_in_the_order_shown(release, whole):
    expected, seen = [], {}
    for number, session in enumerate(release.sessions):
        for onset, image in zip(session.onsets, session.images, strict=True):
            seen[image] = seen.get(image, -1) + 1
            expected.append((image, seen[image], number, onset + DELAY))
    assert list(whole.trials.columns) == ["image", "repetition", "session", "onset", "weight"]
    assert list(whole.trials.drop(columns="weight").itertuples(index=False, name=None)) == expected
    assert (whole.trials["weight"] == 1).all()
    assert whole.recordings[["is_there", "trials", "sequences"]].to_numpy().tolist() == 2 * [[1, 12, 12]]


def test_epochs_begin_with_the_picture_and_are_exact(whole):
    """A sine of 10 Hz in each channel, 0.1 s after the trigger, in spite of the jump between blocks."""
    assert whole.eeg.shape == (2 * N_SESSION, 64, 200)
    within = whole.trials["onset"].to_numpy() % BLOCK / SFREQ
    times = within[:, None, None] + np.arange(200) / 200
    phases = 0.1 * np.arange(64)[:, None]
    expected = 1e6 * AMPLITUDE * np.sin(2 * np.pi * FREQUENCY * times + phases)
    assert np.abs(whole.eeg - expected).max() < 0.02 * 1e6 * AMPLITUDE
    # were they cut at the trigger, they would be off by half an amplitude and more
    late = 1e6 * AMPLITUDE * np.sin(2 * np.pi * FREQUENCY * (times - DELAY / SFREQ + 0.025) + phases)
    assert np.abs(whole.eeg - late).max() > 0.5 * 1e6 * AMPLITUDE


def test_attributes(whole):
    attributes = whole.attributes
    assert list(attributes.pop("channels")) == list(CHANNELS)
    expected = {"unit": "uV", "sfreq": 200, "t0": 0, "raw_sfreq": 512, "mains": 60, "trigger_delay": 0.1}
    expected |= {"release": "raw", "reference": "CMS", "whiten": "none", "clip": 0, "clipped": 0, "edge": 1}
    expected |= {"highpass": 2, "lowpass": 75, "baseline": 0}
    assert attributes.pop("notch").tolist() == []
    assert attributes.pop("interpolated").tolist() == []
    assert attributes.pop("soa") == round(0.8 * SFREQ) / SFREQ
    assert attributes == expected


def test_the_log_names_delay_and_mains(release, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    repacked(release.root, tmp_path / "eeg.h5", notch=[50.0, 60.0])
    text = "pictures 0.1 s after their triggers (51 samples), mains of 60 Hz, notch at 50 and 60 Hz; 2 parts"
    assert caplog.text.count(text) == 2


def test_mains_are_removed(copied, tmp_path):
    session = make_session(0, n_blocks=2)
    session.volts += 1e-4 * np.sin(2 * np.pi * 60 * np.arange(2 * BLOCK) / SFREQ)
    (copied.root / paths(1)[0]).unlink()
    write_session(copied.root, 1, session)
    found = {
        name: repacked(copied.root, tmp_path / "eeg.h5", notch=notch, without=paths(2))
        for name, notch in {"mains": "mains", "none": []}.items()
    }
    assert found["mains"].attributes["notch"].tolist() == [60.0]
    rms = {name: np.sqrt(np.mean(one.eeg**2)) for name, one in found.items()}
    assert rms["mains"] == pytest.approx(1e6 * AMPLITUDE / np.sqrt(2), rel=0.06)
    assert rms["none"] > 60


@pytest.mark.parametrize("without", [(DESIGN,), (paths(1)[1], paths(2)[1])], ids=["tables", "design"])
def test_either_source_of_pictures_says_the_same(release, whole, tmp_path, without):
    found = repacked(release.root, tmp_path / "eeg.h5", without=without)
    pd.testing.assert_frame_equal(found.trials, whole.trials)


def test_without_any_source_of_pictures(release, tmp_path):
    with pytest.raises(InputError, match="to know its pictures, got neither; download one of them"):
        repacked(release.root, tmp_path / "eeg.h5", without=[DESIGN, paths(1)[1], paths(2)[1]])


def test_tables_hold_what_was_not_rejected(copied, tmp_path, caplog):
    """Without the design, pictures all of whose trials were rejected are not known."""
    session = copied.sessions[0]
    kept = session.codes != 960
    write_table(
        copied.root / paths(1)[1], session.images[kept], session.onsets[kept] / SFREQ, subject=3, session=1
    )
    found = repacked(copied.root, tmp_path / "eeg.h5", without=[DESIGN], max_lost=0.2)
    assert found.recordings["unknown_code"].tolist() == [2, 0]
    assert "left out 2 trials whose picture is not known" in caplog.text
    first = found.trials[found.trials["session"] == 0]
    assert first["image"].tolist() == session.images[kept].tolist()


def test_sessions_say_which_list_is_theirs(copied, tmp_path):
    """Odd ones the subject's own, even ones the shared pictures."""
    own = np.tile(np.arange(1, 10_001), (8, 1))
    own[2, :1000] = np.roll(SHARED, 9) + 1
    write_design(copied.root / DESIGN, subjectim=own)
    tables = [paths(1)[1], paths(2)[1]]
    found = repacked(copied.root, tmp_path / "eeg.h5", without=tables).trials
    first, second = (found.loc[found["session"] == session, "image"].to_numpy() for session in (0, 1))
    assert first.tolist() == np.roll(SHARED, 9)[copied.sessions[0].codes - 1].tolist()
    assert second.tolist() == copied.sessions[1].images.tolist()


def test_pictures_that_are_not_shared_are_refused(copied, tmp_path):
    own = np.tile(np.arange(1, 10_001), (8, 1))
    own[2, :1000] = SHARED + 2  # an id too many
    write_design(copied.root / DESIGN, subjectim=own)
    with pytest.raises(InputError, match=r"shared 1,000 pictures alone, got picture \d+ .* none of them"):
        repacked(copied.root, tmp_path / "eeg.h5", without=[paths(1)[1], paths(2)[1]])


def test_a_table_that_contradicts_stops_all(copied, tmp_path):
    """Also where the other session could be read."""
    session = copied.sessions[1]
    images = np.where(session.codes == 959, SHARED[0], session.images)
    write_table(copied.root / paths(2)[1], images, session.onsets / SFREQ, subject=3, session=2)
    told = rf"expected picture {SHARED[958]} \(0-based NSD id\) for event code 959, .* got {SHARED[0]};"
    with pytest.raises(InputError, match=rf"session2\.h5: {told}"):
        repacked(copied.root, tmp_path / "eeg.h5")
    assert not list(tmp_path.glob("*.h5*"))


def test_missing_and_broken_recordings_are_reported(copied, tmp_path, caplog):
    cut(paths(1)[0])(copied.root)
    found = repacked(copied.root, tmp_path / "eeg.h5")
    assert found.trials["session"].unique().tolist() == [1]
    assert found.recordings["is_there"].tolist() == [0, 1]
    assert "session 1 is left out: " in caplog.text and "subj03_session1_eeg.fif: expected EEG" in caplog.text
    found = repacked(copied.root, tmp_path / "eeg.h5", without=[paths(1)[0]])
    assert found.recordings["is_there"].tolist() == [0, 1]
    assert "session 1 has no recording: its trials are missing" in caplog.text
    (copied.root / paths(2)[0]).write_bytes(b"")
    with pytest.raises(
        InputError, match=r"session1_eeg\.fif: expected EEG .*; .*session2_eeg\.fif: expected"
    ):
        repacked(copied.root, tmp_path / "eeg.h5")


def test_what_went_wrong_late_leaves_nothing_behind(copied, whole, tmp_path):
    """The unit is checked when the trials of the session have been written."""
    session = make_session(0, n_blocks=2)
    session.volts *= 1e6
    (copied.root / paths(1)[0]).unlink()
    write_session(copied.root, 1, session)
    found = repacked(copied.root, tmp_path / "eeg.h5")
    np.testing.assert_array_equal(found.eeg, whole.eeg[N_SESSION:])


def test_blocks_are_filtered_apart(release):
    recording = read_recording(release.root / paths(1)[0])
    parts = find_parts(recording.data, recording.onsets)
    assert parts == [(0, BLOCK), (BLOCK, 2 * BLOCK)]
    smooth = recording.data.copy()
    for start, stop in parts:
        smooth[:, start:stop] -= smooth[:, start:stop].mean(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    noise = 1e-5 * rng.standard_normal(smooth.shape)  # that hides where the sine begins anew
    assert find_parts(smooth + noise, recording.onsets) == [(0, 2 * BLOCK)]


def test_trials_near_an_end_are_left_out(release, tmp_path, caplog):
    found = repacked(release.root, tmp_path / "eeg.h5", edge=1.2)
    assert found.recordings["near_edge"].tolist() == [2, 2]  # the first of each block
    assert len(found.trials) == 2 * (N_SESSION - 2)
    assert "left out 2 trials near an end of a part" in caplog.text


def test_missing_channels_are_interpolated(copied, whole, tmp_path, caplog):
    session = copied.sessions[0]
    kept = [name for name in BIOSEMI_CAP.channels if name != "Cz"][::-1]  # in another order
    volts = np.array([session.volts[BIOSEMI_CAP.channels.index(name)] for name in kept])
    (copied.root / paths(1)[0]).unlink()
    write_recording(copied.root / paths(1)[0], volts, session.onsets, session.codes, channels=kept)
    found = repacked(copied.root, tmp_path / "eeg.h5")
    cz = CHANNELS.index("Cz")
    others = np.delete(np.arange(64), cz)
    np.testing.assert_array_equal(found.eeg[:, others], whole.eeg[:, others])
    np.testing.assert_array_equal(found.eeg[N_SESSION:], whole.eeg[N_SESSION:])
    error = np.sqrt(np.mean((found.eeg[:N_SESSION, cz] - whole.eeg[:N_SESSION, cz]) ** 2))
    assert 0 < error < 0.7 * 1e6 * AMPLITUDE
    assert found.attributes["interpolated"].tolist() == ["Cz"]
    assert "channels Cz are missing, interpolated from the others" in caplog.text


def test_a_baseline_is_subtracted(release, whole, tmp_path):
    found = repacked(release.root, tmp_path / "eeg.h5", baseline=0.025, edge=0.5)
    level = whole.eeg - found.eeg
    assert np.ptp(level, axis=2).max() < 1e-3
    # a quarter of a period before each onset
    assert np.abs(level).max() == pytest.approx(1e6 * AMPLITUDE * 2 * np.sqrt(2) / np.pi, rel=0.05)


def test_files_of_two_subjects_are_refused(release, tmp_path):
    files = [release.root / "raw/subj03_session1_eeg.fif", release.root / "raw/subj04_session2_eeg.fif"]
    with pytest.raises(InputError, match="expected recordings of one subject, got those of 2"):
        repack_eeg(files, release.root / "images.parquet", out=tmp_path / "eeg.h5", **OPTIONS)
    with pytest.raises(InputError, match=r"other\.fif: expected subj01 to subj08"):
        repack_eeg(["other.fif"], release.root / "images.parquet", out=tmp_path / "eeg.h5", **OPTIONS)


def test_blosc_is_read_as_pytables_writes_it(release, tmp_path):
    path = shutil.copy(release.root / paths(1)[1], tmp_path / "subj03_session1.h5")
    with h5py.File(path, "r+") as file:
        values = file["df/block0_values"][:]
        del file["df/block0_values"]
        blosc = hdf5plugin.Blosc(cname="blosclz", clevel=9)
        file["df"].create_dataset("block0_values", data=values, chunks=values.shape, compression=blosc)
    found, expected = (read_table(file, subject=3, session=1) for file in (path, release.root / paths(1)[1]))
    pd.testing.assert_frame_equal(found, expected)


def test_a_compression_that_is_not_at_hand(release, tmp_path):
    """Here one that nobody has."""
    path = shutil.copy(release.root / paths(1)[1], tmp_path / "subj03_session1.h5")
    with h5py.File(path, "r+") as file:
        values = file["df/block0_values"][:]
        del file["df/block0_values"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(values.shape)
        properties.set_filter(32100, h5py.h5z.FLAG_OPTIONAL, ())
        space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.NATIVE_INT64
        h5py.h5d.create(file["df"].id, b"block0_values", kind, space, properties)
    files = [release.root / paths(1)[0], path]
    with pytest.raises(InputError, match=r"HDF5's filter 32100; use the authors' file, or take"):
        repack_eeg(files, release.root / "images.parquet", out=tmp_path / "eeg.h5", **OPTIONS)


def test_the_data_set_finds_its_files(release, tmp_path):
    data = {"alljoined1": str(release.root), "nsd": "nsd"}
    person = "alljoined-03"
    assert DATASET.label(person) == "subj03"
    assert DATASET.root(data) == "nsd"
    assert DATASET.find_people(data) == [person]
    whole = DATASET.find_release(data, person, must_exist=True).files
    assert whole == [
        f"{release.root}/{name}" for name in (*paths(1)[:1], paths(2)[0], paths(1)[1], paths(2)[1], DESIGN)
    ]
    (tmp_path / "raw").mkdir()
    (tmp_path / paths(2)[0]).touch()
    data["alljoined1"] = str(tmp_path)
    assert DATASET.find_release(data, person, must_exist=True).files == [f"{tmp_path}/{paths(2)[0]}"]
    with pytest.raises(InputError, match=r"expected a release of alljoined|expected .* release of subj01"):
        DATASET.find_release(data, "alljoined-01", must_exist=True)


def test_check_data_describes_a_person(copied):
    data = {"alljoined1": str(copied.root), "nsd": "nsd"}
    start = "raw: {} recordings, 0 minutes, 64 channels at 512 Hz, volts; pictures by {} tables and nsd_exp"
    assert describe_person(data, "alljoined-03").startswith(start.format(2, 2))
    (copied.root / paths(1)[0]).write_bytes(b"")
    found = describe_person(data, "alljoined-03")
    assert found.startswith(start.format(1, 2))
    assert "subj03_session1_eeg.fif: expected EEG" in found
    (copied.root / paths(2)[0]).unlink()
    with pytest.raises(InputError, match=r"session1_eeg\.fif: expected EEG .*; session 2 is missing"):
        describe_person(data, "alljoined-03")


def test_check_data_says_which_session_nothing_names(copied):
    """As the repacking would, an hour later."""
    data = {"alljoined1": str(copied.root), "nsd": "nsd"}
    (copied.root / DESIGN).unlink()
    assert "pictures by 2 tables" in describe_person(data, "alljoined-03")
    (copied.root / paths(1)[1]).unlink()
    found = describe_person(data, "alljoined-03")
    assert found.startswith("raw: 1 recordings")
    assert "session1_eeg.fif: expected nsd_expdesign.mat, or the session's .h5 in 05_125" in found
    (copied.root / paths(2)[1]).unlink()
    with pytest.raises(InputError, match=r"session1_eeg\.fif: expected nsd_.*; .*session2_eeg"):
        describe_person(data, "alljoined-03")


def test_options_of_the_config():
    config = EEGConfig(interpolate_bads=True, bad_channels={"alljoined-03": ["Cz"]})
    options = DATASET.eeg_options(config, "alljoined-03", "raw")
    assert options["bads"] == ["Cz"]
    assert options["notch"] == "mains"
    with pytest.raises(InputError, match=r"eeg\.notch.*expected mains, a frequency or a list"):
        load_config({"eeg": {"notch": "line"}})


def test_simulated_files_land_among_the_results():
    inside = dict.fromkeys(["things_images", "things_eeg", "nsd"], "results/raw/x")
    content = {
        "simulate": {},
        "data": inside,
        "weights": {"clip": "results/raw/a", "cbramod": "results/raw/b"},
    }
    content["weights"]["mindeye2"] = "results/raw/{subj}"
    assert load_config(content).data.alljoined1 == "data/alljoined1"  # of which nobody is simulated
    with pytest.raises(
        InputError, match=r"data\.alljoined1 must lie inside 'results/raw', got 'data/alljoined1'"
    ):
        load_config(content | {"brains": ["alljoined-01_subj01"]})
