"""Predict the fMRI embeddings of the test pairs from their EEG alone."""

from brain2image.jobs import job
from brain2image.training import predict_pairs

with job(snakemake):
    predict_pairs(snakemake.input.model, snakemake.input.lmdb, out=snakemake.output.predictions)
