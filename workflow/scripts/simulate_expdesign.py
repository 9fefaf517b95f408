"""Write NSD's design, which says what the event codes of Alljoined1 stand for."""

from brain2image.core.jobs import job
from brain2image.synthetic.alljoined_files import simulate_expdesign

with job(snakemake):
    simulate_expdesign(
        snakemake.params.simulate,
        latents=snakemake.input.latents,
        shared1000=snakemake.input.shared1000,
        design=snakemake.output.design,
    )
