"""Hemispheres in the files of NSD, and volumes seen on them; `test_bad_input` damages them."""

import numpy as np
import pytest
from helpers.toy_surfaces import OUTSIDE, sphere, write_brain
from nibabel import MGHImage
from nibabel.freesurfer.io import write_morph_data

from brain2image.core.errors import InputError
from brain2image.formats.surfaces import Hemisphere, read_hemisphere, read_hemispheres, sample


@pytest.fixture
def files(tmp_path):
    return write_brain(tmp_path, n_voxels=20)[1:]


def test_hemispheres_are_read(files):
    left, right = read_hemispheres(files)
    points, faces = sphere()
    np.testing.assert_allclose(left.coordinates, points * [30, 60, 40] - [40, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(right.faces, faces)
    np.testing.assert_allclose(right.sulci, np.sin(5 * points[:, 2]), atol=1e-5)
    assert left.places.shape == points.shape
    # of the midline both have them: from 1 in the file, from 0 here
    np.testing.assert_array_equal(left.places[points[:, 0] > 0], OUTSIDE - 1)
    is_left = points[:, 0] < 0
    assert left.places[is_left].min() >= 0


def test_a_vertex_has_the_value_of_its_voxel(rng):
    """Against a loop."""
    volume = rng.normal(size=(4, 5, 6)).astype(np.float32)
    places = rng.uniform(-1, 6, size=(200, 3))
    places[0], places[1] = np.nan, OUTSIDE - 1
    seen = sample(volume, Hemisphere(places, np.empty((0, 3), int), np.zeros(200), places))
    for value, place in zip(seen, places, strict=True):
        nearest = [round(index) if np.isfinite(index) else -1 for index in place]
        is_in = all(0 <= index < n for index, n in zip(nearest, volume.shape, strict=True))
        np.testing.assert_equal(value, volume[tuple(nearest)] if is_in else np.float32(np.nan))


def test_files_of_two_hemispheres_are_refused(files):
    surface, sulci, transform = files[:3]
    write_morph_data(sulci, np.zeros(7))
    with pytest.raises(InputError, match=r"lh\.sulc: expected one depth for each of the 384 vertices"):
        read_hemisphere(surface, sulci, transform)
    write_morph_data(sulci, np.zeros(384))
    MGHImage(np.zeros((384, 1, 1, 2), np.float32), np.eye(4)).to_filename(transform)
    with pytest.raises(InputError, match=r"layerB2\.mgz: expected three indices for each of the 384"):
        read_hemisphere(surface, sulci, transform)
