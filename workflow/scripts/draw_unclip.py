"""Draw pictures from the tokens of each test pair by MindEye2's unCLIP."""

from brain2image.core.jobs import job
from brain2image.decoding.unclip_drawing import draw_unclip

with job(snakemake):
    draw_unclip(
        snakemake.input.tokens,
        unclip=snakemake.input.unclip,
        runs=snakemake.params.runs,
        out=snakemake.output.pictures,
        **snakemake.params.drawing,
    )
