"""Simulate the region of interest that says where one subject's voxels lie."""

from brain2image.core.jobs import job
from brain2image.synthetic.brain_mask import simulate_mask

with job(snakemake):
    simulate_mask(snakemake.params.n_voxels, out=snakemake.output.mask)
