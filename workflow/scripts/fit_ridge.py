"""Predict the test pairs' fMRI embeddings by ridge regression on the EEG."""

from brain2image.baselines import predict_ridge
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.queries import write_test_predictions

with job(snakemake):
    eeg, targets, _ = pair_means(snakemake.input.lmdb, "train")
    write_test_predictions(
        snakemake.output.predictions,
        lambda pairs: predict_ridge(eeg, targets, pairs.eeg),
        snakemake.input.lmdb,
        target_mean=targets.mean(axis=0),
    )
