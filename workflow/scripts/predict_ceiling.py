"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

import numpy as np

from brain2image.baselines import predict_ceiling
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.queries import write_test_predictions

with job(snakemake), np.load(snakemake.input.oracle) as oracle:
    expected = oracle["expected"]
    _, targets, training = pair_means(snakemake.input.lmdb, "train")
    write_test_predictions(
        snakemake.output.predictions,
        lambda pairs: predict_ceiling(
            expected[training["things_image"]], targets, expected[pairs.table["things_image"]]
        ),
        snakemake.input.lmdb,
        target_mean=targets.mean(axis=0),
    )
