"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

from brain2image.core.jobs import job
from brain2image.evaluation.baselines.oracle import fit_ceiling
from brain2image.evaluation.queries import write_test_predictions
from brain2image.formats.tables import read_npz
from brain2image.training_set.means import read_pairs

with job(snakemake):
    oracle = read_npz(snakemake.input.oracle, what="planted arrays", names=["expected"])
    training = read_pairs(snakemake.input.lmdb, "train")
    write_test_predictions(
        snakemake.output.predictions,
        fit_ceiling(training, oracle["expected"]),
        snakemake.input.lmdb,
        target_mean=training.targets.mean(axis=0),
    )
