"""Embeddings of BIDS recordings as BIDS derivatives."""

import json
import shutil

import h5py
import mne
import numpy as np
import pytest
from helpers.newcomers import CHANNELS, N_AXES, N_FEATURES, write_run
from mne_bids import BIDSPath, get_entities_from_fname

import brain2image
from brain2image.__main__ import main
from brain2image.core.errors import InputError
from brain2image.formats.files import sha256
from brain2image.translation.derivatives import write_derivative

NAME = "sub-01_ses-a_task-view_eeg.fif"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run, and a data set of one recording with two pictures."""
    folder, rng = tmp_path_factory.mktemp("bids"), np.random.default_rng(0)
    pattern = rng.standard_normal((N_AXES, len(CHANNELS), 200))
    axes = np.linalg.qr(rng.standard_normal((N_FEATURES, N_AXES)))[0].T
    filters = {"highpass": 2.0, "lowpass": 75.0, "notch": [50.0]}
    write_run(folder / "runs/a_flat", pattern, axes, rng.standard_normal(N_FEATURES), people=(), **filters)
    info = mne.create_info(CHANNELS, 200.0, "eeg")
    raw = mne.io.RawArray(1e-6 * rng.standard_normal((len(CHANNELS), 3000)), info, verbose="error")
    raw.set_annotations(mne.Annotations([5.0, 8.0], 0.0, ["cat", "dog"]))
    place = folder / "data/sub-01/ses-a/eeg"
    place.mkdir(parents=True)
    raw.save(place / NAME, verbose="error")
    return folder


def test_a_derivative_says_what_it_was_made_from_and_by(world, capsys):
    recording, out = world / "data/sub-01/ses-a/eeg" / NAME, world / "data/derivatives/brain2image"
    run = str(world / "runs/a_flat")
    main(["translate", "--run", run, "--eeg", str(recording), "--derivatives", str(out), "--shift", "20"])
    path = out / "sub-01/ses-a/eeg/sub-01_ses-a_task-view_desc-aflat_embeddings.h5"
    assert capsys.readouterr().out == f"Embeddings: {path}\n"
    with h5py.File(path) as file:
        expected = brain2image.translate(recording, run, shift=20.0).embedding
        np.testing.assert_array_equal(file["embedding"], expected)
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"] == [{"Name": "brain2image", "Version": brain2image.__version__}]
    assert (out / described["DatasetLinks"]["raw"]).resolve() == (world / "data").resolve()
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["Sources"] == [f"bids:raw:sub-01/ses-a/eeg/{NAME}"]
    assert sidecar["ModelSHA256"] == sha256(world / "runs/a_flat/model.safetensors")
    assert sidecar["Checkpoint"]["checkpoint"] == "last.pth"
    assert sidecar["Options"] == {"shift": 20.0, "top_k": 5}
    assert str(world) not in path.with_suffix(".json").read_text()
    # as others read names
    entities = get_entities_from_fname(path.name, on_error="ignore")
    assert {name: entities[name] for name in ("subject", "session", "task", "description")} == {
        "subject": "01",
        "session": "a",
        "task": "view",
        "description": "aflat",
    }
    found = BIDSPath(root=out, subject="01", session="a", task="view", datatype="eeg", check=False)
    assert {match.fpath.name for match in found.match(check=False)} == {path.name}


def test_another_run_of_the_name_and_another_data_set_are_refused(world, tmp_path):
    recording, out = world / "data/sub-01/ses-a/eeg" / NAME, tmp_path / "out"
    path = write_derivative(out, recording, str(world / "runs/a_flat"))
    assert write_derivative(out, recording, str(world / "runs/a_flat")) == path
    shutil.copytree(world / "runs/a_flat", other := tmp_path / "a_flat")
    (other / "model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="got those of another one of its name"):
        write_derivative(out, recording, str(other))
    shutil.copytree(world / "data", tmp_path / "data")
    moved = tmp_path / "data/sub-01/ses-a/eeg" / NAME
    with pytest.raises(InputError, match=r"expected derivatives of \.\./data by brain2image, got those of"):
        write_derivative(out, moved, str(world / "runs/a_flat"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    with pytest.raises(InputError, match="expected a new folder or one of derivatives, got files"):
        write_derivative(tmp_path / "full", recording, str(world / "runs/a_flat"))


@pytest.mark.parametrize("name", ["recording.fif", "sub-01_eeg.fif", "sub-02/eeg/sub-01_task-view_eeg.fif"])
def test_a_recording_of_no_data_set_is_refused_before_it_is_read(world, tmp_path, name):
    with pytest.raises(InputError, match="expected a recording of a BIDS data set"):
        write_derivative(tmp_path / "out", tmp_path / name, str(world / "runs/a_flat"))
    assert not (tmp_path / "out").exists()
