"""Write one NSD subject's betas with the picture that each trial showed."""

from brain2image.jobs import job
from brain2image.nsd.fmri import repack_fmri

with job(snakemake):
    repack_fmri(
        snakemake.input.betas,
        snakemake.input.indices,
        snakemake.input.tars,
        subject=snakemake.params.subject,
        out=snakemake.output.betas,
    )
