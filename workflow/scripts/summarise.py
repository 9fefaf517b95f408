"""Put the scores of all runs into one table."""

from brain2image.evaluation import summarise
from brain2image.files import atomic_path, read_json
from brain2image.jobs import job

with job(snakemake), atomic_path(snakemake.output.summary) as path:
    metrics = [read_json(file) for file in snakemake.input.metrics]
    summarise(snakemake.params.predictors, metrics).to_csv(path, index=False)
