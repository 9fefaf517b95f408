"""Write the table of all NSD pictures that any subject saw."""

from brain2image.jobs import job
from brain2image.nsd import repack_images

with job(snakemake):
    repack_images(
        snakemake.input.pixels,
        snakemake.input.indices,
        snakemake.input.shared1000,
        out=snakemake.output.images,
    )
