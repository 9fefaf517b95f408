"""New EEG in every format: the evaluation's numbers for the same trials, or one line on what is wrong."""

import subprocess
import sys
from types import SimpleNamespace

import h5py
import mne
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from helpers.raw_files import DISK_CHANNELS, FILTERS, N_TEST, N_TRAIN, PART, make_raw
from safetensors.torch import save_file

from brain2image.__main__ import main
from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.datasets.splines import TEN_FIVE, interpolation_matrix, template
from brain2image.datasets.things_eeg2.things_channels import CHANNELS
from brain2image.datasets.things_eeg2.things_eeg import repack_eeg
from brain2image.formats.files import write_json
from brain2image.formats.hdf5 import read_trials, write_trials
from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.base import EEGLayout
from brain2image.translation import recordings
from brain2image.translation.as_trained import Recipe
from brain2image.translation.embeddings import translate, write_translation
from brain2image.translation.epochs import BLOCK_TRIALS
from brain2image.translation.names import likely_name
from brain2image.translation.rates import at_model_rate

N_FEATURES = 16
SHA256 = "ab" * 32
N_SEQUENCES = 8
TARGET = "99999"


# ---- a run, and recordings of what it was trained on


def write_run(folder, *, unit="uV", scale=0.01, filters=FILTERS, channels=CHANNELS, response=None, **said):
    torch.manual_seed(0)
    block = {"n_layers": 1, "hidden_size": 16, "n_tokens": 2, "pooling": "attention"}
    model = AlignmentModel(ModelConfig(**block), EEGLayout(tuple(channels), 200, 200.0), N_FEATURES)
    model.eeg_scale.fill_(scale)
    model.target_mean.normal_()
    eeg = {"unit": unit, "sfreq": 200.0, "n_times": 200, "t0": 0.0, "channels": list(channels)}
    content = {"model": block, "eeg": eeg | filters | said, "n_features": N_FEATURES}
    write_json(folder / "config.json", content | {"fmri": {"checkpoint": "last.pth", "sha256": SHA256}})
    weights = model.state_dict()
    if response is None:  # as in runs of before
        del weights["mean_response"]
    else:
        weights["mean_response"] = torch.from_numpy(response)
    save_file(weights, folder / "model.safetensors")
    return folder


def add_noise(content, seed):
    """10 uV of noise with more power at low frequencies, in place of sines alone."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((63, content["raw_eeg_data"].shape[1]))
    content["raw_eeg_data"][:63] += 3e-6 * (
        noise + np.apply_along_axis(np.convolve, 1, noise, np.ones(20) / 6, "same")
    )
    return content


def long_recording():
    """One part of 42 s: eight sequences of twenty pictures."""
    times = np.arange(N_SEQUENCES * 5000 + 2000)
    content = make_raw(1, n_parts=1, n_images=N_TEST)
    data = np.zeros((64, len(times)))
    rng = np.random.default_rng(2)
    onsets = (1000 + 5000 * np.arange(N_SEQUENCES)[:, None] + 200 * np.arange(20)).ravel()
    data[63, onsets] = rng.integers(1, N_TEST + 1, len(onsets))
    data[63, onsets[::40]] = float(TARGET)
    return add_noise(content | {"raw_eeg_data": data}, 3)


def as_raw(content, start=0, stop=None):
    info = mne.create_info(content["ch_names"], content["sfreq"], content["ch_types"])
    return mne.io.RawArray(content["raw_eeg_data"][:, start:stop], info, verbose="error")


def with_annotations(raw):
    """The same recording with its events as annotations, and without the trigger channel."""
    events = mne.find_events(raw, shortest_event=1, verbose="error")
    # MNE's exporters round down
    onsets = (events[:, 0] - raw.first_samp + 0.01) / raw.info["sfreq"]
    annotated = raw.copy().drop_channels(["stim"])
    return annotated.set_annotations(mne.Annotations(onsets, 0, [str(code) for code in events[:, 2]]))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A run, two raw files of its subject, and what the model predicts from their repacked trials."""
    folder = tmp_path_factory.mktemp("translation")
    pd.DataFrame({"partition": ["train"] * N_TRAIN + ["test"] * N_TEST}).to_parquet(folder / "images.parquet")
    contents = [add_noise(make_raw(0, n_parts=5, n_images=N_TRAIN, offset=1e-3), 4), long_recording()]
    (folder / "ses-01").mkdir()
    files = [folder / "ses-01" / "raw_eeg_training.npy", folder / "ses-01" / "raw_eeg_test.npy"]
    for file, content in zip(files, contents, strict=True):
        np.save(file, content)
    repack_eeg(files, folder / "images.parquet", out=folder / "eeg.h5", edge=0.0, **FILTERS)
    run = write_run(folder / "run")
    with h5py.File(folder / "eeg.h5") as file:
        eeg, trials = file["eeg"][:], read_trials(file)
    trials["embedding"] = list(AlignmentModel.load(run).predict(eeg).numpy())
    is_test = trials["image"] >= N_TRAIN
    return SimpleNamespace(
        folder=folder,
        run=run,
        eeg=eeg,
        trials=trials,
        raw=as_raw(contents[1]),
        parts=[as_raw(contents[0], i * PART, (i + 1) * PART) for i in range(5)],
        train=trials[~is_test],
        test=trials[is_test],
    )


def assert_same(translation, expected, *, first_image, atol=1e-4):
    """The trials but for the targets, and their embeddings, are those of the evaluation."""
    kept = (translation.trials["event"] != TARGET).to_numpy()
    events = translation.trials["event"][kept].astype(int)
    assert events.tolist() == (expected["image"] - first_image + 1).tolist()
    assert translation.trials["sample"][kept].tolist() == expected["onset"].tolist()
    assert translation.embedding.dtype == np.float32
    np.testing.assert_allclose(
        translation.embedding[kept], np.stack(expected["embedding"]), rtol=0, atol=atol
    )


def test_predictions_tell_trials_apart(data):
    """The comparisons below would fail on the EEG of another trial."""
    embeddings = np.stack(data.trials["embedding"])
    assert np.abs(embeddings - np.roll(embeddings, 1, axis=0)).max(axis=1).min() > 0.02


def test_parts_of_a_recording_are_filtered_on_their_own(data):
    raw = mne.concatenate_raws([part.copy() for part in data.parts], verbose="error")
    assert_same(translate(raw, data.run), data.train, first_image=0)


def write_fif(raw, folder):
    raw.save(folder / "a_raw.fif", verbose="error")
    return folder / "a_raw.fif"


def write_brainvision(raw, folder):
    mne.export.export_raw(folder / "a.vhdr", with_annotations(raw), verbose="error")
    return folder / "a.vhdr"


def write_edf(raw, folder):
    mne.export.export_raw(folder / "a.edf", with_annotations(raw), verbose="error")
    return folder / "a.edf"


def write_bids(raw, folder):
    """A recording whose own markers are wrong, beside an events.tsv that is right."""
    annotated = with_annotations(raw)
    marks = annotated.annotations.to_data_frame(time_format=None)
    table = pd.DataFrame({"onset": marks["onset"], "duration": 0.1, "trial_type": marks["description"]})
    table.loc[len(table)] = ["n/a", "n/a", "n/a"]
    table.to_csv(folder / "sub-01_task-rsvp_events.tsv", sep="\t", index=False)
    annotated.set_annotations(mne.Annotations([1.5], [0], ["wrong"]))
    path = folder / "sub-01_task-rsvp_eeg.vhdr"
    mne.export.export_raw(path, annotated, verbose="error")
    return path


# 16 bits for the range of each channel are steps of 2e-3 uV
FORMATS = {
    write_fif: (str, 1e-4),
    write_brainvision: ("Comment/{}".format, 1e-4),
    write_edf: (str, 2e-3),
    write_bids: (str, 1e-4),
}


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_gives_the_numbers_of_the_evaluation(data, tmp_path, monkeypatch, write):
    monkeypatch.setattr(recordings, "BLOCK_SECONDS", 15)
    name, atol = FORMATS[write]
    translation = translate(write(data.raw, tmp_path), data.run)
    assert set(translation.trials["event"]) == {name(code) for code in [*range(1, N_TEST + 1), TARGET]}
    translation.trials["event"] = translation.trials["event"].str.removeprefix("Comment/")
    assert_same(translation, data.test, first_image=N_TRAIN, atol=atol)


def test_only_some_seconds_of_a_recording_are_read_at_once(data, monkeypatch):
    monkeypatch.setattr(recordings, "BLOCK_SECONDS", 10)
    raw, spans = data.raw.copy(), []
    read = raw.get_data

    def get_data(rows, start=0, stop=None):
        if len(rows) > 1:
            spans.append((stop - start) / 1000)
        return read(rows, start, stop)

    monkeypatch.setattr(raw, "get_data", get_data)
    assert_same(translate(raw, data.run), data.test, first_image=N_TRAIN)
    assert len(spans) == 5 + 4  # all of it in search of gaps, then what is around the trials
    # ten seconds, the last trial's second, and what the filters look around
    assert max(spans) < 10 + 1 + 2 * (1.65 + 0.1 + 3.3)


@pytest.mark.parametrize("sfreq", [250, 512])
def test_recordings_at_another_rate_are_resampled_from_each_event_on(data, sfreq):
    events = mne.find_events(data.raw, shortest_event=1, verbose="error")
    raw = data.raw.copy().drop_channels(["stim"])
    # events at samples of both rates
    kept = events[:, 0] * sfreq % 1000 == 0
    marks = mne.Annotations(events[kept, 0] / 1000, 0, [str(code) for code in events[kept, 2]])
    translation = translate(raw.resample(sfreq, verbose="error").set_annotations(marks), data.run)
    translation.trials["sample"] = translation.trials["sample"] * 1000 // sfreq
    expected = data.test[data.test["onset"].isin(events[kept, 0])]
    assert len(expected) > 5
    assert_same(translation, expected, first_image=N_TRAIN, atol=0.01)


# ---- which trials of a recording


def test_trials_at_the_end_and_in_bad_segments_are_left_out(data, caplog):
    raw = with_annotations(data.raw.copy().crop(0, 30.3))
    raw.set_annotations(
        raw.annotations + mne.Annotations([6.5, 11, 25.1], [2, 3, 0], ["BAD_blink", "bad", "EDGE boundary"])
    )
    translation = translate(raw, data.run)
    samples = translation.trials["sample"].to_numpy()
    events = mne.find_events(data.raw.copy().crop(0, 30.3), shortest_event=1, verbose="error")[:, 0]
    bad = ((events < 8500) & (events + 1000 > 6500)) | ((events < 14000) & (events + 1000 > 11000))
    late = (events + 1000 > 30_301) | ((events < 25_100) & (events + 1000 > 25_100))
    assert samples.tolist() == events[~bad & ~late].tolist()
    assert f"left out {(late & ~bad).sum()} trials that run past the end of a part" in caplog.text
    assert f"left out {(bad & ~late).sum()} trials that run in BAD segments" in caplog.text


def test_samples_count_as_in_mne_where_a_recording_was_cropped(data):
    raw = data.raw.copy().crop(10.0005, None)
    translation = translate(raw, data.run)
    events = mne.find_events(raw, shortest_event=1, verbose="error")
    assert raw.first_samp > 0
    assert translation.trials["sample"].tolist() == events[:, 0].tolist()
    later = data.test[data.test["onset"] > 20_000]
    rows = translation.trials["sample"].isin(later["onset"])
    np.testing.assert_allclose(translation.embedding[rows], np.stack(later["embedding"]), atol=1e-4)


def test_events_are_selected(data):
    translation = translate(data.raw, data.run, events=["2", 1])
    assert set(translation.trials["event"]) == {"1", "2"}
    assert_same(translation, data.test[data.test["image"] < N_TRAIN + 2], first_image=N_TRAIN)


def test_late_trials_and_another_reference_are_told(data, tmp_path, caplog):
    caplog.set_level("INFO")
    run = write_run(tmp_path, response=data.eeg.mean(axis=0), reference="Fz")
    short = data.raw.copy().crop(0, 8)
    expected = translate(short, run)
    for line in ("nothing says what it is referenced to; training's EEG is against Fz", "too few to compare"):
        assert line in caplog.text
    caplog.clear()
    translate(short, data.run)
    for line in ("does not name the reference of its training", "not hold the mean response of its training"):
        assert line in caplog.text
    raw = with_annotations(short)
    raw.annotations.onset -= 0.05
    caplog.clear()
    np.testing.assert_allclose(translate(raw, run, shift=50).embedding, expected.embedding, atol=1e-4)
    referenced = translate(short.copy().set_eeg_reference(["Cz"], verbose="error"), run, reference="Cz")
    got = translate(short, run, reference="Cz")
    np.testing.assert_allclose(got.embedding, referenced.embedding, atol=1e-4)
    assert "its reference is Cz, and Fz in training" in caplog.text
    write_translation(tmp_path / "a.h5", raw, run, shift=50, reference=["Cz"], events=["1"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file.attrs["shift"], file.attrs["reference"]) == ("50 ms", "Cz")


def test_the_latency_of_repacked_trials_is_compared(data, tmp_path, caplog):
    """A response in trials of noise, and the same 30 ms later."""
    noise = np.random.default_rng(0).standard_normal((60, 63, 206)).astype(np.float32)
    wave = np.random.default_rng(1).standard_normal((63, 206)).cumsum(axis=1).astype(np.float32)
    run = write_run(tmp_path, response=wave[:, 6:].copy())
    options = {"unit": "uV", "channels": CHANNELS, "sfreq": 200}
    translate(noise[:, :, :200] + wave[:, :200], run, **options)
    assert "comes 30 ms later than in training" in caplog.text
    caplog.clear()
    translate(noise + wave, run, shift=30, **options)
    assert caplog.text == ""


# ---- epochs and arrays


@pytest.fixture(scope="module")
def epochs(data):
    """The long recording, filtered as in training and cut by MNE."""
    raw = data.raw.copy().filter(1, 75, verbose="error").notch_filter(50, verbose="error")
    events = mne.find_events(raw, shortest_event=1, verbose="error")
    names = {f"picture {code}": code for code in range(1, N_TEST + 1)} | {"target": 99999}
    return mne.Epochs(raw, events, names, tmin=-0.2, tmax=1, baseline=None, preload=True, verbose="error")


@pytest.mark.parametrize("decim", [1, 5])
def test_epochs_give_the_numbers_of_the_evaluation(data, epochs, tmp_path, decim, caplog):
    epochs = epochs.copy().decimate(decim, verbose="error")
    epochs.save(tmp_path / "a-epo.fif", verbose="error")
    for eeg in (epochs, tmp_path / "a-epo.fif"):
        translation = translate(eeg, data.run)
        assert set(translation.trials["event"]) == set(epochs.event_id)
        translation.trials["event"] = translation.trials["event"].map(epochs.event_id).astype(str)
        assert_same(translation, data.test, first_image=N_TRAIN)
    assert "epochs are too short for the training's filters (1-75 Hz, notch at 50 Hz)" in caplog.text
    assert "baseline" not in caplog.text


def test_epochs_at_another_rate_are_resampled(data, epochs):
    raw = data.raw.copy().filter(1, 75, verbose="error").notch_filter(50, verbose="error")
    raw, events = raw.resample(250, events=epochs.events, verbose="error")
    events[:, 2] = epochs.events[:, 2]
    resampled = mne.Epochs(raw, events, tmin=0, tmax=1, baseline=None, preload=True, verbose="error")
    translation = translate(resampled, data.run)
    translation.trials["sample"] *= 4
    assert_same(translation, data.test, first_image=N_TRAIN, atol=0.02)


def test_a_baseline_is_told(data, epochs, caplog):
    translate(epochs.copy().apply_baseline((-0.1, 0), verbose="error")[:3], data.run)
    assert "a baseline (-0.1 to 0 s) was subtracted from the EEG, none in training" in caplog.text


def test_a_training_with_a_baseline_takes_epochs_that_have_it(data, epochs, tmp_path):
    run = write_run(tmp_path, filters=FILTERS | {"baseline": 0.2})
    for eeg in (data.raw, epochs, epochs.copy().apply_baseline((-0.1, 0)), data.folder / "eeg.h5"):
        with pytest.raises(InputError, match=r"mean of the 0.2 s before each event .*baseline=\(-0.2, 0\)"):
            translate(eeg, run)
    corrected = epochs.copy().apply_baseline((-0.2, 0), verbose="error")[:3]
    same = translate(corrected, data.run).embedding  # of equal weights
    np.testing.assert_array_equal(translate(corrected, run).embedding, same)


def test_channels_are_interpolated_as_in_training(data, tmp_path):
    """What a broken channel holds makes no difference, and what was interpolated before stays."""
    run = write_run(tmp_path, filters=FILTERS | {"interpolated": ["Fp1", "Oz"]})
    broken = data.eeg[:5].copy()
    broken[:, [CHANNELS.index("Fp1"), CHANNELS.index("Oz")]] *= 7
    matrix = interpolation_matrix(CHANNELS, ["Oz", "Fp1"])
    layout = {"unit": "uV", "channels": CHANNELS, "sfreq": 200}
    expected = translate(np.matmul(matrix, broken), data.run, **layout).embedding
    for eeg in (data.eeg[:5], broken, np.matmul(matrix, broken)):
        np.testing.assert_allclose(translate(eeg, run, **layout).embedding, expected, atol=1e-4)
    assert np.abs(translate(data.eeg[:5], data.run, **layout).embedding - expected).max() > 0.01


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1), ("V", 1e-6)])
def test_arrays_give_the_numbers_of_the_evaluation(data, tmp_path, unit, factor):
    assert len(data.eeg) > BLOCK_TRIALS
    np.save(tmp_path / "a.npy", data.eeg * factor)
    for eeg in (data.eeg * factor, tmp_path / "a.npy"):
        translation = translate(eeg, data.run, unit=unit, channels=CHANNELS, sfreq=200)
        assert translation.trials["event"].tolist() == [str(number) for number in range(len(data.eeg))]
        np.testing.assert_allclose(translation.embedding, np.stack(data.trials["embedding"]), atol=1e-4)


def test_repacked_trials_are_translated(data):
    translation = translate(data.folder / "eeg.h5", data.run)
    assert translation.trials["event"].tolist() == data.trials["image"].astype(str).tolist()
    np.testing.assert_allclose(translation.embedding, np.stack(data.trials["embedding"]), atol=1e-4)
    one = translate(data.folder / "eeg.h5", data.run, events=["31"])
    assert len(one.embedding) == (data.trials["image"] == 31).sum() > 1
    with h5py.File(data.folder / "eeg.h5") as file:
        assert {name: file.attrs[name] for name in FILTERS} == FILTERS


def test_whitened_eeg_is_for_a_run_trained_on_such(data, tmp_path):
    run = write_run(tmp_path, unit="whitened", filters={})
    whitened = data.eeg[:5] / data.eeg[:5].std()
    expected = AlignmentModel.load(run).predict(whitened).numpy()
    got = translate(whitened, run, unit="whitened", channels=CHANNELS, sfreq=200).embedding
    np.testing.assert_allclose(got, expected, atol=1e-4)
    with pytest.raises(
        InputError, match="expected EEG in whitened, as in training, got uV: whitened EEG has no"
    ):
        translate(data.eeg, run, unit="uV", channels=CHANNELS, sfreq=200)
    with pytest.raises(
        InputError, match="expected EEG in uV, as in training, got whitened: whitening cannot be"
    ):
        translate(whitened, data.run, unit="whitened", channels=CHANNELS, sfreq=200)


@pytest.fixture(scope="module")
def whitened(data, tmp_path_factory):
    """A run trained on whitened and clamped trials, these, and what it predicts of them."""
    folder = tmp_path_factory.mktemp("whitened")
    options = {"whiten": "session", "clip": 2.5}
    files, pictures = [data.folder / "ses-01" / "raw_eeg_training.npy"], data.folder / "images.parquet"
    repack_eeg(files, pictures, out=folder / "eeg.h5", edge=0.0, **options, **FILTERS)
    run = write_run(folder / "run", unit="whitened", scale=0.2, reference="Fz", **options)
    with h5py.File(folder / "eeg.h5") as file:
        eeg, trials, clipped = file["eeg"][:], read_trials(file), file.attrs["clipped"]
    assert 0.001 < clipped < 0.1
    trials["embedding"] = list(AlignmentModel.load(run).predict(eeg).numpy())
    embeddings = np.stack(trials["embedding"])
    assert np.abs(embeddings - np.roll(embeddings, 1, axis=0)).max(axis=1).min() > 0.02
    return SimpleNamespace(folder=folder, run=run, trials=trials)


def test_new_eeg_is_whitened_and_clamped_as_in_training(data, whitened, caplog):
    """From the recording, from its trials in microvolts, and from the file that is whitened already."""
    caplog.set_level("INFO")
    raw = mne.concatenate_raws([part.copy() for part in data.parts], verbose="error")
    shown = (whitened.trials["image"] + 1).unique()
    assert_same(translate(raw, whitened.run, events=shown), whitened.trials, first_image=0)
    n_trials = len(whitened.trials)
    assert f"whitened over the channels by its own {n_trials} trials, as each session" in caplog.text
    assert "% of the samples at 2.5 standard deviations, as in training" in caplog.text
    trials = data.eeg[:n_trials]
    arrays = {"unit": "uV", "channels": CHANNELS, "sfreq": 200}
    caplog.clear()
    translate(whitened.folder / "eeg.h5", whitened.run)
    assert "standard deviations" not in caplog.text
    for eeg, options in ((trials, arrays), (whitened.folder / "eeg.h5", {})):
        got = translate(eeg, whitened.run, **options).embedding
        np.testing.assert_allclose(got, np.stack(whitened.trials["embedding"]), atol=1e-4)
    unclamped = write_run(whitened.folder / "other", unit="whitened", scale=0.2, whiten="session")
    got = translate(trials, unclamped, **arrays).embedding
    assert np.abs(got - np.stack(whitened.trials["embedding"])).max() > 0.01


def test_too_few_trials_are_not_whitened(data, whitened):
    options = {"unit": "uV", "channels": CHANNELS, "sfreq": 200}
    with pytest.raises(
        InputError, match="expected at least as many trials as channels to whiten from, 63, got 62"
    ):
        translate(data.eeg[:62], whitened.run, **options)
    released = write_run(whitened.folder / "released", unit="whitened", filters={}, whiten="release")
    with pytest.raises(InputError, match="expected EEG in whitened, as in training, got uV"):
        translate(data.eeg, released, **options)


def test_channels_interpolated_in_training_are_so_before_they_are_whitened(data, whitened, tmp_path):
    """A file that is whitened has been through it; what the channel holds makes no difference otherwise."""
    said = {"unit": "whitened", "scale": 0.2, "whiten": "session", "interpolated": ["Oz"]}
    run, options = write_run(tmp_path, **said), {"unit": "uV", "channels": CHANNELS, "sfreq": 200}
    broken = data.eeg[:90].copy()
    broken[:, CHANNELS.index("Oz")] *= 30
    got, expected = (translate(eeg, run, **options).embedding for eeg in (broken, data.eeg[:90]))
    np.testing.assert_allclose(got, expected, atol=1e-4)
    whole = AlignmentModel.load(run).predict(read_eeg(whitened.folder / "eeg.h5")).numpy()
    got = translate(whitened.folder / "eeg.h5", run).embedding
    np.testing.assert_allclose(got, whole, atol=1e-4)


def test_what_is_left_to_do_for_a_file():
    done = SimpleNamespace(unit="whitened", clip=5.0)
    for unit, clip, training, expected in (
        ("uV", 0.0, {}, (False, 0)),
        ("V", 0.0, {"whiten": "session", "clip": 5.0}, (True, 5)),
        ("uV", 5.0, {"whiten": "session", "clip": 5.0}, (True, 5)),  # clamped, but before it is whitened
        ("uV", 5.0, {"whiten": "none", "clip": 5.0}, (False, 0)),
        ("whitened", 0.0, {"whiten": "release", "clip": 5.0}, (False, 5)),
    ):
        source = SimpleNamespace(unit=unit, clip=clip)
        assert Recipe.of(source, training) == expected
    assert Recipe.of(done, {"whiten": "session", "clip": 5.0}) == (False, 0)


def read_eeg(path):
    with h5py.File(path) as file:
        return file["eeg"][:]


# ---- rates


@pytest.mark.parametrize("sfreq", [200, 250, 256, 300, 500, 512, 1000, 1024, 2048])
def test_windows_of_sines_are_the_sines_at_200_hz(sfreq):
    before, after = sfreq // 5 + 3, sfreq // 5
    times = np.arange(-before, sfreq + after) / sfreq
    expected = np.arange(200) / 200
    eeg, expected = (
        sum(np.sin(2 * np.pi * frequency * t + frequency) for frequency in (3, 11, 40))
        for t in (times, expected)
    )
    got = at_model_rate(np.stack([eeg, -eeg]), before, sfreq, lowpass=75)
    assert got.shape == (2, 200)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [expected, -expected], atol=0.02)


def test_what_may_hold_more_than_100_hz_is_filtered_before_every_fifth_sample_is_taken():
    times = np.arange(-200, 1000) / 1000
    eeg = np.sin(2 * np.pi * 10 * times) + np.sin(2 * np.pi * 190 * times)
    clean = np.sin(2 * np.pi * 10 * np.arange(200) / 200)
    assert np.abs(at_model_rate(eeg, 200, 1000, lowpass=np.inf) - clean)[:-10].max() < 0.02
    assert np.abs(at_model_rate(eeg, 200, 1000, lowpass=75) - clean).max() > 0.5


# ---- channels


def test_channels_are_found_by_name(data):
    order = np.random.default_rng(0).permutation(63)
    eeg = np.concatenate([np.ones((20, 2, 200)), data.eeg[:20, order]], axis=1)
    names = ["VEOG", "Status", *(CHANNELS[i] for i in order)]
    got = translate(eeg, data.run, unit="uV", channels=names, sfreq=200).embedding
    np.testing.assert_allclose(got, np.stack(data.trials["embedding"][:20]), atol=1e-4)


def test_other_names_are_told_and_not_guessed(data):
    names = {"Fp1": "FP1", "T7": "T3", "P8": "T6", "O1": "EEG O1-REF", "Cz": "Cz.", "Oz": "E70"}
    eeg, channels = data.eeg[:2], [names.get(name, name) for name in CHANNELS]
    listed = (
        r"expected the 63 channels of the training, got 63 without Fp1 \(is it 'FP1'\?\), "
        r"T7 \(is it 'T3'\?\), Cz \(is it 'Cz\.'\?\), P8 \(is it 'T6'\?\), "
        r"O1 \(is it 'EEG O1-REF'\?\), Oz; rename"
    )
    for interpolate in (False, True):
        with pytest.raises(InputError, match=listed):
            translate(eeg, data.run, unit="uV", channels=channels, sfreq=200, interpolate=interpolate)


def test_a_likely_name_is_another_spelling():
    assert likely_name("T7", ["T8", "t3"]) == "t3"
    assert likely_name("Fpz", ["EEG FPZ-LE"]) == "EEG FPZ-LE"
    assert likely_name("C3", ["C31", "FC3", "C5"]) is None


def test_names_given_replace_those_of_the_file(data):
    raw = data.raw.copy().rename_channels({"Fp1": "X"})
    assert_same(translate(raw, data.run, channels=[*DISK_CHANNELS, "stim"]), data.test, first_image=N_TRAIN)


def test_bad_channels_are_known_by_their_new_names(data):
    raw = data.raw.copy().rename_channels({"Fp1": "X"})
    raw.info["bads"] = ["X"]
    with pytest.raises(InputError, match=r"without Fp1 \(marked as bad\)"):
        translate(raw, data.run, channels=[*DISK_CHANNELS, "stim"])


def test_missing_and_bad_channels_are_interpolated_when_asked(data, epochs, caplog):
    epochs = epochs.copy()[:8].drop_channels(["stim"]).set_montage(template(TEN_FIVE))
    epochs.info["bads"] = ["Cz", "PO7"]
    with pytest.raises(
        InputError, match=r"got 63 without Cz \(marked as bad\), PO7 \(marked as bad\); record them"
    ):
        translate(epochs, data.run)
    expected = epochs.copy().interpolate_bads(verbose="error")
    for given in (epochs, epochs.copy().drop_channels(["PO7"])):
        got = translate(given, data.run, interpolate=True)
        np.testing.assert_allclose(got.embedding, translate(expected, data.run).embedding, atol=1e-3)
    assert (
        "2 of 63 channels are interpolated (distance of the nearest electrode): Cz (36 mm), PO7 (29"
        in caplog.text
    )


def test_what_has_no_position_is_not_interpolated(data, tmp_path):
    run = write_run(tmp_path, channels=[*CHANNELS[:62], "E1"])
    with pytest.raises(InputError, match="expected channels of the 10-05 system to interpolate, got E1"):
        translate(data.eeg, run, unit="uV", channels=CHANNELS, sfreq=200, interpolate=True)


# ---- averages, the gallery, and files


def test_averages_are_predictions_from_mean_eeg(data):
    got = translate(data.folder / "eeg.h5", data.run, average=True)
    model = AlignmentModel.load(data.run)
    images = data.trials["image"].unique()
    assert got.trials["event"].tolist() == images.astype(str).tolist()
    for image, n_trials, embedding in zip(images, got.trials["n_trials"], got.embedding, strict=True):
        eeg = data.eeg[data.trials["image"] == image]
        assert n_trials == len(eeg)
        expected = model.predict(eeg.mean(axis=0, dtype=np.float64)[None]).numpy()[0]
        np.testing.assert_allclose(embedding, expected, atol=1e-4)


@pytest.fixture
def gallery(tmp_path, rng):
    """Nine pictures, measured once to three times."""
    images = np.array([7, 3, 7, 1, 2, 70, 3, 7, 5, 11, 13, 40])
    embedding = rng.standard_normal((len(images), N_FEATURES)).astype(np.float32)
    with h5py.File(tmp_path / "subj01.h5", "w") as file:
        file["embedding"] = embedding
        write_trials(file, pd.DataFrame({"image": images}), {"checkpoint": "last.pth", "sha256": SHA256})
    return SimpleNamespace(path=tmp_path / "subj01.h5", images=images, embedding=embedding)


def test_nearest_pictures(data, gallery):
    got = translate(data.raw, data.run, gallery=gallery.path, top_k=4)
    centre = AlignmentModel.load(data.run).target_mean.numpy()
    measured = {
        image: gallery.embedding[gallery.images == image].mean(0) - centre for image in gallery.images
    }
    for embedding, images, similarities in zip(got.embedding, got.fmri_image, got.similarity, strict=True):
        own = embedding - centre
        cosine = {i: own @ m / np.linalg.norm(own) / np.linalg.norm(m) for i, m in measured.items()}
        assert images.tolist() == sorted(cosine, key=cosine.get, reverse=True)[:4]
        np.testing.assert_allclose(similarities, [cosine[image] for image in images], atol=1e-5)


def test_both_files_hold_the_translation(data, gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "BLOCK_SECONDS", 15)
    options = {"gallery": gallery.path, "top_k": 2, "events": ["1", TARGET]}
    expected = translate(data.raw, data.run, **options)
    for name in ("a.h5", "a.parquet"):
        write_translation(tmp_path / name, data.raw, data.run, **options)
    with h5py.File(tmp_path / "a.h5") as file:
        for name in ("embedding", "fmri_image", "similarity"):
            np.testing.assert_array_equal(file[name][:], getattr(expected, name))
        assert file["trials/event"].asstr()[:].tolist() == expected.trials["event"].tolist()
        assert file["trials/sample"][:].tolist() == expected.trials["sample"].tolist()
        assert dict(file.attrs) == {
            "eeg": "RawArray",
            "run": str(data.run),
            "checkpoint": "last.pth",
            "sha256": SHA256,
        }
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert list(table) == ["event", "sample", "embedding", "fmri_image", "similarity"]
    pd.testing.assert_frame_equal(table[["event", "sample"]], expected.trials)
    for name in ("embedding", "fmri_image", "similarity"):
        np.testing.assert_array_equal(np.stack(table[name]), getattr(expected, name))
    assert b"brain2image" in pq.read_schema(tmp_path / "a.parquet").metadata


# ---- the command, and what it refuses


def command(*arguments):
    main(["translate", *map(str, arguments)])


def test_the_command(data, tmp_path, capsys):
    raw = write_fif(data.raw, tmp_path)
    out = tmp_path / "new" / "a.parquet"
    options = ("--average", "--events", "1", "2", "--shift", "-2", "--line-freq", "60", "--reference", "Cz")
    command("--run", data.run, "--eeg", raw, "--out", out, *options)
    assert b'"shift": "-2 ms", "reference": "Cz"' in pq.read_schema(out).metadata[b"brain2image"]
    assert capsys.readouterr().out == f"Embeddings: {out}\n"
    assert pd.read_parquet(out)["event"].tolist() == ["2", "1"]


def test_the_command_renames_and_interpolates(data, tmp_path, capsys):
    raw = data.raw.copy().rename_channels({"Fp1": "X=1", "Oz": "Y"}).drop_channels(["Pz"])
    (tmp_path / "names.csv").write_text("Y,Oz\nO9,O1\n")
    options = ["--rename", "X=1=Fp1", "--rename-table", tmp_path / "names.csv", "--events", "1", "2"]
    out = tmp_path / "a.h5"
    given = ["--run", data.run, "--eeg", write_fif(raw, tmp_path), "--out", out, *options]
    command(*given, "--interpolate", "--min-channels", "62")
    with h5py.File(out) as file:
        assert len(file["embedding"]) == data.test["image"].isin([N_TRAIN, N_TRAIN + 1]).sum()
    for more, problem in (
        (["--interpolate", "--min-channels", "64"], "at least 64 of the 63 channels"),
        (["--montage", "mgh60", "--min-channels", "1"], "expected electrodes within 20 mm of at least 1"),
    ):
        with pytest.raises(SystemExit, match=problem):
            command(*given, *more)
    with pytest.raises(SystemExit):
        command(*given, "--rename", "Fp1")
    assert "expected OLD=NEW, got 'Fp1'" in capsys.readouterr().err


def test_the_command_starts_without_mne_and_torch():
    """Whatever it then does, it has parsed its arguments and shown its help before."""
    code = """import sys, brain2image.__main__ as main
for command in ("translate", "calibrate"):
    try:
        main.main([command, "--help"])
    except SystemExit:
        print({"mne", "torch"} & set(sys.modules))"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.count("usage: brain2image") == shown.splitlines().count("set()") == 2


def no_events(data, folder):
    return {"eeg": data.raw.copy().drop_channels(["stim"])}


def slow_recording(data, folder):
    return {"eeg": data.raw.copy().resample(160, verbose="error")}


def short_epochs(data, folder):
    raw = data.raw
    events = mne.find_events(raw, shortest_event=1, verbose="error")
    return {"eeg": mne.Epochs(raw, events, tmin=-0.2, tmax=0.8, preload=True, verbose="error")}


def late_epochs(data, folder):
    events = mne.find_events(data.raw, shortest_event=1, verbose="error")
    return {
        "eeg": mne.Epochs(data.raw, events, tmin=0.1, tmax=1.2, baseline=None, preload=True, verbose="error")
    }


def microvolts_as_volts(data, folder):
    raw = data.raw.copy().apply_function(lambda row: 1e6 * row, picks="eeg")
    return {"eeg": raw}


def damaged(data, folder):
    path = write_fif(data.raw, folder)
    path.write_bytes(path.read_bytes()[:1000])
    return {"eeg": path}


def text_file(data, folder):
    (folder / "a.txt").write_text("EEG")
    return {"eeg": folder / "a.txt"}


def pickled(data, folder):
    np.save(folder / "a.npy", {"a": 1}, allow_pickle=True)
    return {"eeg": folder / "a.npy"}


def broken_channel(data, folder):
    eeg = data.eeg[:9].copy()
    eeg[:, 3, 5] = np.nan
    return array(eeg)


def array(eeg, **options):
    return {"eeg": eeg, "unit": "uV", "channels": CHANNELS, "sfreq": 200} | options


def milliseconds(data, folder):
    path = write_bids(data.raw, folder)
    events = folder / "sub-01_task-rsvp_events.tsv"
    table = pd.read_csv(events, sep="\t")
    table.assign(onset=1000 * table["onset"]).to_csv(events, sep="\t", index=False, na_rep="n/a")
    return {"eeg": path}


def other_columns(data, folder):
    path = write_bids(data.raw, folder)
    (folder / "sub-01_task-rsvp_events.tsv").write_text("time\tcode\n1.0\t2\n")
    return {"eeg": path}


def other_checkpoint(data, folder):
    with h5py.File(folder / "subj02.h5", "w") as file:
        file["embedding"] = np.ones((3, N_FEATURES), np.float32)
        write_trials(file, pd.DataFrame({"image": [1, 2, 3]}), {"checkpoint": "b.pth", "sha256": "cd" * 32})
    return {"eeg": data.raw, "gallery": folder / "subj02.h5"}


def small_gallery(data, folder):
    with h5py.File(folder / "subj01.h5", "w") as file:
        file["embedding"] = np.ones((3, N_FEATURES), np.float32)
        write_trials(file, pd.DataFrame({"image": [1, 2, 2]}), {"checkpoint": "last.pth", "sha256": SHA256})
    return {"eeg": data.raw, "gallery": folder / "subj01.h5"}


def no_filters(data, folder):
    return {"eeg": data.raw, "run": write_run(folder / "run", filters={})}


REFUSED = {
    no_events: "RawArray: expected events, got none: annotations: none; trigger channels: none; channels",
    lambda data, folder: {
        "eeg": data.raw.copy().set_channel_types({"stim": "misc"}, on_unit_change="ignore")
    }: "electrode: stim; set the",
    slow_recording: "expected a whole number of Hz from 200 to 100000 as its rate, got 160;",
    short_epochs: "expected trials from 0 to 0.995 s after the event, got -0.2 to 0.8 s",
    late_epochs: "expected trials from 0 to 0.995 s after the event, got 0.1 to 1.2 s",
    microvolts_as_volts: r"in uV with a root mean square of 0.5 to 500, got .*e\+0.* say so \(--unit uV\)$",
    lambda data, folder: array(data.eeg * 1e-6): r"got .*e-0.* look like V: say so \(--unit V\)$",
    lambda data, folder: array(data.eeg * 1000): "check the unit of the file",
    damaged: r"a_raw\.fif: expected EEG in a format that MNE reads",
    text_file: r"a\.txt: expected EEG in a format that MNE reads",
    pickled: r"a\.npy: expected EEG in a format .* cannot read it \(.*Python objects",
    broken_channel: "ndarray: expected finite EEG, got NaN or infinity in every trial; is a channel",
    milliseconds: r"_events\.tsv: expected onsets in seconds, 0 to 42 as the recording lasts, got 1000",
    other_columns: r"_events\.tsv: expected the columns onset and trial_type or value, got time, code; name",
    other_checkpoint: r"subj02\.h5: expected 16 features of the checkpoint of the training \(sha256 ab",
    small_gallery: r"subj01\.h5: expected top_k from 1 to 2, its pictures, got 5",
    no_filters: r"expected a run whose config\.json names the filters",
    lambda data, folder: {"eeg": "no.vhdr"}: r"no\.vhdr: no such file",
    lambda data, folder: {"eeg": [1, 2]}: "list: expected a path, Raw, Epochs or an array, got something",
    lambda data, folder: {"eeg": data.raw, "sfreq": 3}: "expected sfreq for arrays alone",
    lambda data, folder: {"eeg": data.raw, "unit": "mV"}: "unit: expected one of V, uV, whitened, got 'mV'",
    lambda data, folder: {
        "eeg": data.raw,
        "events": ["8"],
    }: r"expected events '8', got '1', '2', '3', '4', '99999'",
    lambda data, folder: {
        "eeg": data.raw,
        "channels": ["Cz"],
    }: "expected as many names as channels, 64, got 1",
    lambda data, folder: {"eeg": data.eeg}: "expected unit, channels, sfreq of this array, got none",
    lambda data, folder: {"eeg": data.folder / "eeg.h5", "unit": "uV"}: r"eeg\.h5: expected no unit, which",
    lambda data, folder: array(
        data.eeg[0]
    ): r"expected floats \(n_trials, n_channels, n_times\), got float32 \(63, 200\)",
    lambda data, folder: array(data.eeg[:, :, :150]): "got 0 to 0.745 s",
    lambda data, folder: array(data.eeg, sfreq=250.7): "expected a whole number of Hz",
    lambda data, folder: array(data.eeg, channels=["Cz"] * 63): "expected every channel once, got Cz twice",
    lambda data, folder: array(data.eeg, channels=[*CHANNELS[:62], "Fz"]): r"without O2; record them",
    lambda data, folder: array(data.eeg, run=folder / "none"): "expected a trained run",
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_bad_input_is_one_line_and_leaves_an_older_file(data, tmp_path, case):
    arguments = {"run": data.run} | case(data, tmp_path)
    out = tmp_path / "a.h5"
    out.write_text("older")
    with pytest.raises(InputError, match=REFUSED[case]) as caught:
        write_translation(out, **arguments)
    assert len(str(caught.value).splitlines()) == 1
    assert out.read_text() == "older"


def test_the_command_ends_with_one_line(data, tmp_path):
    for name, problem in (
        ("a.csv", "expected a file name that ends in .h5 or .parquet"),
        ("a.h5", "no such file"),
    ):
        with pytest.raises(SystemExit, match=f"^brain2image: .*{problem}"):
            command("--run", data.run, "--eeg", tmp_path / "none.edf", "--out", tmp_path / name)
