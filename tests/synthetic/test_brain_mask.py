"""The made-up region has the form of NSD's, and as many voxels as there are betas."""

import nibabel
import numpy as np
import pytest

from brain2image.synthetic.brain_mask import draw_mask, simulate_mask


@pytest.mark.parametrize("n_voxels", [1, 64, 2000])
def test_as_many_voxels_as_betas(n_voxels):
    labels = draw_mask(n_voxels)
    assert (labels == 1).sum() == n_voxels
    assert (labels == 0).sum() >= 3 * n_voxels
    assert (labels[0] == -1).all()
    # at the back
    assert np.argwhere(labels == 1)[:, 1].max() <= np.argwhere(labels == 0)[:, 1].mean()


def test_the_file_has_the_form_of_nsds(tmp_path):
    simulate_mask(64, out=tmp_path / "nsdgeneral.nii.gz")
    image = nibabel.load(tmp_path / "nsdgeneral.nii.gz")
    assert set(np.unique(image.dataobj)) == {-1, 0, 1}
    np.testing.assert_allclose(image.header.get_zooms(), 1.8)
