"""Two Snakemakes in one folder, one that was killed, and jobs without the GPU that they asked for."""

import time

import pytest
import torch
import yaml
from tiny_run import CONFIG, assert_same, run, running_jobs, start

FIGURE = "results/figures/sub-01_subj01/pairs.svg"
PREDICTIONS = "results/runs/sub-01_subj01/flatten/predictions.npz"


def test_the_second_of_two_says_so(undisturbed, finished):
    first = start(finished, "--forcerun", "plot_pairs", FIGURE)
    while not running_jobs(first):
        assert first.poll() is None
        time.sleep(0.05)
    text = run(finished, status=1)
    assert "LockException" in text
    assert "Directory cannot be locked" in text
    assert first.wait() == 0
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
    log = (finished / "results/logs/predict/sub-01_subj01/flatten.log").read_text()
    assert "no CUDA device found: computing on the CPU" in log
    assert_same(finished / "results", undisturbed / "results")
