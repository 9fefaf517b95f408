"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

import numpy as np

from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.predictions import write_predictions

with job(snakemake), np.load(snakemake.input.oracle) as oracle:
    _, training_targets, _ = pair_means(snakemake.input.lmdb, "train")
    _, targets, pairs = pair_means(snakemake.input.lmdb, "test")
    write_predictions(
        snakemake.output.predictions,
        oracle["expected"][pairs["things_image"]],
        targets,
        pairs,
        target_mean=training_targets.mean(axis=0),
    )
