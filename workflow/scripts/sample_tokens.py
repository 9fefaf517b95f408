"""Sample CLIP tokens of the test pairs by MindEye2's diffusion prior, and score what these retrieve."""

from brain2image.core.jobs import job
from brain2image.decoding.prior_pairs import sample_pairs
from brain2image.formats.files import write_json

with job(snakemake):
    found = sample_pairs(
        dict(zip(snakemake.params.runs, snakemake.input.predictions, strict=True)),
        backbone=snakemake.input.backbone,
        prior=snakemake.input.prior,
        gallery=snakemake.input.gallery,
        projection=snakemake.input.projection,
        out=snakemake.output.tokens,
        **snakemake.params.noise,
        **snakemake.params.evaluation,
    )
    write_json(snakemake.output.scores, {"brains": snakemake.params.brains, **found})
