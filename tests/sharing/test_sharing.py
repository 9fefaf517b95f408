"""Runs that are given away: the folder, its model card, and a Hub on this machine."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.hub_server import COMMIT, HubServer
from helpers.newcomers import CHANNELS, N_AXES, N_FEATURES, write_run
from helpers.web_server import serving
from safetensors import safe_open

import brain2image
from brain2image.__main__ import main
from brain2image.core.errors import InputError
from brain2image.formats.files import read_json, write_json
from brain2image.sharing.exporting import export_run, without_paths
from brain2image.sharing.hub import SharedRun
from brain2image.sharing.model_card import write_card
from brain2image.weights.hub_runs import fetch_run

SHA256 = 64 * "a"
EEG = np.random.default_rng(0).standard_normal((2, len(CHANNELS), 200)).astype(np.float32)
ROW = {"n_trials": "all", "level": "image", "direction": "forward", "n_gallery": 10, "metric": "top1"}
ROW |= {"value": 0.4, "chance": 0.1, "low": 0.25, "high": 0.55}


def write_scores(folder, value):
    """Scores beside a run, among others that are no headline."""
    others = [ROW | {"level": "trial", "value": 0.9}, ROW | {"n_gallery": 5, "value": 0.8}]
    audit = {"leaks": [], "caveats": ["test trials overlap"], "unknown": []}
    scores = [*others, ROW | {"value": value}]
    write_json(folder / "metrics.json", {"n_test": 10, "n_concepts": 4, "scores": scores, "audit": audit})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose config names a checkpoint on somebody's disk, and the scores of it and a baseline."""
    folder = tmp_path_factory.mktemp("runs") / "results/runs/things-01_subj01/flatten"
    rng = np.random.default_rng(1)
    pattern = rng.standard_normal((N_AXES, len(CHANNELS), 200))
    axes = np.linalg.qr(rng.standard_normal((N_FEATURES, N_AXES)))[0].T
    write_run(folder, pattern, axes, rng.standard_normal(N_FEATURES), people=())
    config = read_json(folder / "config.json")
    config |= {
        "fmri": {"checkpoint": "/home/somebody/secret/last.pth", "sha256": SHA256},
        "predicted": {"checkpoint": r"C:\somebody\last.pth", "sha256": SHA256},
        "learned_from": {"targets": "predicted", "people": ["things-01"], "n_pictures": 40},
        "versions": {"brain2image": "0.2.0", "torch": "2.12.1"},
    }
    write_json(folder / "config.json", config)
    write_scores(folder, 0.4)
    for name, record in (("ridge", {"baseline": "ridge"}), ("attention", {"model": {}})):
        (folder.parent / name).mkdir()
        write_json(folder.parent / name / "config.json", record)
        write_scores(folder.parent / name, 0.3)
    return folder


def test_a_shared_folder_is_the_run_without_paths(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["export", str(run)])
    assert capsys.readouterr().out.startswith("things-01_subj01_flatten: README.md")
    out = tmp_path / "things-01_subj01_flatten"
    assert {file.name for file in out.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert len({file.stat().st_mode for file in out.iterdir()}) == 1  # all may be read by the same people
    assert "somebody" not in (out / "README.md").read_text() + (out / "config.json").read_text()
    expected, found = brain2image.load_model(run), brain2image.load_model(out)
    np.testing.assert_array_equal(found.predict(EEG), expected.predict(EEG))
    assert found.config["fmri"] == {"checkpoint": "last.pth", "sha256": SHA256}
    with safe_open(out / "model.safetensors", "np") as file:
        metadata = file.metadata()
    assert metadata == {
        "format": "pt",
        "brains": "things-01_subj01",
        "run": "flatten",
        "brain2image": "0.2.0",
        "checkpoint": "last.pth",
        "sha256": SHA256,
    }
    with pytest.raises(InputError, match="expected a new folder, got something that is there"):
        export_run(run, out)


def test_the_card_has_scores_with_intervals_and_baselines(run, tmp_path):
    export_run(run, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert "10 test pictures of 4 concepts" in card
    assert "| flatten | 40.0 (25.0 to 55.0), chance 10.0 | - | - |" in card
    assert "| ridge | 30.0 (25.0 to 55.0), chance 10.0 |" in card
    assert "attention" not in card  # another network, which is not shared here
    assert "- Caveat of its test, by the audit: test trials overlap." in card
    assert f"(SHA-256 {SHA256})" in card
    assert 'load_model("things-01_subj01_flatten")' in card
    for heading in ("Data and people", "Licence", "Scores", "Intended use", "Limits"):
        assert f"\n## {heading}\n" in card


def test_without_scores_none_are_claimed(run):
    config = read_json(run / "config.json")
    card = write_card(config, {}, brains="things-01_subj01", run="flatten", n_times=200, place="here")
    assert "No scores lie beside this run, so none are claimed." in card


def test_the_card_says_whose_terms_hold(run):
    config, options = read_json(run / "config.json"), {"run": "flatten", "n_times": 200, "place": "here"}
    card = write_card(config, {}, brains="things-01_subj01", **options)
    assert "- THINGS-EEG2: CC BY 4.0" in card
    assert "- NSD: the terms and conditions" in card
    assert "imulated" not in card
    config["learned_from"]["people"] = ["alljoined-01", "mine-01"]
    card = write_card(config, {}, brains="alljoined-02_subj01", **options)
    assert "- Alljoined1: not stated" in card
    assert "- mine: those of its owners." in card
    assert "THINGS-EEG2" not in card


def test_the_card_of_made_up_data_says_so(run):
    config = read_json(run / "config.json") | {"simulated": True}
    card = write_card(config, {}, brains="things-01_subj01", run="flatten", n_times=200, place="here")
    assert "**Simulated data.**" in card.partition("## Data and people")[0]
    assert "- simulated EEG of things-01" in card
    assert "tags: [eeg, fmri, brain-decoding, things, simulated]" in card
    assert "nobody's terms" in card
    assert "CC BY" not in card


def test_addresses_stay():
    block = {"checkpoint": "hf://datasets/owner/name@main/last.pth", "sha256": SHA256}
    assert without_paths({"fmri": block, "predicted": None}) == {"fmri": block, "predicted": None}


def test_what_is_no_run_is_not_shared(tmp_path):
    with pytest.raises(InputError):
        export_run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_mixin_saves_the_same(run, tmp_path):
    SharedRun(str(run)).save_pretrained(tmp_path / "saved")
    export_run(run, tmp_path / "out")
    for name in ("README.md", "config.json"):
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    saved = SharedRun.from_pretrained(tmp_path / "saved")
    expected = brain2image.load_model(run).predict(EEG)
    np.testing.assert_array_equal(brain2image.load_model(saved.run).predict(EEG), expected)


def test_a_hub_that_refuses_is_one_line(run, monkeypatch):
    def refuse(*_, **__):
        raise OSError("403 Forbidden\nof many lines")

    monkeypatch.setattr(SharedRun, "push_to_hub", refuse)
    with pytest.raises(
        SystemExit, match=r"^brain2image: owner/name: cannot push .* \(403 Forbidden\); log in"
    ) as end:
        main(["export", str(run), "--push-to-hub", "owner/name"])
    assert "\n" not in str(end.value)


@pytest.mark.parametrize("source", ["hf://name", "hf://owner/name/file.json", "hf://owner/name@"])
def test_an_address_that_is_none_is_named(source):
    with pytest.raises(InputError, match=r"expected hf://owner/name or hf://owner/name@revision, got"):
        fetch_run(source)
    with pytest.raises(InputError, match="expected hf://owner/name"):
        brain2image.load_model(source)


PUSHED = """
import sys
import numpy as np
from brain2image import load_model
from brain2image.__main__ import main
main(["export", sys.argv[1], "--push-to-hub", "owner/name"])
for source in ("hf://owner/name", f"hf://owner/name@{sys.argv[2]}"):
    print(load_model(source).predict(np.load(sys.argv[3])).sum())
"""


@pytest.mark.slow
def test_a_run_is_pushed_to_a_hub_and_read_from_there(run, tmp_path):
    np.save(tmp_path / "eeg.npy", EEG)
    with serving(HubServer()) as server:
        settings = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        settings |= {"HF_TOKEN": "hf_none", "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", PUSHED, str(run), COMMIT, str(tmp_path / "eeg.npy")]
        result = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        pushed, *sums = result.stdout.splitlines()
        assert pushed.startswith(f"Pushed: {server.url}/owner/name")
        expected = float(brain2image.load_model(run).predict(EEG).sum())
        np.testing.assert_allclose([float(text) for text in sums], expected, rtol=1e-5)
        asked = server.created[0]
        assert asked.get("private") or asked["visibility"] == "private"
        card = server.files["/owner/name/resolve/main/README.md"].decode()
        assert 'load_model("hf://owner/name")' in card
        config = json.loads(server.files["/owner/name/resolve/main/config.json"])
        assert config["fmri"]["checkpoint"] == "last.pth"
