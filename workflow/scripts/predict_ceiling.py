"""Predict the test pairs' fMRI embeddings from the true latents of the pictures that were seen."""

from brain2image.core.jobs import job
from brain2image.evaluation.baselines.oracle import predict_ceiling

with job(snakemake):
    predict_ceiling(snakemake.input.lmdb, snakemake.input.oracle, out=snakemake.output.predictions)
