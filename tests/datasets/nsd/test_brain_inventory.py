"""What `check_data` says of where the voxels lie; `test_bad_input` damages the files."""

import h5py
import numpy as np
import pytest
from helpers.mindeye2_files import draw_indices, write_indices, write_shared
from helpers.toy_surfaces import write_brain

from brain2image.core.errors import InputError
from brain2image.datasets.nsd.layout import BETAS, INDICES, PIXELS, SHARED1000
from brain2image.datasets.nsd.nsd_inventory import describe_person


@pytest.fixture
def data(tmp_path):
    """One session of a person with five voxels."""
    root = tmp_path / "nsd"
    root.mkdir()
    indices = draw_indices(0)[:750]
    with h5py.File(root / BETAS.format(person="subj01"), "w") as file:
        file["betas"] = np.zeros((750, 5), np.float32)
    write_indices(root / INDICES, subj01=indices)
    write_shared(root / SHARED1000)
    (root / PIXELS).touch()
    (root / "wds/subj01").mkdir(parents=True)
    return {"nsd": str(root), "nsddata": ""}


def test_maps_are_announced(data, tmp_path):
    assert "5 voxels" in describe_person(data, "subj01")
    assert "maps" not in describe_person(data, "subj01")
    data["nsddata"] = str(tmp_path / "nsddata")
    with pytest.raises(
        InputError, match=r"nsdgeneral\.nii\.gz: no such file; docs/cortex\.md says from where"
    ):
        describe_person(data, "subj01")
    *_, last = write_brain(tmp_path / "nsddata", n_voxels=5)
    assert describe_person(data, "subj01").endswith("; maps on surfaces of 384 and 384 vertices")
    last.unlink()
    found = describe_person(data, "subj01")
    assert f"; maps on slices: 1 of 6 files of surfaces are missing ({last})" in found
    write_brain(tmp_path / "nsddata", n_voxels=6)
    with pytest.raises(InputError, match="expected 5 voxels in the region, as the betas have, got 6"):
        describe_person(data, "subj01")
