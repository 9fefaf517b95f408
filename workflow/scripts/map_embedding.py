"""Map to the brain how far voxels go with the features that are predicted from EEG, and draw the maps."""

from brain2image.core.jobs import job
from brain2image.formats.surfaces import read_hemispheres
from brain2image.formats.volumes import read_mask, read_volume, write_volume
from brain2image.quality.voxel_maps import EVERY, map_embedding
from brain2image.report.figures.cortex_plots import list_maps, plot_cortex
from brain2image.report.figures.style import save

with job(snakemake):
    runs = dict(zip(snakemake.params.runs, snakemake.input.predictions, strict=True))
    found = map_embedding(snakemake.input.betas, snakemake.input.projection, runs)
    mask = read_mask(snakemake.input.mask, n_voxels=len(found.maps[EVERY]))
    paths = [snakemake.output.embedding, *snakemake.output.volumes]
    for path, values in zip(paths, found.maps.values(), strict=True):
        write_volume(path, values, mask)
    maps = list_maps(found, noise_ceiling=read_volume(snakemake.input.noise_ceiling, mask))
    hemispheres = read_hemispheres(snakemake.input.surfaces) if snakemake.input.surfaces else []
    save(plot_cortex(maps, mask, hemispheres), snakemake.output.figure)
