"""Write the table of all THINGS pictures, checked against the authors' lists."""

from brain2image.core.jobs import job
from brain2image.datasets.things_eeg2.things_images import repack_images

with job(snakemake):
    repack_images(
        snakemake.input.training_images,
        snakemake.input.test_images,
        snakemake.input.metadata,
        out=snakemake.output.images,
    )
