"""Put the projections of several NSD subjects into one file."""

from brain2image.core.jobs import job
from brain2image.projection.projecting import combine_projections

with job(snakemake):
    combine_projections(
        snakemake.input.projections,
        subjects=snakemake.params.subjects,
        out=snakemake.output.projection,
    )
