"""Raw recordings that are not whole: what is lost is dropped and counted, what is left stays bit by bit."""

from types import SimpleNamespace

import h5py
import mne
import numpy as np
import pandas as pd
import pytest
from helpers.raw_files import DISK_CHANNELS, FILTERS, LEAD, N_TEST, N_TRAIN, TAIL, make_raw
from hypothesis import given
from hypothesis import strategies as st

from brain2image.config.data import EEGConfig
from brain2image.core.errors import InputError
from brain2image.datasets import bad_channels as bads
from brain2image.datasets import splines
from brain2image.datasets.left_out import read_recordings
from brain2image.datasets.things_eeg2.sequences import (
    FAULTS,
    TARGET,
    check_lost,
    count_absent,
    find_parts,
    find_sequences,
)
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.formats.hdf5 import read_trials
from brain2image.quality.lost_trials import loss_notes

N_SEQUENCES = 2  # of a part
CYCLE = 6000  # ms from sequence to sequence
PART = LEAD + (N_SEQUENCES - 1) * CYCLE + 19 * 200 + TAIL
FIVE = {"n_parts": 5, "max_lost": 0.3, "source": "x"}


def onsets_of(part, sequence):
    return part * PART + LEAD + sequence * CYCLE + 200 * np.arange(20)


def make_long(seed, *, n_parts, n_images):
    """A raw file of two sequences a part: noise, with a jump of 0.1 mV at each joint."""
    rng = np.random.default_rng(seed)
    data = np.zeros((64, n_parts * PART))
    data[:63] = 1e-5 * rng.standard_normal((63, data.shape[1]))
    levels = 1e-4 * rng.choice([-1, 1], (63, 1)) * (-1) ** np.arange(n_parts)
    data[:63] += levels.repeat(PART, axis=1)
    onsets = np.array([onsets_of(part, number) for part in range(n_parts) for number in range(N_SEQUENCES)])
    data[63, onsets] = rng.integers(1, n_images + 1, onsets.shape)
    data[63, onsets[::2, 4]] = TARGET
    return make_raw(0, n_parts=1, n_images=n_images) | {"raw_eeg_data": data}


def write_session(folder, session, contents):
    paths = [folder / f"ses-0{session}" / f"raw_eeg_{name}.npy" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, content)
    return paths


def repacked(files, images, out, **options):
    repack_eeg(files, images, out=out, **FILTERS | options)
    with h5py.File(out) as file:
        return SimpleNamespace(
            eeg=file["eeg"][:],
            trials=read_trials(file),
            counts=read_recordings(file).set_index(["session", "is_test"]),
            attributes=dict(file.attrs),
        )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.parquet"
    pd.DataFrame({"partition": ["train"] * N_TRAIN + ["test"] * N_TEST}).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, images):
    """A training and two test recordings without a fault."""
    folder = tmp_path_factory.mktemp("whole")
    test = [make_long(seed, n_parts=1, n_images=N_TEST) for seed in (1, 2)]
    training = make_long(0, n_parts=5, n_images=N_TRAIN)
    paths = [
        *write_session(folder, 1, {"training": training, "test": test[0]}),
        *write_session(folder, 2, {"test": test[1]}),
    ]
    result = repacked(paths, images, folder / "eeg.h5")
    return SimpleNamespace(training=training, test=test[0], paths=paths, **vars(result))


def assert_left(result, whole, is_left):
    """The trials are those of the whole recording that ``is_left``, bit by bit, repetitions counted anew."""
    expected = whole.trials[is_left].reset_index(drop=True)
    expected["repetition"] = expected.groupby("image").cumcount()
    pd.testing.assert_frame_equal(result.trials, expected)
    np.testing.assert_array_equal(result.eeg, whole.eeg[is_left])


def test_whole_recordings_lose_nothing_and_missing_sessions_are_counted(whole):
    counts = whole.counts
    assert counts.loc[(0, 0)].to_dict() == dict.fromkeys(counts, 0) | {
        "is_there": 1, "trials": 195, "sequences": 10
    }  # fmt: skip
    assert counts["is_there"].tolist() == [1, 1, 0, 1, 0, 0, 0, 0]
    assert counts["trials"].sum() == len(whole.trials) == len(whole.eeg)
    notes = loss_notes(counts.reset_index(), [], edge=2)
    assert notes == [
        "No usable file of session 2 (train), 3 (train), 3 (test), 4 (train), 4 (test): "
        "their trials are missing."
    ]
    assert (EEGConfig().edge, EEGConfig().max_lost) == tuple(
        repack_eeg.__kwdefaults__[name] for name in ("edge", "max_lost")
    )


# The damage, by part and sequence, and what it counts as.
DAMAGED = {
    "lost_pulse": (0, 1),
    "added_pulse": (1, 0),
    "late_frame": (2, 1),
    "unknown_code": (4, 0),
}


def damage(stim):
    stim[onsets_of(0, 1)[7]] = 0
    stim[onsets_of(1, 0)[3] + 90] = 5
    late = onsets_of(2, 1)[11]
    stim[late + 60], stim[late] = stim[late], 0
    stim[onsets_of(4, 0)[19]] = N_TRAIN + 1
    stim[onsets_of(3, 1)[0] - 1090] = 2  # no picture: between two sequences


def test_one_fault_costs_its_sequence_alone(whole, images, tmp_path, caplog):
    content = whole.training
    broken = content | {"raw_eeg_data": content["raw_eeg_data"].copy()}
    damage(broken["raw_eeg_data"][63])
    paths = write_session(tmp_path, 1, {"training": broken})
    files = [*paths, *whole.paths[1:]]
    result = repacked(files, images, tmp_path / "eeg.h5", max_lost=0.4)
    lost = np.concatenate([onsets_of(*place) for place in DAMAGED.values()])
    is_training = (whole.trials["session"] == 0) & (whole.trials["image"] < N_TRAIN)
    assert_left(result, whole, ~(is_training & whole.trials["onset"].isin(lost)))
    count = result.counts.loc[(0, 0)]
    assert {fault: count[fault] for fault in FAULTS} == dict.fromkeys(DAMAGED, 1) | {"absent": 0}
    assert (count["sequences"], count["stray_pulses"], count["unclear_joints"]) == (6, 1, 0)
    assert "dropped 1 of 10 sequences, with a late picture" in caplog.text
    assert "passed over 1 pulses" in caplog.text
    notes = loss_notes(result.counts.reset_index(), ["Oz"], edge=2)
    assert notes[0] == "Interpolated from the other channels: Oz."
    assert notes[2].startswith("Dropped 4 of 14 sequences of pictures: 1 with a lost pulse, 1 with an add")
    with pytest.raises(
        InputError, match=r"at most 39 % of its sequences .* got 4 of 10: 1 with a lost pulse"
    ):
        repacked(files, images, tmp_path / "refused.h5", max_lost=0.39)


def test_a_session_without_a_file_costs_its_trials_alone(whole, images, tmp_path):
    result = repacked(whole.paths[:0:-1], images, tmp_path / "eeg.h5")  # in any order
    assert_left(result, whole, whole.trials["image"] >= N_TRAIN)
    assert result.counts["is_there"].tolist() == [0, 1, 0, 1, 0, 0, 0, 0]


def test_trials_near_the_ends_of_a_part_are_left_out(whole, images, tmp_path, caplog):
    """With an edge of 2.5 s instead of 2 the first three and the last three pictures of each part."""
    result = repacked(whole.paths[1:], images, tmp_path / "eeg.h5", edge=2.5)
    is_test, sample = whole.trials["image"] >= N_TRAIN, whole.trials["onset"] % PART
    is_near = (sample < 2500) | (sample + 1000 > PART - 2500)
    assert_left(result, whole, is_test & ~is_near)
    assert result.counts["near_edge"].sum() == (is_near & is_test).sum() == 12
    assert "trials that reach within 2.5 s of an end of their part" in caplog.text
    with pytest.raises(InputError, match=r"trials 60 s or more \(eeg.edge\) from the ends"):
        repacked(whole.paths[1:], images, tmp_path / "refused.h5", edge=60)


def test_a_baseline_is_the_mean_before_the_onset(whole, images, tmp_path):
    """As MNE's epochs of the same filtered part have it."""
    result = repacked(whole.paths[1:2], images, tmp_path / "eeg.h5", baseline=0.2, edge=1.5)
    data = whole.test["raw_eeg_data"]
    info = mne.create_info([*DISK_CHANNELS, "stim"], 1000, ["eeg"] * 63 + ["stim"])
    raw = mne.io.RawArray(data.copy(), info, verbose="error").reorder_channels([*CHANNELS, "stim"])
    raw.filter(1, 75, verbose="error").notch_filter([50], verbose="error")
    events = np.column_stack([result.trials["onset"], result.trials[["session", "image"]]])
    options = {"tmin": -0.2, "tmax": 0.999, "baseline": (-0.2, -0.001), "picks": "eeg", "verbose": "error"}
    expected = mne.Epochs(raw, events, **options).get_data(units="uV", copy=False)[:, :, 200::5]
    np.testing.assert_allclose(result.eeg, expected, atol=1e-4)
    assert result.attributes["baseline"] == 0.2
    assert len(result.trials) == (data[63] > 0).sum() - (data[63] == TARGET).sum()
    with pytest.raises(InputError, match="baseline: expected 0 for preprocessed epochs"):
        repack_eeg([], images, out=tmp_path / "x.h5", baseline=0.2)


@pytest.mark.parametrize("listed", [["Oz", "Fp1"], None])
def test_bad_channels_are_interpolated_as_mne_does(whole, images, tmp_path, listed):
    content = whole.test
    loud = content | {"raw_eeg_data": content["raw_eeg_data"].copy()}
    for name, factor in {"Fp1": 30, "Oz": 1e-4}.items():
        loud["raw_eeg_data"][DISK_CHANNELS.index(name)] *= factor
    files = write_session(tmp_path, 1, {"test": loud})
    result = repacked(files, images, tmp_path / "eeg.h5", bads=listed)
    assert list(result.attributes["interpolated"]) == ["Fp1", "Oz"]
    mine = (whole.trials["session"] == 0) & (whole.trials["image"] >= N_TRAIN)
    info = mne.create_info(list(CHANNELS), 200, "eeg")
    info.set_montage(splines.template(splines.TEN_FIVE))
    info["bads"] = ["Fp1", "Oz"]
    epochs = mne.EpochsArray(whole.eeg[mine], info, verbose="error")
    expected = epochs.interpolate_bads(origin="auto", verbose="error").get_data()
    np.testing.assert_allclose(result.eeg, expected, atol=2e-3)
    sound = [row for row, name in enumerate(CHANNELS) if name not in info["bads"]]
    np.testing.assert_array_equal(result.eeg[:, sound], whole.eeg[mine][:, sound])


def test_bad_channels_that_cannot_be():
    with pytest.raises(InputError, match=r"eeg.bad_channels: expected names of the 63 channels, got Fz, oz;"):
        bads.check_bads(["Fz", "Oz", "oz"], CHANNELS)
    with pytest.raises(InputError, match="most of the 63 channels to be sound, got 32 bad ones"):
        bads.check_bads(CHANNELS[:32], CHANNELS)


# ---- sequences and parts alone


def stim_of(onsets):
    stim = np.zeros(int(np.max(onsets)) + 2000)
    stim[np.asarray(onsets).ravel()] = 1
    return stim


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda stim, onsets: None, None),
        (lambda stim, onsets: stim.__setitem__(onsets[[5, 6, 7, 8]], 0), "lost_pulse"),
        (lambda stim, onsets: stim.__setitem__([onsets[19], onsets[19] + 200], [0, 1]), "late_frame"),
        (lambda stim, onsets: stim.__setitem__([onsets[0] - 200], 1), "added_pulse"),
        (lambda stim, onsets: stim.__setitem__(onsets[3], np.nan), "unknown_code"),
        (lambda stim, onsets: stim.__setitem__(onsets[3], 1.5), "unknown_code"),
        (lambda stim, onsets: stim.__setitem__(onsets[3], -1), "unknown_code"),
        # a late display frame, as there are many, is none
        (lambda stim, onsets: stim.__setitem__([onsets[7], onsets[7] + 17], [0, 1]), None),
    ],
)
def test_faults_of_a_sequence(change, fault):
    onsets = np.array([onsets_of(0, sequence) for sequence in range(3)])
    stim = stim_of(onsets)
    change(stim, onsets[1])
    found = find_sequences(stim, n_images=3, source="x")
    assert found.lost == dict.fromkeys(FAULTS, 0) | ({fault: 1} if fault else {})
    assert len(found.onsets) == 2 + (fault is None)
    assert len(found.spans) == 3
    np.testing.assert_array_equal(found.onsets[[0, -1]], onsets[[0, 2]])


@given(st.dictionaries(st.integers(0, 19), st.sampled_from([1, 2, 3, TARGET]), min_size=20, max_size=20))
def test_pictures_are_read_back(codes):
    stim = np.zeros(6000)
    stim[100:4100:200] = [codes[place] for place in range(20)]
    found = find_sequences(stim, n_images=3, source="x")
    assert found.codes.tolist() == [[codes[place] for place in range(20)]]
    assert found.onsets.tolist() == [list(range(100, 4100, 200))]


def joined(rng, *, steps=(1e-4,) * 4, n_sequences=6):
    """Five parts of noise on 15 channels with steps (V) at their joints, and the onsets, a row a sequence."""
    length = LEAD + (n_sequences - 1) * CYCLE + 19 * 200 + TAIL
    levels = np.cumsum([0, *steps])[:, None] * rng.choice([-1, 1], 15)
    data = 1e-6 * rng.standard_normal((15, 5 * length)) + levels.T.repeat(length, axis=1)
    starts = [part * length + LEAD + n * CYCLE for part in range(5) for n in range(n_sequences)]
    joints = [part * length for part in range(1, 5)]
    return data, np.array(starts)[:, None] + 200 * np.arange(20), joints


@pytest.mark.parametrize(("lost", "n_absent"), [([], 0), ([0], 1), ([29], 1), ([6, 13], 2), ([5, 6], 2)])
def test_parts_are_told_when_whole_sequences_are_lost(rng, lost, n_absent):
    data, onsets, joints = joined(rng)
    found = find_sequences(stim_of(np.delete(onsets, lost, axis=0)), n_images=3, source="x")
    parts, n_unclear = find_parts(data, range(15), found, **FIVE)
    assert [start for start, _ in parts[1:]] == joints
    assert count_absent(found.spans, parts) == n_absent
    assert n_unclear == 0


def test_a_joint_without_a_step_is_counted(rng):
    data, onsets, joints = joined(rng, steps=(1e-4, 0, 1e-4, 1e-4))
    found = find_sequences(stim_of(onsets), n_images=3, source="x")
    parts, n_unclear = find_parts(data, range(15), found, **FIVE)
    assert n_unclear == 1
    assert [parts[i][0] for i in (1, 3, 4)] == [joints[i] for i in (0, 2, 3)]
    assert onsets[11, 19] < parts[2][0] < onsets[12, 0]  # in the gap where it must be
    found = find_sequences(stim_of(onsets[1:]), n_images=3, source="x")
    with pytest.raises(
        InputError, match="got 29 sequences and no step near number 12 that tells where part 2"
    ):
        find_parts(data, range(15), found, **FIVE)


def test_what_is_lost_is_refused_by_its_share():
    lost = dict.fromkeys(FAULTS, 0)
    check_lost(lost | {"absent": 1}, 19, max_lost=0.05, source="x")
    for n_lost, n_whole in ((2, 19), (0, 0)):
        with pytest.raises(InputError, match="x: expected at most 5 % of its sequences"):
            check_lost(lost | {"absent": n_lost}, n_whole, max_lost=0.05, source="x")
