"""Keep the ridge layer of a MindEye2 checkpoint."""

from brain2image.core.jobs import job
from brain2image.projection.ridge import extract_ridge
from brain2image.weights.sources import reveal

with job(snakemake):
    checkpoint = reveal(snakemake.params.checkpoint)
    extract_ridge(checkpoint, subject=snakemake.wildcards.subj, out=snakemake.output.ridge)
