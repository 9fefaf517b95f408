"""Maps on slices of the brain; tests/runs/test_cortex_surfaces.py has those on surfaces."""

import numpy as np
import pytest

from brain2image.formats.volumes import put_back, read_mask
from brain2image.quality.voxel_maps import EVERY, EmbeddingMaps
from brain2image.report.figures.cortex_plots import N_SLICES, list_maps, plot_cortex
from brain2image.report.figures.style import to_svg
from brain2image.synthetic.brain_mask import simulate_mask

N_VOXELS = 400


@pytest.fixture
def mask(tmp_path):
    simulate_mask(N_VOXELS, out=tmp_path / "mask.nii.gz")
    return read_mask(tmp_path / "mask.nii.gz", n_voxels=N_VOXELS)


@pytest.fixture
def maps(rng):
    every = rng.uniform(0, 0.3, N_VOXELS)
    found = EmbeddingMaps({EVERY: every, "ridge": every**2}, {"ridge": 0.123})
    return list_maps(found, noise_ceiling=rng.uniform(0, 80, N_VOXELS))


def test_a_row_says_how_well_features_are_predicted(maps):
    assert [row.unit for row in maps] == ["% of variance", "correlation", "correlation"]
    assert maps[2].title.startswith("ridge: ")
    assert "(mean r 0.12); r with the map of all alike 0.9" in maps[2].title


def test_of_many_runs_the_first_and_the_last_are_drawn(rng):
    names = ("a", "b", "c", "ridge")
    every = rng.uniform(0, 0.3, N_VOXELS)
    found = EmbeddingMaps({EVERY: every} | dict.fromkeys(names, every**2), dict.fromkeys(names, 0.1))
    rows = list_maps(found, noise_ceiling=every)[2:]
    assert [row.title.partition(":")[0] for row in rows] == ["a", "b", "ridge"]


def test_slices_show_the_voxels(mask, maps):
    figure = plot_cortex(maps, mask, [])
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3
    seen = [panel.images[1].get_array().filled(np.nan) for panel in panels]
    scales = [panel.images[1].norm.vmax for panel in panels]
    assert scales[1] == scales[2] < 1 < scales[0]
    heights = [int(text.get_text().split()[1]) for text in panels[-1].texts if "slice" in text.get_text()]
    assert len(heights) == N_SLICES
    for row, shown in zip(maps, seen, strict=True):
        # the made-up mask is upright already
        expected = put_back(row.values, mask)[:, :, heights]
        both = (np.sort(values[np.isfinite(values)]) for values in (shown, expected))
        np.testing.assert_allclose(*both)
    svg = to_svg(figure)
    assert "noise ceiling of the voxels" in svg
    assert len(svg) < 300_000
