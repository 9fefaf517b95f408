"""Project the betas of one NSD subject through the ridge layer of its MindEye2 checkpoint."""

from brain2image.core.jobs import job
from brain2image.projection.projecting import project_fmri

with job(snakemake):
    project_fmri(snakemake.input.betas, snakemake.input.ridge, out=snakemake.output.projection)
