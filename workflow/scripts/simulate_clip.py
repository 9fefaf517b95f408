"""Write a small CLIP checkpoint that sees what the synthetic pictures show."""

from brain2image.core.jobs import job
from brain2image.synthetic.clip_weights import simulate_clip

with job(snakemake):
    simulate_clip(
        snakemake.params.simulate,
        model=snakemake.params.model,
        weights=snakemake.output.weights,
        tokens=snakemake.output.get("tokens"),
    )
