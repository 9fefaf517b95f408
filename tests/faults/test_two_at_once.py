"""Two Snakemakes on the same results, one that was killed, and jobs without the GPU that they asked for."""

import getpass
import socket
import time

import pytest
import torch
import yaml
from helpers.checkouts import copy_checkout
from helpers.tiny_run import CONFIG, assert_same, run, running_jobs, start

FIGURE = "results/figures/things-01_subj01/pairs.svg"
PREDICTIONS = "results/runs/things-01_subj01/flatten/predictions.npz"


def other_checkout(folder, results):
    """A checkout with another config that takes the results of another one."""
    text = (copy_checkout(folder) / CONFIG).read_text()
    config = folder / "other.yaml"
    config.write_text(text.replace(": results", f": {results}").replace("top_k: 40", "top_k: 39"))
    return config


def start_a_job(folder):
    """A Snakemake, and the job that it has started."""
    process = start(folder, "--forcerun", "plot_pairs", FIGURE)
    while not (jobs := list(running_jobs(process))):
        assert process.poll() is None
        time.sleep(0.05)
    return process, jobs[0]


def test_the_second_of_two_says_so(undisturbed, finished, tmp_path):
    """In the same checkout, and in another one with another config."""
    config = other_checkout(tmp_path / "other", finished / "results")
    first, job = start_a_job(finished)
    job.suspend()
    for text in (
        run(finished, "--forceall", status=1),
        run(tmp_path / "other", config=config, status=1),
    ):
        assert (
            f"results: these results are being made by a Snakemake of {getpass.getuser()}, process " in text
        )
        assert f"on {socket.gethostname()}, since 20" in text
        assert "Traceback" not in text
    job.resume()
    assert first.wait() == 0
    assert_same(finished / "results", undisturbed / "results")


def test_a_killed_one_keeps_nobody_out(undisturbed, finished):
    first, _ = start_a_job(finished)
    first.kill()
    first.wait()
    run(finished)
    assert_same(finished / "results", undisturbed / "results")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_job_without_a_gpu(undisturbed, finished):
    content = yaml.safe_load((finished / CONFIG).read_text())
    (finished / "strict.yaml").write_text(yaml.safe_dump(content | {"allow_cpu": False}))
    force = ("--forcerun", "predict", "--", PREDICTIONS)
    text = run(finished, *force, config="strict.yaml", status=1)
    assert (
        "predict: expected a GPU, as allow_cpu is false in the config, but PyTorch finds no CUDA device"
        in text
    )
    assert "Traceback" not in text
    run(finished, PREDICTIONS)  # named, as what was made of them is there already
    log = (finished / "results/logs/predict/things-01_subj01/flatten.log").read_text()
    assert "no CUDA device found: computing on the CPU" in log
    assert_same(finished / "results", undisturbed / "results")
