"""Put the scores of all runs into one table, and the networks beside the baselines into another."""

from brain2image.core.jobs import job
from brain2image.evaluation.comparisons import compare
from brain2image.evaluation.summary import summarise
from brain2image.formats.files import write_csv
from brain2image.formats.tables import read_result

with job(snakemake):
    predictors = snakemake.params.predictors
    metrics = [
        read_result(file, ["n_test", "n_concepts", "people", "calibration", "scores", "per_image"])
        for file in snakemake.input.metrics
    ]
    decoded = [read_result(file, ["brains", "scores"]) for file in snakemake.input.decoded]
    write_csv(snakemake.output.summary, summarise(predictors, metrics, decoded))
    write_csv(snakemake.output.comparisons, compare(predictors, metrics, **snakemake.params.evaluation))
