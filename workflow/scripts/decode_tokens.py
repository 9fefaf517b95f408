"""Decode the test pairs of all runs to CLIP tokens, and score what these retrieve."""

from brain2image.core.jobs import job
from brain2image.decoding.decode_pairs import decode_pairs
from brain2image.formats.files import write_json

with job(snakemake):
    found = decode_pairs(
        dict(zip(snakemake.params.runs, snakemake.input.predictions, strict=True)),
        backbone=snakemake.input.backbone,
        gallery=snakemake.input.gallery,
        projection=snakemake.input.projection,
        out=snakemake.output.tokens,
        **snakemake.params.evaluation,
    )
    write_json(snakemake.output.scores, {"brains": snakemake.params.brains, **found})
