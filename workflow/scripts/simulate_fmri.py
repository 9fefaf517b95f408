"""Simulate one NSD subject: betas, behaviour, the MindEye2 checkpoint that reads them, and the oracle."""

from brain2image.core.jobs import job
from brain2image.synthetic.nsd_files import simulate_fmri

with job(snakemake):
    simulate_fmri(
        snakemake.params.simulate,
        snakemake.params.subject,
        latents=snakemake.input.latents,
        indices=snakemake.input.indices,
        shared1000=snakemake.input.shared1000,
        betas=snakemake.output.betas,
        wds=snakemake.output.wds,
        checkpoint=snakemake.output.checkpoint,
        oracle=snakemake.output.oracle,
        tokens=snakemake.input.get("tokens"),
    )
