"""Predict the fMRI embeddings of the test pairs from their EEG alone."""

from brain2image.core.jobs import job
from brain2image.evaluation.predict import predict_pairs

with job(snakemake):
    predict_pairs(
        snakemake.input.model,
        snakemake.input.lmdb,
        clip=snakemake.input.get("clip", []),
        interpolates=snakemake.params.hearing["interpolates"],
        out=snakemake.output.predictions,
    )
