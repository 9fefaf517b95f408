"""Maps on surfaces, by nilearn, whose import takes seconds; tests/report/test_cortex_plots.py has slices."""

import numpy as np
from helpers.toy_surfaces import write_brain

from brain2image.formats.surfaces import read_hemispheres
from brain2image.formats.volumes import read_mask
from brain2image.report.figures.cortex_plots import VoxelMap, plot_cortex
from brain2image.report.figures.style import to_svg

N_VOXELS = 400


def test_surfaces_show_the_voxels(rng, tmp_path):
    files = write_brain(tmp_path, n_voxels=N_VOXELS)
    mask, hemispheres = read_mask(files[0], n_voxels=N_VOXELS), read_hemispheres(files[1:])
    row = VoxelMap("noise ceiling of the voxels", rng.uniform(20, 80, N_VOXELS), "% of variance")
    figure = plot_cortex([row, row], mask, hemispheres)
    brains = [axes for axes in figure.axes if axes.name == "3d"]
    assert [axes.get_title() for axes in brains] == 2 * [
        f"{side}, {view}" for side in ("left", "right") for view in ("lateral", "medial", "ventral")
    ]
    assert all(shapes.get_rasterized() for axes in brains for shapes in axes.collections)
    colours = brains[0].collections[0].get_facecolors()
    is_grey = np.ptp(colours[:, :3], axis=1) < 0.02
    assert 0.02 < (~is_grey).mean() < 0.6  # the region, at the back
    assert len(to_svg(figure)) < 3_000_000
