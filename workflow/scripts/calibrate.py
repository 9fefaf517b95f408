"""Fit a run that learned from other people to the person of a training set, by some pictures."""

from pathlib import Path

from brain2image.core.jobs import job
from brain2image.translation.personal import calibrate_to_training_set

with job(snakemake):
    calibrate_to_training_set(
        Path(snakemake.input.model).parent,
        snakemake.input.lmdb,
        n_pictures=snakemake.params.n_pictures,
        **snakemake.output,
    )
