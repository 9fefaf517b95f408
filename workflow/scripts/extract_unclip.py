"""Keep what draws of MindEye2's unCLIP."""

from brain2image.core.jobs import job
from brain2image.decoding.unclip import extract_unclip
from brain2image.weights.sources import reveal

with job(snakemake):
    checkpoint = reveal(snakemake.params.checkpoint)
    extract_unclip(checkpoint, out=snakemake.output.unclip, **snakemake.params.kept)
