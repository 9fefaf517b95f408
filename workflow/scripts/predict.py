"""Predict the fMRI embeddings of the test pairs from their EEG alone."""

from brain2image.inference import predict_pairs
from brain2image.jobs import job

with job(snakemake):
    predict_pairs(snakemake.input.model, snakemake.input.lmdb, out=snakemake.output.predictions)
