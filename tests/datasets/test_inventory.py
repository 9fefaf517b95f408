"""The inventory of empty folders: a line for everything that is missing."""

from brain2image.datasets.inventory import take_inventory


def test_everything_that_is_missing_has_a_line_of_its_own(tmp_path):
    folders = dict.fromkeys(("things_images", "things_eeg", "nsd"), str(tmp_path))
    weights = {"clip": "hf://timm/clip", "cbramod": str(tmp_path / "no.pth"), "mindeye2": "hf://a/{subj}"}
    fetched = {"clip": str(tmp_path / "fetched"), "mindeye2": str(tmp_path / "{subj}_fetched")}
    left_out = {"things-02": "half a release"}
    findings = take_inventory(
        folders,
        weights,
        people={"things": ["things-01"], "nsd": ["subj01", "subj02"]},
        subjects=["subj01", "subj02"],
        left_out=left_out,
        fetched=fetched,
    )
    found = {finding.what: finding for finding in findings}
    assert len(found) == 9
    assert {what for what, finding in found.items() if finding.is_usable} == {
        "CLIP weights",
        "MindEye2 ridge of subj01",
        "MindEye2 ridge of subj02",
    }
    assert found["MindEye2 ridge of subj02"].found.startswith("to be fetched from hf://a/subj02")
    assert found["things-02, left out"].found == "half a release"
    assert all("\n" not in finding.found for finding in findings)
