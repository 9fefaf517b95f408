"""The synthetic Alljoined1: the reader finds in it what was planted, where and when it was planted."""

from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from brain2image.core.errors import InputError
from brain2image.datasets.alljoined1 import alljoined_eeg
from brain2image.datasets.alljoined1.alljoined_channels import CHANNELS
from brain2image.datasets.alljoined1.alljoined_eeg import repack_eeg
from brain2image.datasets.alljoined1.shown_pictures import read_design, read_table
from brain2image.formats.hdf5 import read_trials
from brain2image.synthetic.alljoined_files import BIOSEMI_CAP, SFREQ, simulate_alljoined, simulate_expdesign
from brain2image.synthetic.eeg import draw_evoked
from brain2image.synthetic.heads import draw_head

SIMULATE = {"n_latents": 4, "eeg_snr": 0.6, "seed": 0}
PERSON, N_IMAGES = "alljoined-02", 30
OPTIONS = {"highpass": 0.5, "lowpass": 75.0, "notch": "mains"}


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """The files of one subject, the trials read from them, and what was planted."""
    root, rng = tmp_path_factory.mktemp("alljoined"), np.random.default_rng(0)
    images = np.sort([2950, *rng.choice(np.arange(2951, 73_000), N_IMAGES - 1, replace=False)])
    unshared = images[5]
    planted = {"nsd": rng.normal(size=(N_IMAGES, 4)), "nsd_images": images}
    np.savez(root / "latents.npz", **planted)
    flags = np.isin(np.arange(73_000), images[images != unshared])
    np.save(root / "shared1000.npy", flags)
    pd.DataFrame({"image": images, "shared1000": flags[images]}).to_parquet(root / "images.parquet")
    design = root / "nsd_expdesign.mat"
    simulate_expdesign(
        SIMULATE, latents=root / "latents.npz", shared1000=root / "shared1000.npy", design=design
    )
    recordings = [root / f"subj02_session{session}_eeg.fif" for session in (1, 2)]
    tables = [root / f"subj02_session{session}.h5" for session in (1, 2)]
    simulate_alljoined(
        SIMULATE, PERSON, latents=root / "latents.npz", design=design, recordings=recordings, tables=tables
    )
    repack_eeg([*recordings, *tables, design], root / "images.parquet", out=root / "eeg.h5", **OPTIONS)
    with h5py.File(root / "eeg.h5") as file:
        eeg, trials = file["eeg"][:], read_trials(file)
    files = {
        "recordings": recordings,
        "tables": tables,
        "design": design,
        "pictures": root / "images.parquet",
    }
    return SimpleNamespace(**files, **planted, eeg=eeg, trials=trials, unshared=unshared)


def test_the_design_is_nsd_s(subject):
    content = loadmat(subject.design)
    assert content["sharedix"].shape == (1, 1000)
    assert content["subjectim"].shape == (8, 10_000)
    assert content["masterordering"].shape == (1, 30_000)
    found = read_design(subject.design)
    assert np.isin(subject.nsd_images[subject.nsd_images != subject.unshared], found.shared).all()
    np.testing.assert_array_equal(found.own[:, :1000], np.tile(found.shared, (8, 1)))
    assert all(len(np.unique(row)) == 10_000 for row in found.own)


def test_shared_pictures_are_shown_four_times_a_session(subject):
    counts = subject.trials.groupby(["session", "image"]).size()
    listed = read_design(subject.design).shared[:960]
    assert (counts == 4).all()
    assert subject.unshared not in subject.trials["image"].to_numpy()
    assert set(subject.trials["image"]) == set(subject.nsd_images) & set(listed)
    table = read_table(subject.tables[1], subject=2, session=2)
    assert 0.9 * counts[1].sum() < len(table) < counts[1].sum()


def agreement(eeg, subject):
    """Correlate the mean response with the planted one."""
    head = draw_head(seed=0, subject=PERSON, cap=BIOSEMI_CAP)
    evoked = draw_evoked(4, snr=0.6, seed=0, subject=PERSON, sfreq=SFREQ, head=head)
    shown = np.searchsorted(subject.nsd_images, subject.trials["image"])
    planted = evoked.response(subject.nsd[shown]).mean(axis=0)
    order = [BIOSEMI_CAP.channels.index(name) for name in CHANNELS]
    times = np.arange(120) / 200
    planted = np.array([np.interp(times, np.arange(SFREQ) / SFREQ, planted[row]) for row in order])
    return np.corrcoef(planted.ravel(), eeg.mean(axis=0)[:, :120].ravel())[0, 1]


def test_responses_come_a_tenth_of_a_second_after_the_trigger(subject, tmp_path, monkeypatch):
    """A reader that cuts at the trigger does not find them where they were planted."""
    assert agreement(subject.eeg, subject) > 0.8
    monkeypatch.setattr(alljoined_eeg, "TRIGGER_DELAY", 0.0)
    files = [*subject.recordings, subject.design]
    repack_eeg(files, subject.pictures, out=tmp_path / "eeg.h5", **OPTIONS)
    with h5py.File(tmp_path / "eeg.h5") as file:
        assert agreement(file["eeg"][:], subject) < 0.4


def test_latents_are_found_by_ridge(subject):
    """And by another order of the pictures they are not."""
    images = np.unique(subject.trials["image"])
    means = [subject.eeg[(subject.trials["image"] == image).to_numpy()].mean(axis=0) for image in images]
    inputs = np.array(means)[:, :, :100].reshape(len(images), 64, 20, 5).mean(axis=3).reshape(len(images), -1)
    latents = subject.nsd[np.searchsorted(subject.nsd_images, images)]

    def top1(targets):
        folds = KFold(len(images))
        predicted = cross_val_predict(Ridge(1e3, fit_intercept=True), inputs, targets, cv=folds)
        distances = np.linalg.norm(predicted[:, None] - targets, axis=2)
        return np.mean(distances.argmin(axis=1) == np.arange(len(images)))

    assert top1(latents) > 0.3  # chance: 0.04
    assert max(top1(np.roll(latents, shift, axis=0)) for shift in (1, 7, 13)) < 0.15


def test_a_design_that_is_off_by_one_is_refused(subject, tmp_path):
    content = {name: value for name, value in loadmat(subject.design).items() if name[0] != "_"}
    for name in ("sharedix", "subjectim"):
        content[name] = np.roll(content[name], 1, axis=1)
    savemat(tmp_path / "nsd_expdesign.mat", content)
    files = [*subject.recordings, tmp_path / "nsd_expdesign.mat"]
    with pytest.raises(InputError, match=r"at most 5 % of its events to have no picture .*got \d+ of \d+"):
        repack_eeg(files, subject.pictures, out=tmp_path / "eeg.h5", **OPTIONS)
    with pytest.raises(InputError, match=r"as nsd_expdesign.mat says, got \d+"):
        repack_eeg([*files, *subject.tables], subject.pictures, out=tmp_path / "eeg.h5", **OPTIONS)
