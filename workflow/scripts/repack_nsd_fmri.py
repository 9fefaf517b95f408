"""Write which picture each trial of one NSD subject showed, with its betas."""

from brain2image.core.jobs import job
from brain2image.datasets.nsd import betas as fmri
from brain2image.datasets.nsd import mindeye1

REPACK = {"mindeye1": mindeye1.repack_fmri, "mindeye2": fmri.repack_fmri}

with job(snakemake):
    REPACK[snakemake.params.release](
        *snakemake.input, subject=snakemake.params.subject, out=snakemake.output.betas
    )
