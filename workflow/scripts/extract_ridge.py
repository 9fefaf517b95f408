"""Keep the ridge layer of a MindEye2 checkpoint."""

from brain2image.jobs import job
from brain2image.mindeye2 import extract_ridge
from brain2image.sources import reveal

with job(snakemake):
    checkpoint = reveal(snakemake.params.checkpoint)
    extract_ridge(checkpoint, subject=snakemake.wildcards.subj, out=snakemake.output.ridge)
