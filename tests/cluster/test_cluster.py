"""The whole workflow as jobs of a real SLURM: where they run, and what happens when they are killed.

The tests go over one checkout in the order of this file, so each shows that the one before left it usable.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from helpers.checkouts import PAIR, changed_config, copy_checkout, planned_jobs
from helpers.mini_slurm import GPUS, wait_for
from helpers.rules import slurm_profile

QUICK_POLLS = Path(__file__).with_name("quick_polls.py")
# What this run asks for in the place of the real sizes: too little memory for the first attempt at the
# baseline, and for the first attempt at one of two equal trainings one minute, SLURM's shortest limit.
REQUESTS = {
    "rules/evaluate.smk": ("first=4000", "first=300"),
    "rules/train.smk": (
        "runtime=growing(720)",
        'runtime=growing(lambda wildcards: 1 if wildcards.run == "limited" else 10)',
    ),
}
CONFIG = {
    "runs": {"limited": {}, "free": {}},
    "baselines": ["ridge"],
    "training": {"epochs": 6, "batch_size": 16, "save_minutes": 0.001},
}
PEOPLE = {
    "brains": [f"things-0{number}_subj01" for number in (1, 2, 3)],
    "runs": {"others": {"people": "others"}, "all": {"people": "all"}},
    "calibrations": [4],
    "baselines": ["ridge_others"],
}
PREDICTIONS = f"results/runs/{PAIR}/free/predictions.npz"


def profile():
    """The profile with its example of partitions; for accounts this SLURM would need a database."""
    content = slurm_profile()
    del content["default-resources"]["slurm_account"]
    return content | {"latency-wait": 5, "slurm-init-seconds-before-status-checks": 1, "jobs": 4}


class Submission:
    """A Snakemake that submits the workflow of a checkout; what it says goes to a file there."""

    def __init__(self, slurm, folder, *arguments, config="tests/tiny.yaml"):
        self.slurm, self.log = slurm, folder / "snakemake.log"
        options = ["--workflow-profile", "profiles/tested", "--configfile", config]
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(QUICK_POLLS), *options, *arguments],
                cwd=folder,
                env=slurm.environment | {"PYTHONPATH": str(folder / "src"), "HF_HUB_OFFLINE": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def end(self, seconds=600):
        """Exit status and all that was said."""
        return self.process.wait(seconds), self.log.read_text()

    def interrupt(self):
        """Exit status after Ctrl-C, pressed again where nothing happens: Python drops one in a finalizer."""
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(45)
        raise AssertionError(f"it goes on after three interrupts: {self.log.read_text()[-5000:]}")

    def hold(self, comment, ready=lambda: True):
        """Stop the running job of a rule in the midst of its script, as if its disk no longer answered."""

        def running():
            assert self.process.poll() is None, self.log.read_text()[-5000:]
            for job in jobs_of(self.slurm, comment):
                if job["state"] == "RUNNING" and ready() and (pid := script_of(self.slurm, job)):
                    return job, pid
            return None

        job, pid = wait_for(running, f"no job of {comment} runs its script", seconds=600)
        os.kill(pid, signal.SIGSTOP)
        return job


def rule_of(job):
    return re.fullmatch(r"rule_(\w+?)(?:_wildcards_.*)?", job["comment"])[1]


def jobs_of(slurm, comment):
    """Jobs whose comment, rule and wildcards, matches."""
    return [job for job in slurm.jobs() if re.fullmatch(f"rule_{comment}", job["comment"])]


def script_of(slurm, job):
    """The process of a running job's script, not of the two Snakemakes around it; None before it starts."""
    for pid in slurm.processes(SLURM_JOB_ID=job["id"]):
        with suppress(OSError):  # it has just ended
            if ".snakemake/scripts/" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
    return None


def state_of(slurm, job):
    return next(other["state"] for other in slurm.jobs() if other["id"] == job["id"])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of which no job has run."""
    folder = copy_checkout(tmp_path_factory.mktemp("cluster") / "repository")
    for file, (old, new) in REQUESTS.items():
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))
    tiny = yaml.safe_load((folder / "tests/tiny.yaml").read_text())
    (folder / "tests/tiny.yaml").write_text(yaml.safe_dump(tiny | CONFIG, sort_keys=False))
    (folder / "profiles/tested").mkdir()
    (folder / "profiles/tested/profile.yaml").write_text(yaml.safe_dump(profile()))
    return folder


@pytest.fixture(scope="module")
def finished(slurm, checkout):
    """The checkout after all its jobs, of which two failed at first; and the jobs that were planned."""
    planned = planned_jobs(checkout)
    submission = Submission(slurm, checkout)
    state = checkout / f"results/state/{PAIR}/limited/state.ckpt"
    submission.hold("train_.*limited.*", ready=state.exists)
    status, said = submission.end()
    assert status == 0, said[-5000:]
    return checkout, planned


def test_every_job_ran_in_slurm(slurm, finished):
    _, planned = finished
    assert Counter(rule_of(job) for job in slurm.jobs() if job["state"] == "COMPLETED") == planned


def test_gpu_jobs_have_their_own_gpu_and_other_jobs_none(slurm, finished):
    gpu_rules = set(profile()["set-resources"])
    for job in slurm.jobs():
        tasks = (slurm.folder / "seen" / job["id"]).read_text().splitlines()
        (node, devices), *_ = set(map(tuple, map(str.split, tasks)))
        assert node == job["node"]
        if rule_of(job) in gpu_rules:
            assert (job["partition"], node in GPUS) == ("gpu", True)
            assert devices in {"0", "1", "2", "3"}
            assert rule_of(job) != "train" or node == "gpu1"  # it asks for an h200
        else:
            assert (job["partition"], node, devices) == ("cpu", "cpu1", "none")
    side_by_side = [jobs_of(slurm, f"train_.*{run}.*")[0] for run in CONFIG["runs"]]
    assert len({(slurm.folder / "seen" / job["id"]).read_text() for job in side_by_side}) == 2


def test_a_job_killed_for_memory_succeeds_with_more(slurm, finished):
    *killed, last = jobs_of(slurm, "fit_baseline.*")
    assert [job["state"] for job in killed] == ["FAILED"] * len(killed)
    assert last["state"] == "COMPLETED"
    memory = [int(job["memory"].removesuffix("M")) for job in (*killed, last)]
    assert memory in ([300, 600], [300, 600, 1200])
    log = finished[0] / f".snakemake/slurm_logs/rule_fit_baseline/{PAIR}_ridge/{killed[0]['id']}.log"
    assert "memory limit" in log.read_text()


def test_a_training_that_hit_its_time_limit_ends_as_an_undisturbed_one(slurm, finished):
    folder, _ = finished
    first, *_, last = jobs_of(slurm, "train_.*limited.*")
    assert (first["state"], last["state"]) == ("TIMEOUT", "COMPLETED")
    assert [job["state"] for job in jobs_of(slurm, "train_.*free.*")] == ["COMPLETED"]
    log = (folder / f"results/logs/train/{PAIR}/limited.log").read_text()
    assert re.search(r"going on after [0-6] finished epochs", log)
    for file in ("model.safetensors", "history.csv"):
        limited, free = (folder / f"results/runs/{PAIR}/{run}/{file}" for run in CONFIG["runs"])
        assert limited.read_bytes() == free.read_bytes()


def test_a_second_submission_submits_nothing(slurm, finished):
    before = slurm.jobs()
    status, said = Submission(slurm, finished[0]).end()
    assert status == 0
    assert "Nothing to be done" in said
    assert slurm.jobs() == before


def test_people_who_are_learned_from_together_are_one_submission(slurm, finished):
    """Two more people: their own recordings, and trainings and calibrations of all three."""
    folder = finished[0]
    config = changed_config(folder, PEOPLE, name="people.yaml")
    runs = {"others_cal-4": "others", "all": "all"}
    targets = [f"results/runs/{brains}/{run}/metrics.json" for brains in PEOPLE["brains"] for run in runs]
    planned = planned_jobs(folder, *targets, config=config)
    assert planned == Counter(
        dict.fromkeys(("simulate_eeg", "repack_eeg", "build_lmdb", "audit_split"), 2)
        | {"train": 3 + 1, "calibrate": 3, "predict": 3 * 2, "evaluate": 3 * 2}
    )
    before = {job["id"] for job in slurm.jobs()}
    status, said = Submission(slurm, folder, "--", *targets, config=config).end(1200)
    assert status == 0, said[-5000:]
    done = [job for job in slurm.jobs() if job["id"] not in before]
    assert Counter(rule_of(job) for job in done if job["state"] == "COMPLETED") == planned
    for target in targets:
        metrics = json.loads((folder / target).read_text())
        assert metrics["people"] == runs[Path(target).parent.name]
        assert (metrics["calibration"] is None) == (metrics["people"] == "all")


def predict_again(slurm, folder, *options):
    """Submit one job anew, and stop it in the midst of its script."""
    submission = Submission(slurm, folder, "--forcerun", "predict", *options, "--", PREDICTIONS)
    return submission, submission.hold("predict.*")


def test_a_job_that_somebody_cancelled_is_noticed(slurm, finished):
    submission, job = predict_again(slurm, finished[0], "--retries", "0")
    slurm.call("scancel", job["id"])
    status, said = submission.end(120)
    assert status == 1
    assert f"SLURM-job '{job['id']}' failed, SLURM status is: 'CANCELLED'" in said


def test_interrupting_snakemake_cancels_its_jobs(slurm, finished):
    submission, job = predict_again(slurm, finished[0])
    assert submission.interrupt() != 0
    wait_for(lambda: state_of(slurm, job) == "CANCELLED", f"{job} was not cancelled")
    wait_for(lambda: not slurm.processes(SLURM_JOB_ID=job["id"]), f"processes of {job} are left")


def test_a_dead_node_is_noticed_and_its_job_goes_to_another(slurm, finished):
    submission, job = predict_again(slurm, finished[0])
    slurm.kill_node(job["node"])
    try:
        status, said = submission.end(240)
    finally:
        slurm.start_nodes()
    assert status == 0, said[-5000:]
    assert state_of(slurm, job) == "NODE_FAIL"
    last = jobs_of(slurm, "predict.*")[-1]
    assert last["state"] == "COMPLETED"
    assert {job["node"], last["node"]} == set(GPUS)
