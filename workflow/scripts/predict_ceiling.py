"""Predict the test pairs' fMRI embeddings from the true latents of the THINGS pictures."""

from brain2image.baselines import fit_ceiling
from brain2image.dataset import pair_means
from brain2image.jobs import job
from brain2image.queries import Pairs, write_test_predictions
from brain2image.tables import read_npz

with job(snakemake):
    oracle = read_npz(snakemake.input.oracle, what="planted arrays", names=["expected"])
    training = Pairs(*pair_means(snakemake.input.lmdb, "train"))
    write_test_predictions(
        snakemake.output.predictions,
        fit_ceiling(training, oracle["expected"]),
        snakemake.input.lmdb,
        target_mean=training.targets.mean(axis=0),
    )
