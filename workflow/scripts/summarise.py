"""Put the scores of all runs into one table, and the networks beside the baselines into another."""

from brain2image.core.jobs import job
from brain2image.core.outputs import atomic_path
from brain2image.evaluation.comparisons import compare
from brain2image.evaluation.summary import summarise
from brain2image.formats.tables import read_result

with job(snakemake):
    predictors = snakemake.params.predictors
    metrics = [read_result(file, ["n_test", "scores", "per_image"]) for file in snakemake.input.metrics]
    with atomic_path(snakemake.output.summary) as path:
        summarise(predictors, metrics).to_csv(path, index=False)
    with atomic_path(snakemake.output.comparisons) as path:
        compare(predictors, metrics, **snakemake.params.evaluation).to_csv(path, index=False)
