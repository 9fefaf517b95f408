"""Keep the ridge layer of a MindEye2 checkpoint."""

from brain2image.jobs import job
from brain2image.mindeye2 import extract_ridge

with job(snakemake):
    extract_ridge(snakemake.params.checkpoint, subject=snakemake.wildcards.subj, out=snakemake.output.ridge)
