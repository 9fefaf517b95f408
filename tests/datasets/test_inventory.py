"""The inventory of empty folders: a line for everything that is missing."""

from brain2image.core.errors import InputError
from brain2image.datasets.inventory import take_inventory


def never(path, **how):
    """No file of weights is there."""
    raise AssertionError(path)


def test_everything_that_is_missing_has_a_line_of_its_own(tmp_path):
    folders = dict.fromkeys(("things_images", "things_eeg", "nsd"), str(tmp_path))
    weights = {"clip": "hf://timm/clip", "cbramod": str(tmp_path / "no.pth"), "mindeye2": "hf://a/{subj}"}
    weights |= {"braindecode:Labram": "hf://b/labram"}
    fetched = {"clip": str(tmp_path / "fetched"), "mindeye2": str(tmp_path / "{subj}_fetched")}
    fetched |= {"braindecode:Labram": str(tmp_path / "labram.pth")}
    encoders = [
        {"encoder": name, "model": {"encoder": name}, "channels": ["Oz"], "runs": [f"run_{number}"]}
        for number, name in enumerate(("cbramod", "braindecode:Labram"))
    ]
    left_out = {"things-02": "half a release"}
    findings = take_inventory(
        folders,
        weights,
        encoders=encoders,
        describe_published=never,
        people={"things": ["things-01"], "nsd": ["subj01", "subj02"]},
        subjects=["subj01", "subj02"],
        left_out=left_out,
        fetched=fetched,
    )
    found = {finding.what: finding for finding in findings}
    assert len(found) == 10
    assert "no.pth: no such file" in found["cbramod weights (run_0)"].found
    assert {what for what, finding in found.items() if finding.is_usable} == {
        "CLIP weights",
        "braindecode:Labram weights (run_1)",
        "MindEye2 ridge of subj01",
        "MindEye2 ridge of subj02",
    }
    assert found["MindEye2 ridge of subj02"].found.startswith("to be fetched from hf://a/subj02")
    assert found["things-02, left out"].found == "half a release"
    assert all("\n" not in finding.found for finding in findings)


def inventory_of_weights(file, *, channels=("Oz",)):
    """The findings of an encoder's weights alone, and how they were looked at."""
    seen = []

    def describe(path, **how):
        seen.append((path, how))
        if "bad" in str(path):
            raise InputError("expected all 211 tensors")
        return "211 tensors"

    findings = take_inventory(
        {},
        {"clip": "hf://timm/clip", "cbramod": str(file), "mindeye2": "hf://a/{subj}"},
        encoders=[{"encoder": "cbramod", "model": {"n_layers": 2}, "channels": channels, "runs": ["a", "b"]}],
        describe_published=describe,
        people={},
        subjects=[],
        left_out={},
        fetched={"clip": "nowhere", "mindeye2": "nowhere"},
    )
    (found,) = (finding for finding in findings if finding.what == "cbramod weights (a, b)")
    return found, seen


def test_weights_of_encoders_are_described_by_the_encoder(tmp_path):
    for name in ("good", "bad"):
        (tmp_path / name).write_bytes(b"x" * 64)
    found, seen = inventory_of_weights(tmp_path / "good")
    assert found.is_usable
    assert found.found.endswith("(0.00 GB): 211 tensors")
    assert seen == [(str(tmp_path / "good"), {"model": {"n_layers": 2}, "channels": ("Oz",)})]
    found, _ = inventory_of_weights(tmp_path / "bad")
    assert (found.is_usable, found.found) == (False, "expected all 211 tensors")
    # of a data set that does not name its channels no encoder can be built
    found, seen = inventory_of_weights(tmp_path / "bad", channels=())
    assert found.is_usable
    assert not seen
