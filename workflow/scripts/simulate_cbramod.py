"""Write CBraMod weights of the published names and shapes, randomly initialised."""

from brain2image.core.jobs import job
from brain2image.synthetic.cbramod_weights import simulate_cbramod

with job(snakemake):
    simulate_cbramod(seed=snakemake.params.seed, weights=snakemake.output.weights)
