"""The short output of a run, on a terminal and in a log."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brain2image.core.progress import KNOWN, Progress

SOURCE = Path(__file__).parents[2] / "src"
SNAKEFILE = """
rule all:
    input: "good", "bad"

rule write:
    output: "good"
    message: "Write {output}"
    shell: "sleep 0.2; touch {output}"

rule fail:
    input: "good"
    output: "bad"
    log: "bad.log"
    message: "Fail at {output}"
    shell: "echo the reason of it > {log}; exit 1"
"""


def wait_for(stream, text):
    """Wait until a text stands in what was written."""
    for _ in range(500):
        if text in stream.getvalue():
            return
        time.sleep(0.01)
    raise AssertionError(f"{text!r} is not in {stream.getvalue()!r}")


def test_a_log_has_a_line_a_job_and_signs_of_life():
    stream = io.StringIO()
    display = Progress(stream, seconds=0.05)
    display.plan(2)
    display.begin(7, "Train flatten")
    wait_for(stream, "0 of 2 done, 0:00; running: Train flatten (0:00)\n")
    display.begin(8, "Train attention")
    wait_for(stream, "running: Train flatten (0:00), Train attention (0:00)\n")
    display.end(7)
    display.say("WorkflowError:\nof two lines")
    display.end(8)
    display.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[1/2] Train flatten"
    assert "[2/2] Train attention" in lines
    assert lines[-3:] == ["WorkflowError:", "of two lines", "2 jobs done in 0:00"]
    assert "\x1b" not in stream.getvalue()


def test_a_job_that_failed_begins_again():
    stream = io.StringIO()
    display = Progress(stream)
    display.plan(1)
    display.begin(0, "Train")
    display.drop(0)
    display.begin(0, "Train")
    display.end(0)
    display.close()
    assert stream.getvalue().splitlines() == ["[1/1] Train", "[1/1] Train", "1 jobs done in 0:00"]


def test_a_terminal_has_one_line_of_what_is_running():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        display = Progress(stream, seconds=0.01)
        display.plan(2)
        display.begin(0, "Train " + 300 * "x")
        text = ""
        while "running" not in text:
            text += os.read(ours, 10000).decode()
        display.end(0)
        display.close()
        while not text.endswith("\x1b[K"):
            text += os.read(ours, 10000).decode()
    os.close(ours)
    states = re.findall(r"\x1b\[K(0 of 2 done.*?)\r", text)
    assert states
    assert {len(state) for state in states} == {79}  # a terminal without a size is taken to have 80 columns
    assert text.count("\n") == 1  # of the job that began


@pytest.mark.parametrize("text", ["Nothing to be done", "Complete log(s): a.log", "Unlocked"])
def test_what_is_not_said_in_every_run_is_shown(text):
    assert not KNOWN.match(text)


def test_snakemake_takes_it_and_errors_are_whole(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--logger",
        "brain2image",
        "--cores",
        "1",
        "--show-failed-logs",
    ]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    said = result.stderr
    assert said.splitlines()[:2] == ["[1/3] Write good", "[2/3] Fail at bad"]
    assert "Error in rule fail:" in said
    assert "the reason of it" in said
    assert "exit 1" in said
    assert "Provided cores" not in said
    (log,) = (tmp_path / ".snakemake/log").glob("*.log")
    assert str(log) in said
    assert "Provided cores: 1" in log.read_text()
