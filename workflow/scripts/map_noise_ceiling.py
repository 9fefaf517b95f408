"""Map the noise ceilings of one subject's voxels to the brain."""

from brain2image.core.jobs import job
from brain2image.quality.voxel_noise import map_noise_ceiling

with job(snakemake):
    map_noise_ceiling(snakemake.input.betas, snakemake.input.mask, out=snakemake.output.volume)
