"""Maps of voxels on slices of the brain, or on the inflated surface of its cortex."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from brain2image.formats.surfaces import Hemisphere, sample
from brain2image.formats.volumes import Mask, put_back, upright
from brain2image.quality.voxel_maps import EVERY, EmbeddingMaps

N_SLICES = 8
N_RUNS = 3
GAP = 2  # voxels between slices
TOP = 99.5  # percentile of the values that has the brightest colour
COLOURS, GREYS = "viridis", ListedColormap(["1", "0.87"])  # of the region; of no cortex and other cortex
HEMISPHERES = ("left", "right")
VIEWS = ("lateral", "medial", "ventral")
DPI = 150  # of surfaces, which as shapes would be some 100 MB


class VoxelMap(NamedTuple):
    """One row of the figure; rows of one unit have one scale."""

    title: str
    values: np.ndarray  # (n_voxels,)
    unit: str


def list_maps(found: EmbeddingMaps, *, noise_ceiling: np.ndarray) -> list[VoxelMap]:
    """List the rows: the noise ceilings, (n_voxels,) in %, and the maps of the embedding and of the runs.

    Of more than `N_RUNS` the first ones and the last, which is the ridge where it is mapped; as all are much
    alike, and a report of many people would grow by megabytes.
    """
    every = found.maps[EVERY]
    rows = [
        VoxelMap("noise ceiling of the voxels", noise_ceiling, "% of variance"),
        VoxelMap("voxels and embedding, all features alike", every, "correlation"),
    ]
    runs = list(found.predicted)
    for run in runs if len(runs) <= N_RUNS else [*runs[: N_RUNS - 1], runs[-1]]:
        mean = found.predicted[run]
        title = f"{run}: each feature weighed by how well it is predicted from EEG (mean r {mean:.2f})"
        values = found.maps[run]
        if values.std() > 0 < every.std():
            title += f"; r with the map of all alike {np.corrcoef(values, every)[0, 1]:.2f}"
        rows.append(VoxelMap(title, values, "correlation"))
    return rows


def plot_cortex(maps: Sequence[VoxelMap], mask: Mask, hemispheres: Sequence[Hemisphere]) -> Figure:
    """Draw maps below each other, on surfaces where there are some, else on horizontal slices."""
    tops: dict[str, float] = {}
    for row in maps:
        tops[row.unit] = max(tops.get(row.unit, 0), float(np.percentile(row.values, TOP)))
    scales = [Normalize(0, tops[row.unit] or 1) for row in maps]
    if hemispheres:
        return _plot_surfaces(maps, scales, mask, hemispheres)
    return _plot_slices(maps, scales, mask)


def _plot_slices(maps: Sequence[VoxelMap], scales: Sequence[Normalize], mask: Mask) -> Figure:
    cortex, inside = (upright(volume, mask) for volume in (mask.cortex, mask.inside))
    left, front = (np.flatnonzero(cortex.any(axis=others)) for others in ((1, 2), (0, 2)))
    heights = np.flatnonzero(inside.any(axis=(0, 1)))
    # without the outermost two, which hold a few voxels
    shown = np.unique(np.linspace(heights[0], heights[-1], N_SLICES + 2)[1:-1].round().astype(int))
    window = np.ix_(np.arange(left[0], left[-1] + 1), np.arange(front[0], front[-1] + 1), shown)
    background = _beside(cortex[window].astype(np.float32))
    height = min(0.4 + 9 * background.shape[0] / background.shape[1], 2.2)
    figure, panels = plt.subplots(len(maps), 1, figsize=(10, 0.3 + len(maps) * height), squeeze=False)
    for panel, row, scale in zip(panels[:, 0], maps, scales, strict=True):
        seen = _beside(upright(put_back(row.values, mask), mask)[window])
        panel.imshow(background, cmap=GREYS, origin="lower")
        image = panel.imshow(seen, cmap=COLOURS, norm=scale, origin="lower")
        panel.set_axis_off()
        panel.set_title(row.title, fontsize=9, loc="left")
        figure.colorbar(image, ax=panel, label=row.unit, shrink=0.9, pad=0.01)
    _label_slices(panels[-1, 0], shown, width=background.shape[1] / len(shown))
    return figure


def _label_slices(panel: Axes, shown: np.ndarray, *, width: float) -> None:
    for number, height in enumerate(shown):
        panel.text(width * (number + 0.5), -1, f"slice {height}", fontsize=7, ha="center", va="top")
    panel.text(0, -1, "L", fontsize=7, va="top")
    panel.text(width - GAP, -1, "R", fontsize=7, va="top", ha="right")


def _beside(slices: np.ndarray) -> np.ndarray:
    """Put slices, (n_x, n_y, n_slices), beside each other as one picture, gaps between them NaN."""
    padded = np.pad(slices, ((0, GAP), (0, 0), (0, 0)), constant_values=np.nan)
    return np.concatenate([padded[:, :, number].T for number in range(slices.shape[2])], axis=1)


def _plot_surfaces(
    maps: Sequence[VoxelMap], scales: Sequence[Normalize], mask: Mask, hemispheres: Sequence[Hemisphere]
) -> Figure:
    n_columns = len(hemispheres) * len(VIEWS)
    figure = plt.figure(figsize=(1.8 * n_columns, 2 * len(maps)), dpi=DPI)
    parts = figure.subfigures(len(maps), 1, squeeze=False)[:, 0]
    for part, row, scale in zip(parts, maps, scales, strict=True):
        panels = part.subplots(1, n_columns, subplot_kw={"projection": "3d"}).reshape(len(hemispheres), -1)
        part.suptitle(row.title, fontsize=9, x=0.01, ha="left")
        volume = put_back(row.values, mask)
        for side, hemisphere, own in zip(HEMISPHERES, hemispheres, panels, strict=True):
            _plot_hemisphere(own, hemisphere, sample(volume, hemisphere), side=side, scale=scale)
        part.colorbar(ScalarMappable(scale, COLOURS), ax=panels, label=row.unit, shrink=0.8, pad=0.01)
    return figure


def _plot_hemisphere(
    panels: Sequence[Axes], hemisphere: Hemisphere, values: np.ndarray, *, side: str, scale: Normalize
) -> None:
    from nilearn.plotting import plot_surf_stat_map

    for view, panel in zip(VIEWS, panels, strict=True):
        plot_surf_stat_map(
            [hemisphere.coordinates, hemisphere.faces],
            values,
            bg_map=hemisphere.sulci,
            hemi=side,
            view=view,
            axes=panel,
            cmap=COLOURS,
            vmin=scale.vmin,
            vmax=scale.vmax,
            colorbar=False,
        )
        panel.set_title(f"{side}, {view}", fontsize=7)
        for shapes in panel.collections:
            shapes.set_rasterized(True)
