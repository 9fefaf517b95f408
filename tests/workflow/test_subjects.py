"""The real Snakefile with several subjects and both releases of NSD: which jobs it plans."""

import re
from collections import Counter

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.checkouts import copy_checkout
from helpers.dry_runs import dry_run, run_snakemake
from helpers.empty_releases import NSD, THINGS, touch
from helpers.projections import write_projection

from brain2image.core.errors import InputError
from brain2image.formats.hdf5 import read_trials

PEOPLE, SUBJS = ("things-01", "things-02"), ("subj02", "subj05")
BRAINS = [f"{person}_{subj}" for person in PEOPLE for subj in SUBJS]
MULTISUBJECT = "weights/mindeyev2/train_logs/final_multisubject_subj01/last.pth"

# What two EEG people and two fMRI subjects need once, and once a person.
SHARED_STAGES = Counter(repack_images=2, embed_images=4, summarise=1)
SUBJECT_STAGES = Counter(
    repack_eeg=2, repack_fmri=2, extract_ridge=2, project_fmri=2, inspect_eeg=2, inspect_fmri=2
)
OF_PICTURES = ("match_images", "split_pairs", "cluster_pairs")


@pytest.fixture(scope="module", params=NSD.releases)
def checkout(request, tmp_path_factory):
    """A checkout with empty files where the releases of two subjects each belong."""
    folder = copy_checkout(tmp_path_factory.mktemp("checkout") / request.param)
    for person in PEOPLE:
        touch(folder / "data/things/eeg", THINGS, "raw", person)
    for subj in SUBJS:
        touch(folder / "data/nsd", NSD, request.param, subj)
    for path in ("data/things/images/image_metadata.npy", MULTISUBJECT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bytes(64))  # an empty file is taken for a failed download
    for name in ("training_images", "test_images"):
        (folder / "data/things/images" / name).mkdir()
    return folder


@pytest.fixture
def plan(checkout, pool):
    """Function that counts the jobs of each rule with a config."""

    def plan(**config):
        (checkout / "subjects.yaml").write_text(yaml.safe_dump(config))
        jobs = pool.apply(dry_run, (checkout, "--configfile", "subjects.yaml"))
        return Counter(job.partition("/")[0] for job in jobs)

    return plan


def test_shared_stages_run_once(plan):
    jobs = plan(brains=BRAINS)
    for rule, count in (SHARED_STAGES + SUBJECT_STAGES).items():
        assert jobs[rule] == count, rule
    # pairs are of a data set and an fMRI subject, whoever's EEG it is
    assert [jobs[rule] for rule in (*OF_PICTURES, "build_lmdb", "train")] == [2, 2, 2, 4, 8]  # two runs
    assert "combine_projections" not in jobs
    assert plan(brains="all") == jobs


def test_who_is_left_out_is_named(checkout, pool):
    """In Snakemake's log, so in dry runs too, and in the table; square brackets in paths are no markup."""
    begun = checkout / "data/things/eeg/sub-03"
    begun.mkdir()
    content = {"brains": "all", "weights": {"cbramod": "[red]/cbramod.pth"}}
    (checkout / "all.yaml").write_text(yaml.safe_dump(content))
    _, text = pool.apply(run_snakemake, (checkout, "check_data"), {"config": "all.yaml"})
    begun.rmdir()
    reason = "sub-03, got no file of any"
    assert f"brains: all leaves out things-03: data/things/eeg: expected a release of {reason}" in text
    assert "Warning: " not in text
    table = " ".join(text.replace("│", " ").split())
    assert "-- things-03, left out data/things/eeg: expected a" in table
    assert "[red]/cbramod.pth: no such file" in table


def test_the_fmri_of_several_subjects_becomes_one_training_set(plan):
    jobs = plan(brains=["things-01_subj02-subj05"], weights={"mindeye2": MULTISUBJECT})
    expected = SHARED_STAGES + SUBJECT_STAGES + Counter(combine_projections=1)
    expected["repack_eeg"] = expected["inspect_eeg"] = 1
    for rule, count in expected.items():
        assert jobs[rule] == count, rule
    assert [jobs[rule] for rule in (*OF_PICTURES, "build_lmdb", "train")] == [1] * 4 + [2]


def test_a_missing_file_is_named(checkout, plan):
    file = next((checkout / "data/nsd").rglob("*subj05*.tar"), checkout / "data/nsd/shared1000.npy")
    file.rename(checkout / "away")
    message = f"are missing: {file.relative_to(checkout)}; download them. docs/data.md"
    with pytest.raises(InputError, match=re.escape(message)):
        plan(brains=BRAINS)
    (checkout / "away").rename(file)


def test_projections_are_combined_by_the_workflow(checkout, pool):
    folder = checkout / "results/projection"
    folder.mkdir(parents=True, exist_ok=True)
    for subj in SUBJS:
        write_projection(folder / f"{subj}.h5", np.full((3, 4), int(subj[-1]), np.float32), [8, 9, 8])
    target = "results/projection/subj02-subj05.h5"
    (checkout / "subjects.yaml").write_text(yaml.safe_dump({"brains": BRAINS}))
    arguments = (checkout, "--allowed-rules", "combine_projections", "--", target)
    status, text = pool.apply(run_snakemake, arguments, {"config": "subjects.yaml"})
    assert status == 0, text
    with h5py.File(checkout / target) as file:
        assert file["embedding"][:, 0].tolist() == [2, 2, 2, 5, 5, 5]
        expected = {"image": [8, 9, 8] * 2, "repetition": [0, 0, 1, 2, 1, 3], "session": [0, 0, 1] * 2}
        pd.testing.assert_frame_equal(
            read_trials(file), pd.DataFrame(expected | {"subject": [2] * 3 + [5] * 3})
        )
