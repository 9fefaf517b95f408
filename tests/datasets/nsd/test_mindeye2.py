"""NSD as MindEye2 released it: pictures, behaviour tars and betas in the declared formats."""

import tarfile
from contextlib import contextmanager
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.empty_releases import NSD
from helpers.mindeye2_files import (
    add_member,
    behaviour_row,
    draw_indices,
    write_betas,
    write_indices,
    write_pixels,
    write_shared,
    write_tars,
)
from helpers.scripts import run_script
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brain2image.core.errors import InputError
from brain2image.datasets.nsd import betas as fmri
from brain2image.datasets.nsd.betas import read_tar, repack_fmri, trial_table
from brain2image.datasets.nsd.checks import N_TRIALS, N_VOXELS, check_n_trials, read_indices, read_shared1000
from brain2image.datasets.nsd.nsd_images import PIXELS, read_images, repack_images
from brain2image.formats.hdf5 import open_trials, read_trials

N_SESSIONS = 2
N_SUBJECT_TRIALS = 750 * N_SESSIONS
N_SUBJECT_VOXELS = 6


@pytest.fixture
def release(tmp_path):
    """A whole release of two sessions of subj01."""
    indices = draw_indices(0)
    betas = np.random.default_rng(1).standard_normal((N_SUBJECT_TRIALS, N_SUBJECT_VOXELS)).astype(np.float32)
    write_indices(tmp_path / "indices.hdf5", subj01=indices, subj02=draw_indices(2))
    write_shared(tmp_path / "shared1000.npy")
    write_tars(tmp_path / "subj01", indices)
    write_betas(tmp_path / "betas.hdf5", betas)
    return SimpleNamespace(root=tmp_path, indices=indices, betas=betas)


def repack(root):
    out = root / "betas.h5"
    inputs = [root / name for name in ("betas.hdf5", "indices.hdf5", "shared1000.npy", "subj01")]
    repack_fmri(*inputs, subject="subj01", out=out)
    with h5py.File(out) as file:
        return file["betas"][:], read_trials(file)


# ---- pictures


@pytest.fixture
def picture_files(tmp_path):
    write_pixels(tmp_path / "pixels.hdf5", {})
    shared = write_shared(tmp_path / "shared1000.npy")
    write_indices(
        tmp_path / "indices.hdf5", subj01=draw_indices(0), subj05=draw_indices(1), subj07=draw_indices(2)
    )
    return SimpleNamespace(root=tmp_path, shared=shared)


def repack_pictures(root):
    files = (root / "pixels.hdf5", root / "indices.hdf5", root / "shared1000.npy")
    repack_images(*files, out=root / "images.parquet")
    return pd.read_parquet(root / "images.parquet")


def test_image_table_is_the_union_of_the_subjects(picture_files):
    table = repack_pictures(picture_files.root)
    drawn = [set(draw_indices(seed).tolist()) for seed in range(3)]
    expected = sorted(set.union(*drawn))
    assert list(table.columns) == ["image", "row", "shared1000", "part"]
    assert table["image"].tolist() == expected
    assert table["row"].tolist() == expected
    seen_by = [sum(image in own for own in drawn) for image in expected]
    is_shared = (np.array(seen_by) > 1) | table["shared1000"]
    assert ((table["part"] == "shared") == is_shared).all()
    assert set(table["part"]) <= {"shared", *(f"subj{number:02d}" for number in range(1, 9))}
    assert table["image"].dtype == table["row"].dtype == np.int64
    assert table["shared1000"].dtype == bool
    assert table["shared1000"].tolist() == [bool(picture_files.shared[image]) for image in expected]


def test_read_images_are_the_rows_in_the_order_of_the_table(tmp_path):
    rng = np.random.default_rng(0)
    written = {row: rng.integers(0, 256, (3, 224, 224)).astype(np.uint8) for row in (5, 72999, 40)}
    write_pixels(tmp_path / PIXELS, {row: (picture / 255) for row, picture in written.items()})
    table = pd.DataFrame({"row": [40, 72999, 5]})
    pictures = list(read_images(table, tmp_path))
    assert len(pictures) == 3
    for row, picture in zip(table["row"], pictures, strict=True):
        assert isinstance(picture, Image.Image)
        assert (picture.mode, picture.size) == ("RGB", (224, 224))
        np.testing.assert_array_equal(
            np.asarray(picture), written[row].transpose(1, 2, 0)
        )  # rounded, not cut


def test_the_overshoot_of_a_resize_is_cut(tmp_path):
    picture = np.full((3, 224, 224), 0.5)
    picture[0, 0, :2] = -0.05, 1.05
    write_pixels(tmp_path / PIXELS, {7: picture})
    (image,) = read_images(pd.DataFrame({"row": [7]}), tmp_path)
    assert np.asarray(image)[0, :3, 0].tolist() == [0, 255, 128]


def test_rows_are_read_one_at_a_time(tmp_path):
    write_pixels(tmp_path / PIXELS, {0: np.zeros((3, 224, 224)), 1: np.full((3, 224, 224), 2.0)})
    pictures = read_images(pd.DataFrame({"row": [0, 1]}), tmp_path)
    assert np.asarray(pictures[0]).max() == 0  # the second, bad one has not been touched
    with pytest.raises(InputError, match="row 1"):
        pictures[1]


def cut(name, share=0.5):
    def change(root):
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * share)])

    return change


def test_shared_flags(tmp_path):
    expected = write_shared(tmp_path / "shared1000.npy")
    flags = read_shared1000(tmp_path / "shared1000.npy")
    assert flags.dtype == bool
    np.testing.assert_array_equal(flags, expected)


# ---- betas


def test_published_numbers():
    assert list(N_TRIALS) == list(N_VOXELS) == [f"subj{i:02d}" for i in range(1, 9)]
    assert sum(N_TRIALS.values()) == 213_000  # NSD data manual
    # the released files hold nothing but float32 betas: their sizes are known
    assert N_TRIALS["subj01"] * N_VOXELS["subj01"] * 4 == 1_886_880_000
    assert N_TRIALS["subj06"] * N_VOXELS["subj06"] * 4 == 1_719_072_000
    assert N_TRIALS["subj08"] * N_VOXELS["subj08"] * 4 == 1_294_740_000


def test_betas_and_trials_are_in_the_order_of_the_scanner(release):
    betas, trials = repack(release.root)
    assert betas.dtype == np.float32
    np.testing.assert_array_equal(betas, release.betas)
    assert list(trials.columns) == ["image", "repetition", "session"]
    assert (trials.dtypes == np.int64).all()
    seen = {}
    for trial, (image, repetition, session) in enumerate(trials.itertuples(index=False)):
        assert image == release.indices[trial]
        assert repetition == seen.get(image, 0)
        assert session == trial // 750
        seen[image] = repetition + 1
    assert set(seen.values()) == {3}


def test_members_are_grouped_by_name_not_by_place(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add_member(tar, "./b.past_behav.npy", np.zeros((15, 17)))
        add_member(tar, "./v1.0/a.behav.npy", behaviour_row(3, 30))
        add_member(tar, "./b.behav.npy", behaviour_row(4, 40))
        add_member(tar, "./v1.0/a.olds_behav.npy", np.zeros((3, 17)))
    assert sorted(read_tar(tmp_path / "x.tar")[:, 5]) == [3, 4]


def test_the_outdated_test_tar_is_told_by_its_length(release, monkeypatch):
    assert fmri.N_TEST_TRIALS == {30_000: 3000, 24_000: 2371, 22_500: 2188}
    monkeypatch.setitem(fmri.N_TEST_TRIALS, 1500, 330)
    monkeypatch.setitem(fmri.N_OUTDATED_TEST_TRIALS, 1500, 300)
    with pytest.raises(InputError, match=r"new_test/0\.tar: expected 330 trials, got 300: .* outdated"):
        repack(release.root)


# ---- the link to the betas


@contextmanager
def open_betas(path):
    with open_trials(path, "betas", ("n_trials", "n_voxels")) as (betas, _):
        yield betas


def test_betas_are_linked_not_copied(release):
    repack(release.root)
    with h5py.File(release.root / "betas.h5") as file:
        link = file.get("betas", getlink=True)
        assert (link.filename, link.path) == ("betas.hdf5", "betas")


def test_both_files_can_be_moved_and_read_from_anywhere(release, tmp_path, monkeypatch):
    """Whatever folder one is in, and through a symlink too."""
    root = release.root
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    (project / "results").symlink_to(root / "elsewhere")
    (root / "betas.hdf5").rename(project / "data" / "betas.hdf5")
    monkeypatch.chdir(project)
    inputs = ["data/betas.hdf5", *(root / name for name in ("indices.hdf5", "shared1000.npy", "subj01"))]
    repack_fmri(*inputs, subject="subj01", out="results/nsd/subj01/betas.h5")
    with open_betas("results/nsd/subj01/betas.h5") as betas:
        np.testing.assert_array_equal(betas[:], release.betas)
    (project / "results").unlink()
    (root / "elsewhere").rename(project / "results")
    repack_fmri(*inputs, subject="subj01", out="results/nsd/subj01/betas.h5")
    project.rename(tmp_path / "moved")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    for path in (tmp_path / "moved/results/nsd/subj01/betas.h5", "../moved/results/nsd/subj01/betas.h5"):
        with open_betas(path) as betas:
            np.testing.assert_array_equal(betas[:], release.betas)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_link_without_its_file_says_which(release, damage):
    repack(release.root)
    damage(release.root / "betas.hdf5")
    with (
        pytest.raises(InputError, match=r"betas\.h5: expected its betas in .*/betas\.hdf5, but"),
        open_betas(release.root / "betas.h5"),
    ):
        pass


def test_every_bad_tar_is_named(release):
    for name in ("train/0.tar", "new_test/0.tar"):
        cut(f"subj01/{name}", share=0.3001)(release.root)  # within a member
    with pytest.raises(InputError, match=r"train/0\.tar: cannot read.*new_test/0\.tar: cannot read"):
        repack(release.root)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_trial_table_does_not_depend_on_the_order_of_the_tars(images, random):
    rows = [behaviour_row(trial, image) for trial, image in enumerate(images)]
    random.shuffle(rows)
    table = trial_table(np.concatenate(rows), np.array(images), n_trials=len(images), source="x")
    assert table["image"].tolist() == images
    assert table["repetition"].tolist() == [images[:trial].count(image) for trial, image in enumerate(images)]


@pytest.mark.parametrize("subject", N_TRIALS)
def test_numbers_of_trials(subject):
    for n_trials in (750, N_TRIALS[subject]):
        check_n_trials(n_trials, subject, source="x")
    for n_trials in (0, 749, N_TRIALS[subject] - 2250, N_TRIALS[subject] + 750):
        with pytest.raises(InputError, match=f"x: expected {N_TRIALS[subject]} trials of {subject}"):
            check_n_trials(n_trials, subject, source="x")


def test_indices_of_any_integer_type_become_int64(tmp_path):
    for dtype in (np.int32, np.uint32, np.float64):
        write_indices(tmp_path / "indices.hdf5", subj03=draw_indices(0).astype(dtype))
        indices = read_indices(tmp_path / "indices.hdf5", "subj03")
        assert indices.dtype == np.int64
        np.testing.assert_array_equal(indices, draw_indices(0))


def params(subject):
    return {"fmri": {"reader": NSD.reader("mindeye2"), "subject": subject}}


def test_scripts(release, capsys):
    root = release.root
    write_pixels(root / "pixels.hdf5", {})
    run_script(
        "repack_images",
        root,
        input=[str(root / name) for name in ("pixels.hdf5", "indices.hdf5", "shared1000.npy")],
        output={"images": str(root / "out" / "images.parquet")},
        params={"reader": NSD.picture_reader},
    )
    assert pd.read_parquet(root / "out" / "images.parquet")["shared1000"].sum() == 100
    fmri = {
        "input": [str(root / name) for name in ("betas.hdf5", "indices.hdf5", "shared1000.npy", "subj01")],
        "output": {"betas": str(root / "out" / "betas.h5")},
    }
    run_script("repack_fmri", root, **fmri, params=params("subj01"))
    with h5py.File(root / "out" / "betas.h5") as file:
        np.testing.assert_array_equal(file["betas"][:], release.betas)
    with pytest.raises(SystemExit):
        run_script("repack_fmri", root, **fmri, params=params("subj02"))
    assert capsys.readouterr().err.startswith("repack_fmri: ")
