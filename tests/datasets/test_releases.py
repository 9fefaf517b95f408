"""Releases and subjects that are found by the names of their files."""

import pytest
from helpers.empty_releases import touch

from brain2image.core.errors import InputError
from brain2image.datasets.releases import (
    NSD,
    THINGS_EEG,
    find_left_out,
    find_pairs,
    find_release,
    find_subjects,
    members,
)


@pytest.mark.parametrize("name", NSD)
def test_a_whole_release_is_found(tmp_path, name):
    touch(tmp_path, NSD, name, subj="subj05")
    release, files = find_release(tmp_path, NSD, subj="subj05")
    assert release == name
    assert files == [str(tmp_path / pattern.format(subj="subj05")) for pattern in NSD[name]]


def test_sessions_of_raw_eeg_may_be_missing(tmp_path):
    touch(tmp_path, THINGS_EEG, "raw", sub="sub-01")
    for name in ("ses-01/raw_eeg_training.npy", "ses-04/raw_eeg_test.npy"):
        (tmp_path / "sub-01" / name).unlink()
    release, files = find_release(tmp_path, THINGS_EEG, sub="sub-01")
    expected = [str(tmp_path / pattern.format(sub="sub-01")) for pattern in THINGS_EEG["raw"]]
    assert (release, files) == ("raw", expected[1:-1])


def test_two_releases_in_one_folder_are_refused(tmp_path):
    for name in NSD:
        touch(tmp_path, NSD, name, subj="subj01")
    with pytest.raises(InputError, match="expected one release of subj01, got mindeye2 and mindeye1"):
        find_release(tmp_path, NSD, subj="subj01")
    assert find_subjects(tmp_path, NSD, "subj") == ["subj01"]


@pytest.mark.parametrize("old", ["betas_all_subj01.hdf5", "betas_all_subj01_fp32.hdf5"])
def test_betas_without_renorm_are_named(tmp_path, old):
    touch(tmp_path, NSD, "mindeye2", subj="subj01")
    (tmp_path / "betas_all_subj01_fp32_renorm.hdf5").rename(tmp_path / old)
    with pytest.raises(
        InputError, match=rf"missing: .*_renorm\.hdf5; {old} \(.*\) is outdated and not read; download them"
    ):
        find_release(tmp_path, NSD, subj="subj01")


def test_avg_split_is_named(tmp_path):
    (tmp_path / "webdataset_avg_split").mkdir()
    with pytest.raises(InputError, match=r"got no file of any .*avg_split \(37 sessions\) is outd"):
        find_release(tmp_path, NSD, subj="subj01")


def test_all_pairs_are_those_of_whole_releases(tmp_path):
    for sub in ("sub-02", "sub-10"):
        touch(tmp_path / "eeg", THINGS_EEG, "ubp", sub=sub)
    touch(tmp_path / "eeg", THINGS_EEG, "raw", sub="sub-01")
    touch(tmp_path / "eeg", THINGS_EEG, "raw", sub="sub-04")
    (tmp_path / "eeg/sub-04/ses-03/raw_eeg_test.npy").unlink()  # the other sessions are enough
    (tmp_path / "eeg/sub-05/ses-01").mkdir(parents=True)
    (tmp_path / "eeg/sub-05/ses-01/raw_eeg_test.npy").touch()  # no picture that is matched was shown here
    for subj in ("subj07", "subj01"):
        touch(tmp_path / "nsd", NSD, "mindeye2", subj=subj)
    (tmp_path / "nsd/betas_all_subj02_fp32_renorm.hdf5").touch()
    assert find_pairs(tmp_path / "eeg", tmp_path / "nsd") == [
        f"{sub}_{subj}" for sub in ("sub-01", "sub-02", "sub-04", "sub-10") for subj in ("subj01", "subj07")
    ]


def test_who_is_left_out_is_named_with_what_is_missing(tmp_path):
    touch(tmp_path / "eeg", THINGS_EEG, "ubp", sub="sub-01")
    touch(tmp_path / "eeg", THINGS_EEG, "nice", sub="sub-02")
    (tmp_path / "eeg/sub-02/preprocessed_eeg_test.npy").unlink()
    (tmp_path / "eeg/sub-05").mkdir()
    touch(tmp_path / "nsd", NSD, "mindeye2", subj="subj01")
    (tmp_path / "nsd/betas_all_subj03_fp32.hdf5").touch()
    reasons = find_left_out(tmp_path / "eeg", tmp_path / "nsd")
    assert list(reasons) == ["sub-02", "sub-05", "subj03"]
    assert "1 are missing: " in reasons["sub-02"]
    assert "preprocessed_eeg_test.npy" in reasons["sub-02"]
    assert "expected a release of sub-05, got no file of any" in reasons["sub-05"]
    assert "betas_all_subj03_fp32.hdf5 (not normalised anew) is outdated" in reasons["subj03"]


def test_no_whole_subject_is_an_error(tmp_path):
    (tmp_path / "betas_all_subj02_fp32_renorm.hdf5").touch()
    with pytest.raises(InputError, match=r"expected a whole release of a subject \(mindeye2 or mindeye1\)"):
        find_subjects(tmp_path, NSD, "subj")


def test_members_of_a_group():
    assert members("subj02") == ["subj02"]
    assert members("subj02-subj05-subj07") == ["subj02", "subj05", "subj07"]
