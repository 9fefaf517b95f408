"""Predict the test pairs' fMRI embeddings by ridge regression on the EEG."""

from brain2image.baselines import predict_ridge
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.predictions import write_predictions

with job(snakemake):
    eeg, targets, _ = pair_means(snakemake.input.lmdb, "train")
    test_eeg, test_targets, test_pairs = pair_means(snakemake.input.lmdb, "test")
    predictions = predict_ridge(eeg, targets, test_eeg)
    write_predictions(
        snakemake.output.predictions, predictions, test_targets, test_pairs, target_mean=targets.mean(axis=0)
    )
