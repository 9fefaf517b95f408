"""Measure what no predictor of the test pairs can pass."""

from brain2image.core.jobs import job
from brain2image.evaluation.bounds import measure_bounds
from brain2image.formats.files import write_json
from brain2image.pairs.clip_embeddings import read_embeddings

with job(snakemake):
    bounds = measure_bounds(
        snakemake.input.lmdb,
        read_embeddings(snakemake.input.eeg_embeddings),
        read_embeddings(snakemake.input.fmri_embeddings),
    )
    write_json(snakemake.output.bounds, bounds)
