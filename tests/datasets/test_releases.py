"""Releases and people that are found by the names of their files."""

import pytest
from helpers.empty_releases import NSD, THINGS, touch

from brain2image.config import load_config
from brain2image.core.errors import InputError
from brain2image.plan import Plan


def folders(tmp_path):
    return {"things_eeg": str(tmp_path / "eeg"), "things_images": "", "nsd": str(tmp_path / "nsd")}


def find(tmp_path, dataset, person):
    data = dict.fromkeys(("things_eeg", "nsd"), str(tmp_path))
    return super(type(dataset), dataset).find_release(data, person, must_exist=True)


@pytest.mark.parametrize("name", NSD.releases)
def test_a_whole_release_is_found(tmp_path, name):
    touch(tmp_path, NSD, name, "subj05")
    found = find(tmp_path, NSD, "subj05")
    assert found.release == name
    assert found.files == [str(tmp_path / path.format(person="subj05")) for path in NSD.releases[name]]


def test_sessions_of_raw_eeg_may_be_missing(tmp_path):
    touch(tmp_path, THINGS, "raw", "things-01")
    for name in ("ses-01/raw_eeg_training.npy", "ses-04/raw_eeg_test.npy"):
        (tmp_path / "sub-01" / name).unlink()
    found = find(tmp_path, THINGS, "things-01")
    expected = [str(tmp_path / path.format(person="sub-01")) for path in THINGS.releases["raw"]]
    assert (found.release, found.files) == ("raw", expected[1:-1])


def test_two_releases_in_one_folder_are_refused(tmp_path):
    for name in NSD.releases:
        touch(tmp_path, NSD, name, "subj01")
    with pytest.raises(InputError, match="expected one release of subj01, got mindeye2 and mindeye1"):
        find(tmp_path, NSD, "subj01")
    assert NSD.find_people({"nsd": str(tmp_path)}) == ["subj01"]


@pytest.mark.parametrize("old", ["betas_all_subj01.hdf5", "betas_all_subj01_fp32.hdf5"])
def test_betas_without_renorm_are_named(tmp_path, old):
    touch(tmp_path, NSD, "mindeye2", "subj01")
    (tmp_path / "betas_all_subj01_fp32_renorm.hdf5").rename(tmp_path / old)
    with pytest.raises(
        InputError, match=rf"missing: .*_renorm\.hdf5; {old} \(.*\) is outdated and not read; download them"
    ):
        find(tmp_path, NSD, "subj01")


def test_avg_split_is_named(tmp_path):
    (tmp_path / "webdataset_avg_split").mkdir()
    with pytest.raises(InputError, match=r"got no file of any .*avg_split \(37 sessions\) is outd"):
        find(tmp_path, NSD, "subj01")


def test_all_brains_are_those_of_whole_releases(tmp_path):
    for person in ("things-02", "things-10"):
        touch(tmp_path / "eeg", THINGS, "ubp", person)
    touch(tmp_path / "eeg", THINGS, "raw", "things-01")
    touch(tmp_path / "eeg", THINGS, "raw", "things-04")
    (tmp_path / "eeg/sub-04/ses-03/raw_eeg_test.npy").unlink()  # the other sessions are enough
    (tmp_path / "eeg/sub-05/ses-01").mkdir(parents=True)
    (tmp_path / "eeg/sub-05/ses-01/raw_eeg_test.npy").touch()  # no picture that is matched was shown here
    for subj in ("subj07", "subj01"):
        touch(tmp_path / "nsd", NSD, "mindeye2", subj)
    (tmp_path / "nsd/betas_all_subj02_fp32_renorm.hdf5").touch()
    data = {"things_eeg": str(tmp_path / "eeg"), "nsd": str(tmp_path / "nsd")}
    plan = Plan(load_config({"brains": "all", "data": data}), scripts="workflow/scripts")
    people, subjects = ("things-01", "things-02", "things-04", "things-10"), ("subj01", "subj07")
    assert plan.brains == [f"{person}_{subject}" for person in people for subject in subjects]


def test_who_is_left_out_is_named_with_what_is_missing(tmp_path):
    touch(tmp_path / "eeg", THINGS, "ubp", "things-01")
    touch(tmp_path / "eeg", THINGS, "nice", "things-02")
    (tmp_path / "eeg/sub-02/preprocessed_eeg_test.npy").unlink()
    (tmp_path / "eeg/sub-05").mkdir()
    touch(tmp_path / "nsd", NSD, "mindeye2", "subj01")
    (tmp_path / "nsd/betas_all_subj03_fp32.hdf5").touch()
    reasons = THINGS.find_left_out(folders(tmp_path)) | NSD.find_left_out(folders(tmp_path))
    assert list(reasons) == ["things-02", "things-05", "subj03"]
    assert "1 are missing: " in reasons["things-02"]
    assert "preprocessed_eeg_test.npy" in reasons["things-02"]
    assert "expected a release of sub-05, got no file of any" in reasons["things-05"]
    assert "betas_all_subj03_fp32.hdf5 (not normalised anew) is outdated" in reasons["subj03"]


def test_nobody_is_an_error(tmp_path):
    (tmp_path / "betas_all_subj02_fp32_renorm.hdf5").touch()
    with pytest.raises(InputError, match=r"expected a whole release of a subject \(mindeye2 or mindeye1\)"):
        NSD.find_people({"nsd": str(tmp_path)})
