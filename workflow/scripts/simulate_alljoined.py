"""Simulate the recordings of one subject of Alljoined1, and the tables of its epochs."""

from brain2image.core.jobs import job
from brain2image.synthetic.alljoined_files import simulate_alljoined

with job(snakemake):
    simulate_alljoined(
        snakemake.params.simulate,
        snakemake.params.person,
        latents=snakemake.input.latents,
        design=snakemake.input.design,
        recordings=snakemake.output.recordings,
        tables=snakemake.output.tables,
    )
