"""Draw the synthetic pictures of THINGS and NSD from one set of latents, and write them as released."""

from brain2image.core.jobs import job
from brain2image.synthetic.images import simulate_images

with job(snakemake):
    simulate_images(
        snakemake.params.simulate,
        snakemake.params.subjects,
        training_images=snakemake.output.training_images,
        test_images=snakemake.output.test_images,
        metadata=snakemake.output.metadata,
        pixels=snakemake.output.pixels,
        indices=snakemake.output.indices,
        shared1000=snakemake.output.shared1000,
        latents=snakemake.output.latents,
    )
