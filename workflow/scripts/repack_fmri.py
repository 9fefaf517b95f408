"""Write which picture each trial of one fMRI subject showed, with its betas."""

from brain2image.core.jobs import job
from brain2image.core.modules import load_module

with job(snakemake):
    reader = load_module(snakemake.params.fmri["reader"])
    reader.repack_fmri(*snakemake.input, subject=snakemake.params.fmri["subject"], out=snakemake.output.betas)
