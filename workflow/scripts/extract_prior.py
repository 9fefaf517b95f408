"""Keep the diffusion prior of a MindEye2 checkpoint."""

from brain2image.core.jobs import job
from brain2image.decoding.prior import extract_prior
from brain2image.weights.sources import reveal

with job(snakemake):
    checkpoint = reveal(snakemake.params.checkpoint)
    extract_prior(checkpoint, out=snakemake.output.prior, **snakemake.params.kept)
