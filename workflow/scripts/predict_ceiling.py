"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

import numpy as np

from brain2image.baselines import fit_ceiling
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.queries import Pairs, write_test_predictions

with job(snakemake), np.load(snakemake.input.oracle) as oracle:
    training = Pairs(*pair_means(snakemake.input.lmdb, "train"))
    write_test_predictions(
        snakemake.output.predictions,
        fit_ceiling(training, oracle["expected"]),
        snakemake.input.lmdb,
        target_mean=training.targets.mean(axis=0),
    )
