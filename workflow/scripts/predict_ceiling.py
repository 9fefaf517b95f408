"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

import numpy as np

from brain2image.baselines import predict_ceiling
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.predictions import write_predictions

with job(snakemake), np.load(snakemake.input.oracle) as oracle:
    _, targets, pairs = pair_means(snakemake.input.lmdb, "train")
    _, test_targets, test_pairs = pair_means(snakemake.input.lmdb, "test")
    expected = oracle["expected"]
    predictions = predict_ceiling(
        expected[pairs["things_image"]], targets, expected[test_pairs["things_image"]]
    )
    write_predictions(
        snakemake.output.predictions, predictions, test_targets, test_pairs, target_mean=targets.mean(axis=0)
    )
