"""Masks of NSD's form, and vectors of voxels put back into volumes; `test_bad_input` damages them."""

import gzip

import nibabel
import numpy as np
import pytest

from brain2image.core.errors import InputError
from brain2image.formats import volumes
from brain2image.formats.volumes import put_back, read_mask, read_volume, upright, write_volume

SHAPE = (5, 4, 3)


@pytest.fixture
def labels(rng):
    return rng.choice([-1, 0, 1], size=SHAPE).astype(np.int16)


def save(path, labels, affine=None):
    affine = np.diag([1.8, 1.8, 1.8, 1.0]) if affine is None else affine
    nibabel.Nifti1Image(labels, affine).to_filename(path)
    return path


def test_there_and_back(tmp_path, rng, labels):
    """In the order of loops over the axes, the last one running fastest, as MindEye's betas are."""
    affine = np.array([[-1.8, 0, 0, 70], [0, 0, 1.8, -50], [0, 1.8, 0, 3], [0, 0, 0, 1]])
    inside = np.argwhere(labels == 1)
    mask = read_mask(save(tmp_path / "mask.nii.gz", labels, affine), n_voxels=len(inside))
    values = rng.normal(size=len(inside)).astype(np.float32)
    out = tmp_path / "cortex" / "map.nii.gz"
    out.parent.mkdir()
    write_volume(out, values, mask)
    image = nibabel.load(out)  # as any viewer reads it
    assert image.get_data_dtype() == np.float32
    np.testing.assert_allclose(image.affine, affine, rtol=1e-6)
    np.testing.assert_array_equal([image.dataobj[*place] for place in inside], values)
    assert np.isnan(image.get_fdata()[labels != 1]).all()
    np.testing.assert_array_equal(read_volume(out, mask), values)
    np.testing.assert_array_equal(mask.cortex, labels >= 0)
    first = out.read_bytes()
    write_volume(out, values, mask)
    assert out.read_bytes() == first  # no time stands in it


def test_volumes_are_turned_upright(tmp_path, labels):
    """Left to right, back to front, upwards, whatever the file's axes are."""
    affine = np.array([[-1.8, 0, 0, 70], [0, 0, 1.8, -50], [0, 1.8, 0, 3], [0, 0, 0, 1]])
    mask = read_mask(save(tmp_path / "mask.nii.gz", labels, affine), n_voxels=(labels == 1).sum())
    expected = labels[::-1].transpose(0, 2, 1)
    np.testing.assert_array_equal(upright(labels, mask), expected)
    volume = upright(put_back(np.ones(mask.inside.sum()), mask), mask)
    np.testing.assert_array_equal(volume == 1, expected == 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels[:, :, 0], r"expected a volume of -1 .* got the shape \(5, 4\)"),
        (lambda labels: labels * 3, r"expected a volume of -1 .* with -3, 0, 3"),
        (lambda labels: np.where(labels, labels, 1), r"expected \d+ voxels in the region, as the betas have"),
    ],
)
def test_another_volume_is_refused(tmp_path, labels, change, message):
    path = save(tmp_path / "mask.nii.gz", change(labels))
    with pytest.raises(InputError, match=message):
        read_mask(path, n_voxels=(labels == 1).sum())


def test_a_header_that_claims_too_much_is_refused(tmp_path, labels, monkeypatch):
    path = save(tmp_path / "mask.nii.gz", labels)
    monkeypatch.setattr(volumes, "MAX_VOXELS", 59)
    with pytest.raises(InputError, match=r"mask\.nii\.gz: cannot read this NIfTI file .*\(5, 4, 3\)"):
        read_mask(path, n_voxels=1)


def test_a_result_of_another_mask_is_refused(tmp_path, labels):
    mask = read_mask(save(tmp_path / "mask.nii.gz", labels), n_voxels=(labels == 1).sum())
    other = save(tmp_path / "other.nii.gz", labels[1:])
    with pytest.raises(InputError, match=r"expected the mask's shape \(5, 4, 3\), got \(4, 4, 3\)"):
        read_volume(other, mask)


def test_a_cut_file_is_refused(tmp_path, labels):
    path = save(tmp_path / "mask.nii.gz", labels)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-9]))
    with pytest.raises(InputError, match="cannot read this NIfTI file"):
        read_mask(path, n_voxels=1)
