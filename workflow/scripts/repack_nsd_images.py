"""Write the table of the NSD pictures that subjects saw."""

from brain2image.core.jobs import job
from brain2image.datasets.nsd import mindeye1
from brain2image.datasets.nsd import nsd_images as nsd

REPACK = {"mindeye1": mindeye1.repack_images, "mindeye2": nsd.repack_images}

with job(snakemake):
    REPACK[snakemake.params.release](*snakemake.input, out=snakemake.output.images)
