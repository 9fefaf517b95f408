"""NSD as MindEye1 released it: webdataset tars with one sample a picture."""

import io
import tarfile
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.empty_releases import NSD
from helpers.mindeye1_files import N_SUBJECT_VOXELS, SHARED, draw_trials, picture, write_subject
from helpers.mindeye2_files import (
    draw_indices,
    write_betas,
    write_indices,
    write_shared,
    write_tars,
)
from helpers.scripts import run_script

from brain2image.core.errors import InputError
from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd.betas import repack_fmri as repack_mindeye2
from brain2image.datasets.nsd.checks import N_VOXELS
from brain2image.datasets.nsd.mindeye1 import repack_fmri, repack_images
from brain2image.datasets.nsd.nsd_images import read_images
from brain2image.formats import tars
from brain2image.formats.hdf5 import open_trials, read_trials

TRAIN, VAL, TEST = (
    f"webdataset_avg_new/{part}"
    for part in ("train/train_subj01_3", "val/val_subj01_0", "test/test_subj01_1")
)


@pytest.fixture
def release(tmp_path):
    """A small subject's whole release."""
    indices, betas = draw_trials(1)
    write_subject(tmp_path, "subj01", indices, betas)
    return SimpleNamespace(root=tmp_path, indices=indices, betas=betas)


def tars_of(root, *subjects):
    return [
        path
        for subject in subjects
        for path in NSD.find_release({"nsd": str(root)}, subject, must_exist=True).files
    ]


def repack(root, subject="subj01"):
    repack_fmri(*tars_of(root, subject), subject=subject, out=root / "betas.h5")
    with h5py.File(root / "betas.h5") as file:
        return file["betas"][:], read_trials(file)


def repack_table(root, *subjects):
    repack_images(*tars_of(root, *subjects), out=root / "images.parquet")
    return pd.read_parquet(root / "images.parquet")


# ---- whole files


def test_padded_rows_are_no_repetitions(release):
    betas, trials = repack(release.root)
    assert betas.dtype == np.float32
    assert list(trials) == ["image", "repetition", "session"]
    assert (trials.dtypes == np.int64).all()
    assert sorted(trials["image"]) == sorted(release.indices)
    assert set(trials["session"]) == {-1}
    for image, rows in trials.groupby("image"):
        expected = release.betas[release.indices == image].astype(np.float16)
        assert rows["repetition"].tolist() == list(range(len(expected)))
        np.testing.assert_array_equal(betas[rows.index], expected)


def test_the_images_table_says_where_each_jpeg_lies(release):
    table = repack_table(release.root, "subj01")
    assert list(table) == ["image", "tar", "offset", "size", "shared1000", "part"]
    assert table["image"].tolist() == sorted(set(release.indices.tolist()))
    assert (table["shared1000"] == table["image"].isin(SHARED)).all()
    assert (table["part"] == np.where(table["shared1000"], "shared", "subj01")).all()
    some = table.iloc[[30, 2, 17]]
    for image, got in zip(some["image"], read_images(some, release.root), strict=True):
        assert (got.mode, got.size) == ("RGB", (224, 224))
        difference = np.abs(np.asarray(got, float) - np.asarray(picture(image), float))
        assert difference.mean() < 3  # of 255: JPEG


def test_the_images_table_reads_neither_pictures_nor_betas(release, monkeypatch):
    sizes = []

    def read_member(file, member, *, source):
        sizes.append(member.size)
        return original(file, member, source=source)

    original = tars.read_member
    monkeypatch.setattr(tars, "read_member", read_member)
    repack_table(release.root, "subj01")
    assert len(sizes) == 3 * len(set(release.indices))
    assert max(sizes) < 200


def test_subjects_share_one_images_table(release):
    indices, betas = draw_trials(2)
    write_subject(release.root, "subj02", indices, betas)
    table = repack_table(release.root, "subj01", "subj02")
    assert table["image"].tolist() == sorted({*release.indices.tolist(), *indices.tolist()})
    assert table["shared1000"].sum() == 6
    for image, got in zip(table["image"], read_images(table, release.root), strict=True):
        assert np.abs(np.asarray(got, float) - np.asarray(picture(image), float)).mean() < 3


@pytest.mark.slow
def test_both_releases_give_the_same_mean_of_each_picture(tmp_path):
    indices = draw_indices(0)
    betas = np.random.default_rng(1).standard_normal((len(indices), 6)).astype(np.float32)
    write_subject(tmp_path, "subj01", indices, betas)
    write_shared(tmp_path / "shared1000.npy")
    write_indices(tmp_path / "indices.hdf5", subj01=indices)
    write_tars(tmp_path / "subj01", indices)
    write_betas(tmp_path / "betas.hdf5", betas)
    files = [tmp_path / name for name in ("betas.hdf5", "indices.hdf5", "shared1000.npy", "subj01")]
    repack_mindeye2(*files, subject="subj01", out=tmp_path / "mindeye2.h5")
    repack_fmri(*tars_of(tmp_path, "subj01"), subject="subj01", out=tmp_path / "mindeye1.h5")
    means = {}
    for name in ("mindeye1", "mindeye2"):
        with open_trials(tmp_path / f"{name}.h5", "betas", ("n_trials", "n_voxels")) as (dataset, trials):
            means[name] = pd.DataFrame(dataset[:]).groupby(trials["image"]).mean()
    pd.testing.assert_index_equal(means["mindeye1"].index, means["mindeye2"].index)
    np.testing.assert_allclose(means["mindeye1"], means["mindeye2"], atol=2e-3)  # float16


def test_the_use_with_mindeye2s_ridge_is_warned_of(release, caplog):
    repack(release.root)
    assert "its authors do not describe this use" in caplog.text


def test_scripts(release):
    files = tars_of(release.root, "subj01")
    reader = NSD.reader("mindeye1")
    fmri = {"fmri": {"reader": reader, "subject": "subj01"}}
    out = release.root / "out"
    run_script(
        "repack_images", release.root, input=files, output={"images": out / "i"}, params={"reader": reader}
    )
    run_script("repack_fmri", release.root, input=files, output={"betas": out / "b"}, params=fmri)
    assert len(pd.read_parquet(out / "i")) == 36
    with h5py.File(out / "b") as file:
        assert file["betas"].shape == release.betas.shape


# ---- damaged files


def npy(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def edit(tar, change):
    """Rewrite a tar; ``change`` gets and returns the list of its members' names and contents."""

    def damage(root):
        path = root / f"{tar}.tar"
        with tarfile.open(path) as file:
            members = [(member.name, file.extractfile(member).read()) for member in file]
        with tarfile.open(path, "w") as file:
            for name, content in change(members):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))

    return damage


def put(tar, kind, content):
    """Replace a member of the first sample of a tar."""

    def change(members):
        sample = members[0][0].split(".")[0]
        return [(name, content if name == f"{sample}.{kind}" else old) for name, old in members]

    return edit(tar, change)


def test_members_may_come_in_any_order(release):
    before, table = repack(release.root), repack_table(release.root, "subj01")
    rng = np.random.default_rng(0)
    for tar in (TRAIN, TEST):
        edit(tar, lambda members: [members[i] for i in rng.permutation(len(members))])(release.root)
    after = repack(release.root)
    for betas, trials in (before, after):
        trials["sum"] = betas.sum(axis=1)
    pd.testing.assert_frame_equal(
        *(trials.sort_values(["image", "repetition"], ignore_index=True) for _, trials in (before, after))
    )
    again = repack_table(release.root, "subj01")
    assert again["image"].tolist() == table["image"].tolist()


def test_a_tar_of_another_subject_is_refused_by_its_name(release):
    files = tars_of(release.root, "subj01")
    with pytest.raises(InputError, match="expected tars of subj02, got subj01"):
        repack_fmri(*files, subject="subj02", out=release.root / "betas.h5")
    (release.root / f"{VAL}.tar").rename(release.root / "mine.tar")
    with pytest.raises(InputError, match=r"mine\.tar: expected a name such as train_subj01_0\.tar"):
        repack_images(release.root / "mine.tar", out=release.root / "images.parquet")


@pytest.mark.parametrize(("subject", "whole"), [("subj01", False), ("subj02", False), ("subj02", True)])
def test_real_voxels_come_with_all_samples(release, monkeypatch, subject, whole):
    """Missing tars, another subject's tars, and those of another subject that is whole."""
    if whole:
        monkeypatch.setattr(mindeye1, "N_SAMPLES", {"train": 29, "val": 1, "test": 6})
    monkeypatch.setitem(N_VOXELS, subject, N_SUBJECT_VOXELS)
    with pytest.raises(InputError, match=r"_0\.tar: .*: expected \{'train': \d+, .*; are all tars there"):
        repack(release.root)
    assert not (release.root / "betas.h5").exists()


def test_a_whole_real_release_is_accepted(release, monkeypatch):
    assert sum(mindeye1.N_SAMPLES.values()) == 10_000
    monkeypatch.setattr(mindeye1, "N_SAMPLES", {"train": 29, "val": 1, "test": 6})
    monkeypatch.setitem(N_VOXELS, "subj01", N_SUBJECT_VOXELS)
    repack(release.root)


def test_a_picture_is_shared_for_all_subjects_or_for_none(release):
    indices, betas = draw_trials(2)
    unshared = release.indices[~np.isin(release.indices, SHARED)][0]
    write_subject(release.root, "subj02", indices, betas)
    put("webdataset_avg_new/test/test_subj02_1", "coco73k.npy", npy(np.array([unshared])))(release.root)
    if 2950 not in indices:
        pytest.fail("the first shared picture must stay")
    with pytest.raises(InputError, match=rf"no training pictures of another, got 1 .*first: {unshared}\)"):
        repack_table(release.root, "subj01", "subj02")
