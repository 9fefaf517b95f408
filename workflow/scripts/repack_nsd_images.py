"""Write the table of the NSD pictures that subjects saw."""

from brain2image import nsd
from brain2image.jobs import job
from brain2image.nsd import mindeye1

REPACK = {"mindeye1": mindeye1.repack_images, "mindeye2": nsd.repack_images}

with job(snakemake):
    REPACK[snakemake.params.release](*snakemake.input, out=snakemake.output.images)
