"""Write the table of all pictures of a data set."""

from brain2image.core.jobs import job
from brain2image.core.modules import load_module

with job(snakemake):
    reader = load_module(snakemake.params.reader)
    reader.repack_images(*snakemake.input, out=snakemake.output.images)
