"""The profile for SLURM, as far as it can be seen without one; tests/cluster submits jobs with it."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers.checkouts import changed_config, copy_checkout
from helpers.dry_runs import dry_run, run_snakemake
from helpers.empty_releases import THINGS
from helpers.rules import PROFILE, RULES, slurm_profile

ROOT = Path(__file__).parents[2]
# Rows of docs/scale.md that are named after something else than their rule.
MEASURED_AS = {"embed_pictures": "embed_images", "repack_raw_session": "repack_eeg"}
SNAKEMAKE_MB = 500  # for the two Snakemakes around a job's script, 183 MB each when measured


def test_the_examples_give_every_gpu_rule_a_partition():
    profile = slurm_profile()
    assert set(profile["default-resources"]) == {"slurm_account", "slurm_partition"}
    gpu_rules = {rule for rule, text in RULES.items() if "gpu=1" in text}
    assert set(profile["set-resources"]) == gpu_rules
    assert {resources["slurm_partition"] for resources in profile["set-resources"].values()} == {"gpu"}


def test_both_profiles_agree_on_what_makes_a_job_stale():
    default = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
    del default["resources"]  # a limit of GPUs, which on a cluster SLURM keeps
    assert default.items() <= slurm_profile().items()


def measured_memory():
    """Rule and peak in GB of each row of docs/scale.md's first table."""
    rows = re.findall(
        r"^\| (\w+)[^|]*\|[^|]*\|[^|]*\| ([\d.]+) \|", (ROOT / "docs/scale.md").read_text(), re.MULTILINE
    )
    return [(name, float(peak)) for name, peak in rows]


@pytest.mark.parametrize(("name", "peak"), measured_memory())
def test_jobs_ask_for_more_memory_than_was_measured(name, peak):
    rule = MEASURED_AS.get(name, name)
    if rule == "repack_eeg":  # what it takes depends on the release
        asked = THINGS.resources("raw" if "raw" in name else "ubp")["mem_mb"]
    else:
        asked = int(re.search(r"mem_mb=growing\((\d+)\),", RULES[rule])[1])
    assert asked >= 1.3 * 1000 * peak + SNAKEMAKE_MB


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("profiles") / "repository")


def test_snakemake_takes_the_profile(checkout, pool):
    arguments = ("--dry-run", "--quiet", "all", "--workflow-profile", PROFILE)
    status, text = pool.apply(run_snakemake, (checkout, *arguments))
    assert status == 0, text


@pytest.fixture
def plan(checkout, pool):
    """Function that counts the jobs of each rule with changes of the tiny config."""

    def plan(**changes):
        jobs = pool.apply(dry_run, (checkout, "--configfile", changed_config(checkout, changes)))
        return Counter(job.partition("/")[0] for job in jobs)

    return plan


def test_several_pairs_of_brains_share_what_they_have_in_common(plan):
    """Two EEG people x two fMRI subjects x two runs, as one submission."""
    brains = [f"{person}_{subj}" for person in ("things-01", "things-02") for subj in ("subj01", "subj02")]
    planned = plan(brains=brains)
    once = ["simulate_images", "simulate_clip", "simulate_cbramod", "summarise"]
    once += ["write_overview", "write_provenance", "write_site", "plot_people", "plot_summary"]
    per_person = ["simulate_eeg", "repack_eeg", "inspect_eeg"]
    per_subject = ["simulate_fmri", "repack_fmri", "extract_ridge", "project_fmri", "inspect_fmri"]
    per_subject += ["match_images", "split_pairs", "cluster_pairs", "plot_pairs", "plot_clusters"]
    per_subject += ["shrink_pictures"]
    per_subject += ["fit_picture_encoder", "show_picture_encoder", "extract_backbone", "embed_tokens"]
    per_subject += ["simulate_mask", "map_noise_ceiling"]
    per_brains = ["audit_split", "build_lmdb", "plot_training", "plot_scores", "write_tables"]
    per_brains += ["decode_tokens", "draw_linear", "compare_pictures", "show_decoded", "map_embedding"]
    assert planned == (
        Counter(once)
        + Counter(2 * [*per_person, *per_subject, "repack_images"])
        + Counter(4 * ["embed_images"])  # all of THINGS; of NSD the shared pictures, and each subject's own
        + Counter(4 * [*per_brains, "measure_bounds", "predict_ceilings"])
        + Counter(4 * 2 * ["train", "predict", "fit_baseline"])
        + Counter(4 * 6 * ["evaluate"])
        + Counter(4 * 3 * ["plot_gallery"])
    )


PEOPLE = {
    "brains": [f"things-0{number}_subj01" for number in (1, 2, 3)],
    "runs": {"own": {}, "others": {"people": "others"}, "all": {"people": "all"}},
    "calibrations": [4, 8],
    "baselines": ["ridge", "ridge_others"],
}


def test_people_who_are_learned_from_together_share_what_they_have_in_common(plan):
    """Three people, of whom a run learns from each, from the others, and from all, as one submission."""
    planned = plan(**PEOPLE)
    once = ["simulate_images", "simulate_clip", "simulate_cbramod", "summarise", "write_overview"]
    once += [
        "write_provenance",
        "write_site",
        "plot_summary",
        "simulate_fmri",
        "repack_fmri",
        "extract_ridge",
        "project_fmri",
        "inspect_fmri",
        "simulate_mask",
        "map_noise_ceiling",
    ]
    once += ["match_images", "split_pairs", "cluster_pairs", "plot_pairs", "plot_clusters", "plot_people"]
    once += ["extract_backbone", "embed_tokens", "shrink_pictures"]
    once += ["fit_picture_encoder", "show_picture_encoder", *2 * ["repack_images"], *3 * ["embed_images"]]
    each = ["simulate_eeg", "repack_eeg", "inspect_eeg", "audit_split", "build_lmdb", "plot_training"]
    each += ["plot_scores", "write_tables", "measure_bounds", "predict_ceilings"]
    each += ["decode_tokens", "draw_linear", "compare_pictures", "show_decoded", "map_embedding"]
    each += [*2 * ["train"], *2 * ["calibrate"], *5 * ["predict"], *2 * ["fit_baseline"]]
    each += [*(3 + 2 + 2 + 2) * ["evaluate"], *(3 + 1) * ["plot_gallery"]]
    assert planned == Counter(once) + Counter(3 * each) + Counter({"train": 1})
